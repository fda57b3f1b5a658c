#include "cli/audit_service.h"

#include <boost/asio/co_spawn.hpp>
#include <fstream>
#include <memory>

#include "base/json.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;

}  // namespace

AuditService::AuditService(const ServiceAccess& access)
    : access_(access),
      client_(context_.get_executor(), {.origin = access.url, .ca_file = access.ca_file}) {}

Result<ServiceAnswer> AuditService::send(const ServiceCall& call) {
  bool done = false;
  Result<ServiceAnswer> answer = ServiceAnswer();
  boost::asio::co_spawn(context_, exchange(call, answer), [&done](std::exception_ptr thrown) {
    done = true;
    if (thrown) std::rethrow_exception(thrown);
  });
  while (!done) context_.run_one();
  if (answer.ok()) return answer;
  return Error{answer.error().code, access_.url + ": " + answer.error().message};
}

Task<void> AuditService::exchange(const ServiceCall& call, Result<ServiceAnswer>& answer) {
  http::RequestHead head{.method = call.method, .target = call.target};
  if (!access_.token.empty()) head.headers.add("Authorization", "Bearer " + access_.token);
  head.headers.add("Accept", call.accept);
  head.headers.add("User-Agent", "holdfast-cli");
  if (!call.content.empty()) head.headers.add("Content-Type", "application/json");
  const std::unique_ptr<http::Body> body = http::string_body(call.content);
  const http::Outgoing outgoing{.head = head, .body = call.content.empty() ? nullptr : body.get()};
  http::SendResult sent = co_await client_.send(outgoing);
  if (!sent.response.ok()) {
    answer = sent.response.error();
    co_return;
  }
  answer->status = sent.response->status;
  if (!sent.response->stream) {
    answer->content = sent.response->content;
    co_return;
  }
  Result<std::string> content = co_await http::read_all(*sent.response->stream, kAnswerBytesMax);
  if (content.ok()) {
    answer->content = *std::move(content);
  } else {
    answer = content.error();
  }
}

std::string refusal_text(const ServiceAnswer& answer) {
  std::string plain = "the audit service answered " + std::to_string(answer.status);
  const Result<nlohmann::json> body = parse_json(answer.content);
  if (!body.ok() || !body->is_object()) return plain;
  const auto detail = body->find("detail");
  return detail != body->end() && detail->is_string() ? detail->get<std::string>() : plain;
}

std::string token_in(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace holdfast::cli
