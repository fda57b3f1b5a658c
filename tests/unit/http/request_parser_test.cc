#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace holdfast::http::test {
namespace {

using State = RequestParser::State;

// What came of some bytes, however they were cut: "GET /a len=3 rest=xyz", "400 why" or "more".
std::string describe(RequestParser& parser, State state, std::string_view bytes) {
  if (state == State::kNeedMore) return "more";
  if (state == State::kRefused) {
    return std::to_string(parser.refusal().status) + " " + parser.refusal().why;
  }
  const std::string rest(bytes.substr(parser.consumed()));
  const Framing framing = parser.framing();
  const RequestHead head = parser.take_head();
  std::string text = head.method + " " + head.target;
  for (const Header& field : head.headers) text += " [" + field.name + "=" + field.value + "]";
  if (framing.chunked) text += " chunked";
  if (framing.content_length > 0) text += " length=" + std::to_string(framing.content_length);
  if (!framing.keep_alive) text += " close";
  if (framing.expects_continue) text += " continue";
  return text + " rest=" + rest;
}

// Shows the bytes as they would arrive in pieces that end at the given places.
std::string parse_cut(std::string_view bytes, std::initializer_list<std::size_t> cuts,
                      const HeadLimits& limits = {}) {
  RequestParser parser(limits);
  State state = State::kNeedMore;
  for (const std::size_t cut : cuts) {
    state = parser.parse(bytes.substr(0, cut));
    if (state != State::kNeedMore) break;
  }
  if (state == State::kNeedMore) state = parser.parse(bytes);
  return describe(parser, state, bytes);
}

struct Case {
  const char* name;
  std::string bytes;
  std::string expected;
};

std::ostream& operator<<(std::ostream& out, const Case& test) {
  return out << test.name;
}
std::string name_of(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

std::string get(const std::string& rest) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + rest;
}

class Accepted : public testing::TestWithParam<Case> {};

TEST_P(Accepted, WhateverTheCuts) {
  const std::string& bytes = GetParam().bytes;
  EXPECT_EQ(parse_cut(bytes, {}), GetParam().expected);
  std::string whole = GetParam().expected;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    // Bytes behind the head that had not come yet are not its business.
    RequestParser parser{HeadLimits{}};
    State state = parser.parse(std::string_view(bytes).substr(0, cut));
    if (state == State::kNeedMore) state = parser.parse(bytes);
    EXPECT_EQ(describe(parser, state, bytes), whole) << "cut at " << cut;
  }
}

TEST_P(Accepted, ByteByByteAndTwiceInOneParser) {
  const std::string& bytes = GetParam().bytes;
  RequestParser parser{HeadLimits{}};
  for (int round = 0; round < 2; ++round) {
    State state = State::kNeedMore;
    for (std::size_t end = 0; end <= bytes.size() && state == State::kNeedMore; ++end) {
      state = parser.parse(std::string_view(bytes).substr(0, end));
    }
    EXPECT_EQ(describe(parser, state, bytes), GetParam().expected);
    parser.reset();
  }
}

const Case kAccepted[] = {
    {"plain_get", get("\r\n"), "GET / [Host=h] rest="},
    {"pipelined", get("\r\nGET /2"), "GET / [Host=h] rest=GET /2"},
    {"host_name_in_any_case", "GET / HTTP/1.1\r\nhOST: h\r\n\r\n", "GET / [hOST=h] rest="},
    {"host_with_port", "GET / HTTP/1.1\r\nHost: a.b:8443\r\n\r\n", "GET / [Host=a.b:8443] rest="},
    {"host_ipv6", "GET / HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", "GET / [Host=[::1]:1] rest="},
    {"value_trimmed", get("A: \t b c \t\r\n\r\n"), "GET / [Host=h] [A=b c] rest="},
    {"empty_value", get("A:\r\n\r\n"), "GET / [Host=h] [A=] rest="},
    {"no_space_after_colon", get("A:b\r\n\r\n"), "GET / [Host=h] [A=b] rest="},
    {"tab_within_value", get("A: b\tc\r\n\r\n"), "GET / [Host=h] [A=b\tc] rest="},
    {"high_bytes_in_value", get("A: \xC3\xA9\r\n\r\n"), "GET / [Host=h] [A=\xC3\xA9] rest="},
    {"names_that_only_begin_like_framing", get("Content-Lengths: 1\r\nX-Content-Length: 2\r\n\r\n"),
     "GET / [Host=h] [Content-Lengths=1] [X-Content-Length=2] rest="},
    {"duplicates_kept", get("A: 1\r\na: 2\r\n\r\n"), "GET / [Host=h] [A=1] [a=2] rest="},
    {"one_empty_line_before", "\r\n" + get("\r\n"), "GET / [Host=h] rest="},
    {"odata_target",
     "GET /v1.0/users('a%40b')/messages?$filter=a%20eq%20'b',c;d&$x=@y|z{}[]^`~! "
     "HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /v1.0/users('a%40b')/messages?$filter=a%20eq%20'b',c;d&$x=@y|z{}[]^`~! [Host=h] rest="},
    {"double_slash_target", "GET //a//b HTTP/1.1\r\nHost: h\r\n\r\n", "GET //a//b [Host=h] rest="},
    {"content_length", get("Content-Length: 3\r\n\r\nxyz"),
     "GET / [Host=h] [Content-Length=3] length=3 rest=xyz"},
    {"content_length_zero", get("Content-Length: 0\r\n\r\n"),
     "GET / [Host=h] [Content-Length=0] rest="},
    {"chunked", get("Transfer-Encoding: Chunked\r\n\r\n"),
     "GET / [Host=h] [Transfer-Encoding=Chunked] chunked rest="},
    {"close", get("Connection: x, Close\r\n\r\n"),
     "GET / [Host=h] [Connection=x, Close] close rest="},
    {"http_1_0", "GET / HTTP/1.0\r\n\r\n", "GET / close rest="},
    {"http_1_0_with_host", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / [Host=h] close rest="},
    {"http_1_0_keep_alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "GET / [Connection=keep-alive] rest="},
    {"expect", get("Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"),
     "GET / [Host=h] [Content-Length=3] [Expect=100-Continue] length=3 continue rest="},
    {"expect_without_body", get("Expect: 100-continue\r\n\r\n"),
     "GET / [Host=h] [Expect=100-continue] rest="},
    {"delete", "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n", "DELETE /a [Host=h] rest="},
    {"options", "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /a [Host=h] rest="},
};
INSTANTIATE_TEST_SUITE_P(RequestParser, Accepted, testing::ValuesIn(kAccepted), name_of);

class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, WhateverTheCuts) {
  const std::string& bytes = GetParam().bytes;
  const std::string whole = parse_cut(bytes, {});
  EXPECT_TRUE(whole.starts_with(GetParam().expected)) << whole;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_EQ(parse_cut(bytes, {cut}), whole);
}

std::string target(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}
std::string line(const std::string& line) {
  return line + "\r\nHost: h\r\n\r\n";
}

const Case kRefused[] = {
    {"http2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"http_0_9", "GET /\r\n", "400 the request line"},
    {"http_0_9_with_space", "GET / \r\n\r\n", "400 the version"},
    {"http_1_2", line("GET / HTTP/1.2"), "505"},
    {"http_2_0", line("GET / HTTP/2.0"), "505"},
    {"http_lower_case", line("GET / http/1.1"), "400 the version"},
    {"version_long", line("GET / HTTP/1.10"), "400 the version"},
    {"version_letters", line("GET / HTTP/x.y"), "400 the version"},
    {"tls_hello", std::string("\x16\x03\x01\x02\x00\x01", 6), "400 the method"},
    {"method_lower_case", line("get / HTTP/1.1"), "400 the method"},
    {"method_mixed_case", line("Get / HTTP/1.1"), "400 the method"},
    {"method_unknown", line("BREW / HTTP/1.1"), "501"},
    {"method_trace", line("TRACE / HTTP/1.1"), "501"},
    {"method_connect", line("CONNECT a:1 HTTP/1.1"), "501"},
    {"method_with_digit", line("GET1 / HTTP/1.1"), "400 the method"},
    {"leading_space", line(" GET / HTTP/1.1"), "400"},
    {"two_empty_lines", "\r\n\r\n" + get("\r\n"), "400"},
    {"empty_line_bare_lf", "\n" + get("\r\n"), "400"},
    {"double_space", line("GET  / HTTP/1.1"), "400"},
    {"space_in_target", line("GET /a b HTTP/1.1"), "400 the target"},
    {"tab_in_request_line", line("GET /\tHTTP/1.1"), "400"},
    {"absolute_form", target("http://h/"), "400 the target"},
    {"authority_form", target("h:80"), "400 the target"},
    {"asterisk_form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "400 the target"},
    {"target_number_sign", target("/a#b"), "400 the target"},
    {"target_backslash", target("/a\\b"), "400 the target"},
    {"target_quote", target("/a\"b"), "400 the target"},
    {"target_angle", target("/a<b"), "400 the target"},
    {"target_other_angle", target("/a>b"), "400 the target"},
    {"target_nul", target(std::string("/a\0b", 4)), "400 the target"},
    {"target_del", target("/a\x7F"), "400 the target"},
    {"target_utf8", target("/\xC3\xA9"), "400 the target"},
    {"target_bare_cr", target("/a\rb"), "400 the target"},
    {"bare_lf_after_request_line", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400 a line"},
    {"bare_lf_after_header", "GET / HTTP/1.1\r\nHost: h\n\r\n", "400 a line"},
    {"bare_lf_at_end", "GET / HTTP/1.1\r\nHost: h\r\n\n", "400 a line"},
    {"no_host", "GET / HTTP/1.1\r\n\r\n", "400 there must be exactly one Host"},
    {"two_hosts", get("Host: h\r\n\r\n"), "400 there must be exactly one Host"},
    {"two_hosts_on_1_0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 there must be"},
    {"host_empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 the Host"},
    {"host_list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400 the Host"},
    {"host_with_path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 the Host"},
    {"host_with_user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400 the Host"},
    {"host_bad_port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400 the Host"},
    {"folded", get("A: b\r\n c\r\n\r\n"), "400 a header name"},
    {"folded_tab", get("A: b\r\n\tc\r\n\r\n"), "400 a header name"},
    {"folded_first", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400 a header name"},
    {"space_before_colon", get("A : b\r\n\r\n"), "400 a header name"},
    {"no_colon", get("A\r\n\r\n"), "400 a header name"},
    {"empty_name", get(": b\r\n\r\n"), "400 a header name"},
    {"name_with_high_byte", get("\xC3: b\r\n\r\n"), "400 a header name"},
    {"value_nul", get(std::string("A: b\0c\r\n\r\n", 10)), "400 a header value"},
    {"value_bare_cr", get("A: b\rc\r\n\r\n"), "400 a header value"},
    {"value_escape", get("A: \x1B[2J\r\n\r\n"), "400 a header value"},
    {"value_del", get("A: \x7F\r\n\r\n"), "400 a header value"},
    {"length_plus", get("Content-Length: +3\r\n\r\n"), "400 the Content-Length"},
    {"length_minus", get("Content-Length: -3\r\n\r\n"), "400 the Content-Length"},
    {"length_hex", get("Content-Length: 0x3\r\n\r\n"), "400 the Content-Length"},
    {"length_letters_after", get("Content-Length: 3abc\r\n\r\n"), "400 the Content-Length"},
    {"length_empty", get("Content-Length:\r\n\r\n"), "400 the Content-Length"},
    {"length_list", get("Content-Length: 3, 3\r\n\r\n"), "400 the Content-Length"},
    {"length_twice", get("Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), "400 there is more"},
    {"length_huge", get("Content-Length: 18446744073709551617\r\n\r\n"), "413"},
    {"length_and_coding", get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
     "400 Content-Length and"},
    {"coding_and_length", get("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
     "400 Content-Length and"},
    {"coding_xchunked", get("Transfer-Encoding: xchunked\r\n\r\n"), "501"},
    {"coding_identity", get("Transfer-Encoding: identity\r\n\r\n"), "501"},
    {"coding_list", get("Transfer-Encoding: gzip, chunked\r\n\r\n"), "400 the Transfer-Encoding"},
    {"coding_chunked_twice", get("Transfer-Encoding: chunked, chunked\r\n\r\n"),
     "400 the Transfer-Encoding"},
    {"coding_twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     "400 there is more"},
    {"coding_parameter", get("Transfer-Encoding: chunked;q=1\r\n\r\n"),
     "400 the Transfer-Encoding"},
    {"coding_empty", get("Transfer-Encoding:\r\n\r\n"), "400 the Transfer-Encoding"},
    {"coding_vertical_tab",
     get("Transfer-Encoding: \x0B"
         "chunked\r\n\r\n"),
     "400 a header value"},
    {"coding_on_1_0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
     "400 Transfer-Encoding is not"},
    {"length_with_underscore", get("Content_Length: 3\r\n\r\n"), "400 a header name is too close"},
    {"length_without_hyphen", get("contentlength: 3\r\n\r\n"), "400 a header name is too close"},
    {"coding_with_underscore", get("Transfer_Encoding: chunked\r\n\r\n"),
     "400 a header name is too close"},
    {"coding_with_dot", get("TRANSFER.ENCODING: chunked\r\n\r\n"),
     "400 a header name is too close"},
    {"coding_with_marks_around", get("!Transfer-Encoding~: chunked\r\n\r\n"),
     "400 a header name is too close"},
    {"two_content_types", get("Content-Type: a/b\r\ncontent-type: a/b\r\n\r\n"),
     "400 there is more than one Content-Type"},
    {"connection_names_length", get("Connection: Content-Length\r\n\r\n"),
     "400 the Connection header names"},
    {"connection_names_coding", get("Connection: close, transfer-encoding\r\n\r\n"),
     "400 the Connection header names"},
    {"connection_names_host", get("Connection: hOST\r\n\r\n"), "400 the Connection header names"},
    {"connection_names_authorization", get("Connection: ,Authorization\r\n\r\n"),
     "400 the Connection header names"},
    {"connection_names_content_type", get("Connection: Content-Type\r\n\r\n"),
     "400 the Connection header names"},
    {"connection_names_prefer", get("Connection: Prefer\r\n\r\n"),
     "400 the Connection header names"},
    {"proxy_connection_names_host", get("Proxy-Connection: Host\r\n\r\n"),
     "400 the Connection header names"},
    {"upgrade", get("Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), "400 Upgrade"},
    {"connection_not_tokens", get("Connection: close, :\r\n\r\n"), "400 the Connection"},
    {"proxy_connection_not_tokens", get("Proxy-Connection: a b\r\n\r\n"), "400 the Connection"},
    {"expect_unknown", get("Expect: 200-ok\r\n\r\n"), "417"},
};
INSTANTIATE_TEST_SUITE_P(RequestParser, Refused, testing::ValuesIn(kRefused), name_of);

constexpr HeadLimits kSmall{.head_bytes_max = 100, .header_count_max = 3, .target_bytes_max = 20};

std::string parse_small(const std::string& bytes) {
  const std::string whole = parse_cut(bytes, {}, kSmall);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(parse_cut(bytes, {cut}, kSmall), whole) << "cut at " << cut;
  }
  return whole.substr(0, 4);
}

TEST(RequestParserLimits, HoldAtTheirEdges) {
  EXPECT_EQ(parse_small(target("/" + std::string(19, 'a'))), "GET ");
  EXPECT_EQ(parse_small(target("/" + std::string(20, 'a'))), "414 ");
  EXPECT_EQ(parse_small("GET /" + std::string(60, 'a')), "414 ");
  EXPECT_EQ(parse_small(get("A: 1\r\nB: 2\r\n\r\n")), "GET ");
  EXPECT_EQ(parse_small(get("A: 1\r\nB: 2\r\nC: 3\r\n\r\n")), "431 ");
  const std::string start = get("A: ");
  EXPECT_EQ(parse_small(start + std::string(100 - start.size() - 4, 'x') + "\r\n\r\n"), "GET ");
  EXPECT_EQ(parse_small(start + std::string(101 - start.size() - 4, 'x') + "\r\n\r\n"), "431 ");
  EXPECT_EQ(parse_small(start + std::string(200, 'x')), "431 ");
}

// Here the line is too long for the head before it is too long for a request line.
TEST(RequestParserLimits, WhicheverIsMetFirstDecidesWhateverTheCuts) {
  const HeadLimits limits{.head_bytes_max = 30, .header_count_max = 3, .target_bytes_max = 20};
  const std::string bytes = "GET /" + std::string(40, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(parse_cut(bytes, {cut}, limits), "431 the headers are too large") << "cut at " << cut;
  }
}

TEST(RequestParserLimits, DoNotCountTheBody) {
  EXPECT_EQ(parse_small(get("\r\n") + std::string(1000, 'x')), "GET ");
}

}  // namespace
}  // namespace holdfast::http::test
