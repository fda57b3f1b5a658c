#include <gtest/gtest.h>

#include "http/message.h"
#include "http/message_writer.h"
#include "http/origin.h"
#include "http/syntax.h"

namespace holdfast::http::test {
namespace {

std::string names(const Headers& headers) {
  std::string all;
  for (const Header& field : headers) all += field.name + ";";
  return all;
}

TEST(Headers, ComparesNamesWithoutCaseAndKeepsOrder) {
  Headers headers{{"A", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(headers.get("a"), "1");
  EXPECT_EQ(headers.count("A"), 2u);
  EXPECT_EQ(headers.joined("a"), "1, 3");
  EXPECT_EQ(headers.find("c"), nullptr);
  EXPECT_EQ(headers.get("c"), "");
  EXPECT_EQ(headers.joined("c"), "");
}

TEST(Headers, SetReplacesEveryFieldInTheFirstPlace) {
  Headers headers{{"a", "1"}, {"b", "2"}, {"A", "3"}};
  headers.set("a", "4");
  EXPECT_EQ(names(headers), "a;b;");
  EXPECT_EQ(headers.joined("a"), "4");
  headers.set("c", "5");
  EXPECT_EQ(names(headers), "a;b;c;");
  headers.remove("B");
  EXPECT_EQ(names(headers), "a;c;");
}

TEST(Headers, RemovesWhatConcernsOneConnection) {
  Headers headers{{"Connection", "close, X-Mine"},
                  {"x-mine", "1"},
                  {"Keep-Alive", "5"},
                  {"TE", "trailers"},
                  {"Upgrade", "h2c"},
                  {"Trailer", "x"},
                  {"Transfer-Encoding", "chunked"},
                  {"X-Other", "stays"},
                  {"Content-Length", "1"}};
  headers.remove_hop_by_hop();
  EXPECT_EQ(names(headers), "X-Other;Content-Length;");
}

TEST(Headers, LetsConnectionTakeAwayNothingThatOthersNeed) {
  Headers headers{{"Connection", "Set-Cookie, X-Mine, content-type"},
                  {"connection", "www-authenticate"},
                  {"Set-Cookie", "a"},
                  {"X-Mine", "1"},
                  {"Content-Type", "text/plain"},
                  {"WWW-Authenticate", "Bearer"}};
  headers.remove_hop_by_hop();
  EXPECT_EQ(names(headers), "Set-Cookie;Content-Type;WWW-Authenticate;");
}

TEST(Message, KnowsReasonPhrases) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(412), "Precondition Failed");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  EXPECT_EQ(reason_phrase(299), "Unknown");
  EXPECT_EQ(reason_phrase(999), "Unknown");
}

TEST(Syntax, JudgesAuthorities) {
  for (const char* good : {"a", "graph.microsoft.com", "a:1", "a:65535", "127.0.0.1:80", "[::1]",
                           "[::1]:8080", "under_score"}) {
    EXPECT_TRUE(is_authority(good)) << good;
  }
  for (const char* bad : {"", ":80", "a:", "a:65536", "a:x", "a:1:2", "[]", "[::1", "[::1]x", "[a]",
                          "a b", "a/b", "a@b", "a,b", "a%41", "[::g]", "a?", "a#", "a\\b"}) {
    EXPECT_FALSE(is_authority(bad)) << bad;
  }
}

TEST(Syntax, FindsControlBytesAnywhereInAValue) {
  EXPECT_TRUE(is_field_value(""));
  for (const char allowed : {'\t', ' ', '~', '\x80', '\xFF'}) {
    EXPECT_TRUE(is_field_value(std::string(100, allowed))) << allowed;
  }
  for (std::size_t size = 1; size <= 100; ++size) {
    for (const char control : {'\0', '\n', '\r', '\x1F', '\x7F'}) {
      for (std::size_t at = 0; at < size; ++at) {
        std::string value(size, 'x');
        value[at] = control;
        ASSERT_FALSE(is_field_value(value)) << size << " " << at;
      }
    }
  }
}

TEST(Syntax, JudgesLengths) {
  EXPECT_EQ(parse_length("0"), 0u);
  EXPECT_EQ(parse_length("007"), 7u);
  EXPECT_EQ(parse_length("999999999999999999"), 999999999999999999u);
  for (const char* bad : {"", "+1", "-1", " 1", "1 ", "0x1", "1,1", "1000000000000000000"}) {
    EXPECT_EQ(parse_length(bad), std::nullopt) << bad;
  }
}

TEST(Origin, ReadsSchemeHostAndPort) {
  const auto graph = parse_origin("https://graph.microsoft.com");
  ASSERT_TRUE(graph.ok());
  EXPECT_TRUE(graph->tls);
  EXPECT_EQ(graph->host, "graph.microsoft.com");
  EXPECT_EQ(graph->port, "443");
  EXPECT_EQ(graph->authority, "graph.microsoft.com");
  const auto literal = parse_origin("HTTP://[::1]:9000/");
  ASSERT_TRUE(literal.ok());
  EXPECT_FALSE(literal->tls);
  EXPECT_EQ(literal->host, "::1");
  EXPECT_EQ(literal->port, "9000");
  EXPECT_EQ(literal->authority, "[::1]:9000");
  const auto bare = parse_origin("https://[::1]");
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ(bare->port, "443");
  for (const char* bad : {"", "graph.microsoft.com", "ftp://a", "https://", "https://a/b",
                          "https://user@a", "https://a:", "https://a?x"}) {
    EXPECT_FALSE(parse_origin(bad).ok()) << bad;
  }
}

std::string written(const Response& response, std::string_view method, int minor = 1) {
  std::string out;
  append_response_head(out, response, method, plan_response(response, method, minor),
                       ConnectionHeader::kNone, "now");
  return out;
}

TEST(MessageWriter, FramesAnswersItself) {
  Response response;
  response.headers = {{"Content-Length", "99"}, {"Transfer-Encoding", "gzip"}, {"A", "b"}};
  response.content = "12345";
  EXPECT_EQ(written(response, "GET"),
            "HTTP/1.1 200 OK\r\nA: b\r\nDate: now\r\nContent-Length: 5\r\n\r\n");
}

TEST(MessageWriter, KeepsTheLengthThatHeadAndNotModifiedDescribe) {
  Response response;
  response.headers = {{"Content-Length", "99"}, {"Date", "then"}};
  EXPECT_EQ(written(response, "HEAD"),
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nDate: then\r\n\r\n");
  response.status = 304;
  EXPECT_EQ(written(response, "GET"),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nDate: then\r\n\r\n");
  response.status = 204;
  EXPECT_EQ(written(response, "GET"), "HTTP/1.1 204 No Content\r\nDate: then\r\n\r\n");
}

TEST(MessageWriter, LeavesOutFieldsThatWouldSplitTheAnswer) {
  Response response;
  response.status = 204;
  response.reason = "No\r\nEvil: 1";
  response.headers = {{"A", "b\r\nEvil: 1"}, {"C d", "e"}, {"Nul", std::string("a\0b", 3)}};
  EXPECT_EQ(written(response, "GET"), "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n");
}

TEST(MessageWriter, RefusesRequestsThatWouldSplit) {
  std::string out;
  const auto writes = [&](RequestHead head) { return append_request_head(out, head, "h", {}); };
  EXPECT_TRUE(writes({.method = "GET", .target = "/a"}));
  EXPECT_EQ(out, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(writes({.method = "GET", .target = "/a b"}));
  EXPECT_FALSE(writes({.method = "GET", .target = "/a\r\nEvil: 1"}));
  EXPECT_FALSE(writes({.method = "G T", .target = "/a"}));
  EXPECT_FALSE(writes({.method = "GET", .target = ""}));
  EXPECT_FALSE(writes({.method = "GET", .target = "/", .headers = {{"A", "1\r\nEvil: 1"}}}));
}

TEST(MessageWriter, ReplacesFramingAndHostOfRequests) {
  std::string out;
  const RequestHead head{.method = "POST",
                         .target = "/a",
                         .headers = {{"Host", "evil"},
                                     {"Content-Length", "7"},
                                     {"Transfer-Encoding", "chunked"},
                                     {"Connection", "close"},
                                     {"Expect", "100-continue"},
                                     {"A", "b"}}};
  ASSERT_TRUE(append_request_head(out, head, "h:1", {BodyFraming::kLength, 3}));
  EXPECT_EQ(out, "POST /a HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 3\r\n\r\n");
}

TEST(MessageWriter, FramesBlocks) {
  BodyBlock chunked("head", {BodyFraming::kChunked, 0});
  chunked.room()[0] = 'x';
  EXPECT_EQ(chunked.frame(1), "head1\r\nx\r\n");
  std::ranges::fill(chunked.room(), 'y');
  EXPECT_EQ(chunked.frame(26), "1a\r\n" + std::string(26, 'y') + "\r\n");
  EXPECT_EQ(chunked.frame(0), "0\r\n\r\n");
  std::ranges::fill(chunked.room(), 'y');
  EXPECT_EQ(chunked.frame(2, BodyBlock::More::kNo), "2\r\nyy\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.frame(0, BodyBlock::More::kNo), "0\r\n\r\n");
  EXPECT_TRUE(
      chunked.frame(chunked.room().size(), BodyBlock::More::kNo).ends_with("y\r\n0\r\n\r\n"));
  BodyBlock known("head", {BodyFraming::kLength, 3});
  ASSERT_EQ(known.room().size(), 3u);
  std::ranges::fill(known.room(), 'z');
  EXPECT_EQ(known.frame(2), "headzz");
  EXPECT_EQ(known.frame(1, BodyBlock::More::kNo), "z");
}

}  // namespace
}  // namespace holdfast::http::test
