#include "identity/graph_credential.h"

#include <boost/asio/this_coro.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/encoding.h"
#include "base/files.h"
#include "base/json.h"
#include "http/body.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

constexpr std::size_t kAuthorityAnswerBytesMax = 64 * 1024;

Result<std::string> first_line(const std::string& path) {
  Result<std::string> text = read_file(path, kTokenBytesMax, Readers::kAnyone);
  if (!text.ok()) return text.error();
  text->resize(std::min(text->find_first_of("\r\n"), text->size()));
  if (text->empty()) return Error{ErrorCode::kInvalid, path + ": its first line is empty"};
  return text;
}

std::string form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    text += (text.empty() ? "" : "&") + name + "=" + percent_encode(value);
  }
  return text;
}

std::string text_in(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<BearerToken> read_token(int status, const std::string& body) {
  const Result<json> parsed = parse_json(body);
  const json answer = parsed.ok() && parsed->is_object() ? *parsed : json::object();
  if (status == 200) {
    std::string token = text_in(answer, "access_token");
    if (!token.empty() && token.size() <= kTokenBytesMax) return BearerToken{std::move(token)};
    return Error{ErrorCode::kInvalid, "the authority answered without an access token"};
  }
  const bool refused = status >= 400 && status < 500 && status != 429;
  return Error{refused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
               "the authority answered " + std::to_string(status) + " " +
                   to_text(text_in(answer, "error"), 100)};
}

}  // namespace

Task<Result<BearerToken>> TokenFile::token() {
  Result<std::string> line = first_line(path_);
  if (!line.ok()) co_return line.error();
  co_return BearerToken{*std::move(line)};
}

Task<Result<BearerToken>> ClientCredentials::token() {
  const Result<std::string> secret = first_line(application_.secret_file);
  if (!secret.ok()) co_return secret.error();
  http::RequestHead head;
  head.method = "POST";
  head.target = "/" + percent_encode(application_.tenant) + "/oauth2/v2.0/token";
  head.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                  {"Accept", "application/json"},
                  {"Accept-Encoding", "identity"},
                  {"User-Agent", "holdfast"}};
  const std::unique_ptr<http::Body> body =
      http::string_body(form({{"grant_type", "client_credentials"},
                              {"client_id", application_.client_id},
                              {"client_secret", *secret},
                              {"scope", application_.scope}}));
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  http::Client client(executor, authority_);
  const http::Outgoing outgoing{.head = head, .body = body.get()};
  http::SendResult sent = co_await client.send(outgoing);
  if (!sent.response.ok()) co_return sent.response.error();
  http::Response& response = *sent.response;
  if (response.stream) {
    Result<std::string> content =
        co_await http::read_all(*response.stream, kAuthorityAnswerBytesMax);
    response.stream.reset();
    if (!content.ok()) co_return content.error();
    response.content = *std::move(content);
  }
  co_return read_token(response.status, response.content);
}

}  // namespace holdfast::identity
