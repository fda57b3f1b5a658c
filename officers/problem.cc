#include "officers/problem.h"

#include <nlohmann/json.hpp>

namespace holdfast::officers {
namespace {

http::Response response(int status, const char* type, std::string content) {
  http::Response answer;
  answer.status = status;
  // Answers about who did what are not for caches.
  answer.headers = {{"Content-Type", type}, {"Cache-Control", "no-store"}};
  answer.content = std::move(content);
  return answer;
}

// What callers sent may be quoted in it, and need not be UTF-8.
std::string text_of(const nlohmann::json& body) {
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

http::Response json_response(int status, std::string body) {
  return response(status, "application/json", std::move(body));
}

http::Response json_response(int status, const nlohmann::json& body) {
  return json_response(status, text_of(body));
}

http::Response problem(int status, std::string detail, std::string parameter) {
  nlohmann::json body = {{"type", "about:blank"},
                         {"title", http::reason_phrase(status)},
                         {"status", status},
                         {"detail", std::move(detail)}};
  if (!parameter.empty()) body["parameter"] = std::move(parameter);
  return response(status, "application/problem+json", text_of(body));
}

http::Response method_not_allowed(const std::string& allowed) {
  http::Response answer = problem(405, "only " + allowed + " is served here");
  answer.headers.add("Allow", allowed);
  return answer;
}

http::Response unauthenticated(std::string detail) {
  http::Response answer = problem(401, std::move(detail));
  answer.headers.add("WWW-Authenticate", "Bearer realm=\"holdfast audit\"");
  return answer;
}

}  // namespace holdfast::officers
