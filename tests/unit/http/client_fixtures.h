// What the tests of the client share: requests, and their outcomes in words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/client.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {

inline const RequestHead kGet{.method = "GET", .target = "/"};
inline const RequestHead kHead{.method = "HEAD", .target = "/"};
inline const RequestHead kPost{.method = "POST", .target = "/"};

// A request's outcome in words: "nothing_sent unavailable", "some_sent 200 content".
inline std::string name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kLimit:
      return "limit";
    default:
      return "other";
  }
}

inline Task<std::string> outcome(Client& client, const RequestHead& head, std::string body = "",
                                 Traffic traffic = Traffic::kOrdinary) {
  const std::unique_ptr<Body> source = string_body(std::move(body));
  SendResult sent = co_await client.send({.head = head, .body = source.get(), .traffic = traffic});
  std::string text = sent.progress == Progress::kNothingSent ? "nothing_sent " : "some_sent ";
  if (!sent.response.ok()) co_return text + name(sent.response.error().code);
  text += std::to_string(sent.response->status) + " ";
  if (!sent.response->stream) co_return text + sent.response->content;
  const auto content = co_await read_all(*sent.response->stream, 1'000'000);
  co_return text + (content.ok() ? *content : "then " + name(content.error().code));
}

// Reads a request's head, and its body where it is `body`.
inline void take_request(Raw& raw, std::string_view body = "") {
  raw.read_until("\r\n\r\n");
  if (!body.empty()) raw.read_until(body);
}

inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Answers every request until the client closes.
inline void keep_answering(Raw& raw, std::string_view answer = kOk) {
  while (raw.read_until("\r\n\r\n").ends_with("\r\n\r\n")) raw.send(answer);
}

}  // namespace holdfast::http::test
