#include "cli/audit_client.h"

#include <boost/asio/co_spawn.hpp>
#include <fstream>

#include "base/json.h"
#include "cli/load.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int refused(int status, const json& body) {
  const std::string plain = "the audit service answered " + std::to_string(status);
  print_error(body.is_object() ? body.value("detail", plain) : plain);
  return status == 400 ? kUsageError : kFoundProblem;
}

Task<void> exchange(http::Client& client, const http::RequestHead& head, const std::string& content,
                    int& status, Result<std::string>& answer) {
  const std::unique_ptr<http::Body> body = http::string_body(content);
  const http::Outgoing outgoing{.head = head, .body = content.empty() ? nullptr : body.get()};
  http::SendResult sent = co_await client.send(outgoing);
  if (!sent.response.ok()) {
    answer = sent.response.error();
    co_return;
  }
  if (sent.response->stream) {
    answer = co_await http::read_all(*sent.response->stream, kAnswerBytesMax);
  } else {
    answer = sent.response->content;
  }
  status = sent.response->status;
}

}  // namespace

void add_connection(CLI::App* command, AuditConnection& connection) {
  command->add_option("--url", connection.url, "The audit service (records.url).")
      ->type_name("URL");
  command
      ->add_option("--token-file", connection.token_file,
                   "File that holds your API token (records.token_file).")
      ->type_name("FILE");
  command
      ->add_option("--ca-file", connection.ca_file,
                   "Certificates to trust instead of the system's (records.ca_file).")
      ->type_name("FILE");
}

void add_format(CLI::App* command, std::string& format) {
  command->add_option("--format", format, "table or ndjson")
      ->check(CLI::IsMember({"table", "ndjson"}))
      ->capture_default_str();
}

std::optional<config::Records> settings_of(const Invocation& invocation,
                                           const AuditConnection& connection) {
  Invocation with_flags = invocation;
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) with_flags.settings.push_back(std::string(key) + "=" + value);
  };
  set("records.url", connection.url);
  set("records.token_file", connection.token_file);
  set("records.ca_file", connection.ca_file);
  auto config = load_config(with_flags, config::Role::kRecords);
  if (!config) return std::nullopt;
  return config->records;
}

AuditClient::AuditClient(const config::Records& settings)
    : origin_(settings.url),
      token_(first_line(settings.token_file)),
      client_(context_.get_executor(), {.origin = settings.url, .ca_file = settings.ca_file}) {}

Answer AuditClient::get(const std::string& target) {
  return ask({.method = "GET", .target = target, .accept = "application/json", .content = {}});
}

Answer AuditClient::post(const std::string& target, const json& body) {
  return ask({.method = "POST",
              .target = target,
              .accept = "application/json",
              .content = body.dump(-1, ' ', false, json::error_handler_t::replace)});
}

TextAnswer AuditClient::get_text(const std::string& target) {
  int status = 0;
  Result<std::string> content =
      fetch({.method = "GET", .target = target, .accept = "text/plain", .content = {}}, status);
  if (!content.ok()) return {};
  if (status == 200) return {.exit = kDone, .text = *std::move(content)};
  const Result<json> body = parse_json(*content);
  return {.exit = refused(status, body.ok() ? *body : json()), .text = {}};
}

Answer AuditClient::ask(const Call& call) {
  int status = 0;
  const Result<std::string> content = fetch(call, status);
  if (!content.ok()) return {};
  Result<json> body = parse_json(*content);
  if (!body.ok() || !body->is_object()) {
    print_error(origin_ + ": answered " + std::to_string(status) +
                " with something else than a JSON object; is that the audit service?");
    return {};
  }
  if (status == 200 || status == 201) return {.exit = kDone, .body = *std::move(body)};
  return {.exit = refused(status, *body), .body = {}};
}

Result<std::string> AuditClient::fetch(const Call& call, int& status) {
  http::RequestHead head{.method = call.method, .target = call.target};
  head.headers.add("Authorization", "Bearer " + token_);
  head.headers.add("Accept", call.accept);
  head.headers.add("User-Agent", "holdfast-cli");
  if (!call.content.empty()) head.headers.add("Content-Type", "application/json");
  bool done = false;
  Result<std::string> answer = std::string();
  boost::asio::co_spawn(context_, exchange(client_, head, call.content, status, answer),
                        [&done](std::exception_ptr thrown) {
                          done = true;
                          if (thrown) std::rethrow_exception(thrown);
                        });
  while (!done) context_.run_one();
  if (!answer.ok()) print_error(origin_ + ": " + answer.error().message);
  return answer;
}

}  // namespace holdfast::cli
