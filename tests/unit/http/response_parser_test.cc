#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "http/response_parser_beast.h"

namespace holdfast::http::test {
namespace {

// "status [headers] content|rest" or the reason why not, with the bytes shown in pieces.
std::string parse(std::string_view bytes, std::size_t piece, bool bodiless, bool closed) {
  ResponseParser parser(bodiless, 4096);
  std::string pending, text, content;
  std::array<char, 7> output{};
  std::size_t shown = 0;
  while (!parser.has_head() || !parser.done()) {
    if (shown == bytes.size()) {
      if (!closed) return text + content + "...";
      return text + content + (parser.finish().ok() ? "|closed" : "!");
    }
    const std::size_t size = std::min(piece, bytes.size() - shown);
    pending += bytes.substr(shown, size);
    shown += size;
    if (!parser.has_head()) {
      const auto taken = parser.parse_head(pending);
      if (!taken.ok()) return "!";
      pending.erase(0, *taken);
      if (!parser.has_head()) continue;
      const Response head = parser.take_head();
      text = std::to_string(head.status) + " ";
      for (const Header& field : head.headers) text += "[" + field.name + "=" + field.value + "]";
    }
    for (;;) {
      const auto step = parser.parse_content(pending, output);
      if (!step.ok()) return text + content + "!";
      pending.erase(0, step->taken);
      content.append(output.data(), step->produced);
      if (step->taken == 0) break;
    }
  }
  return text + content + "|" + pending + std::string(bytes.substr(shown));
}

void expect(std::string_view bytes, const std::string& expected, bool bodiless = false,
            bool closed = false) {
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(parse(bytes, piece, bodiless, closed), expected)
        << bytes << " in pieces of " << piece;
  }
}

TEST(ResponseParser, ReadsFramings) {
  expect("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 10\r\n\r\n0123456789", "200 [A=b]0123456789|");
  expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP", "200 |HTTP");
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\nX",
         "200 0123456789|X");
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
         "200 abc|");
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 |");
  expect("HTTP/1.1 200 OK\r\n\r\nabc", "200 abc...");
  expect("HTTP/1.1 200 OK\r\n\r\nabc", "200 abc|closed", false, true);
}

TEST(ResponseParser, KnowsAnswersWithoutBody) {
  expect("HTTP/1.1 204 No Content\r\n\r\nX", "204 |X");
  expect("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\nX", "304 [Content-Length=9]|X");
  expect("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nX", "200 [Content-Length=9]|X", true);
  expect("HTTP/1.1 100 Continue\r\n\r\nHTTP", "100 |HTTP");
}

TEST(ResponseParser, TakesNoTruncatedAnswerForWhole) {
  expect("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "200 abc!", false, true);
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "200 abc!", false,
         true);
  expect("HTTP/1.1 200 OK\r\nA: b\r\n", "!", false, true);
}

TEST(ResponseParser, RefusesWhatIsNotHttp) {
  for (const char* bytes :
       {"garbage garbage garbage\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n"}) {
    expect(bytes, "!");
  }
}

TEST(ResponseParser, BoundsTheHead) {
  ResponseParser parser(false, 4096);
  const auto taken =
      parser.parse_head("HTTP/1.1 200 OK\r\nA: " + std::string(70'000, 'x') + "\r\n\r\n");
  ASSERT_FALSE(taken.ok());
}

}  // namespace
}  // namespace holdfast::http::test
