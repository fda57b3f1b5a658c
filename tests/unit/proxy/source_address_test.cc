#include "proxy/source_address.h"

#include <gtest/gtest.h>

namespace holdfast::proxy {
namespace {

struct Case {
  const char* name;
  const char* peer;
  std::vector<http::Header> headers;
  const char* expected;
};

TEST(SourceAddress, IsTheRightmostUntrustedHop) {
  const std::vector<approval::Network> trusted = {*approval::parse_network("10.0.0.0/8"),
                                                  *approval::parse_network("2001:db8::/32")};
  const Case cases[] = {
      {"no header", "10.0.0.1", {}, "10.0.0.1"},
      {"untrusted peer's header is not believed",
       "192.0.2.9",
       {{"X-Forwarded-For", "203.0.113.7"}},
       "192.0.2.9"},
      {"trusted peer", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7"}}, "203.0.113.7"},
      {"what the client wrote itself is left of its address",
       "10.0.0.1",
       {{"X-Forwarded-For", "198.51.100.1, 203.0.113.7"}},
       "203.0.113.7"},
      {"through two balancers",
       "10.0.0.1",
       {{"X-Forwarded-For", "203.0.113.7 , 10.9.9.9"}},
       "203.0.113.7"},
      {"two headers are one list",
       "10.0.0.1",
       {{"X-Forwarded-For", "198.51.100.1"}, {"x-forwarded-for", "203.0.113.7"}},
       "203.0.113.7"},
      {"IPv6", "2001:db8::1", {{"X-Forwarded-For", "2001:4860::1"}}, "2001:4860::1"},
      {"only trusted hops", "10.0.0.1", {{"X-Forwarded-For", "10.2.2.2"}}, "10.2.2.2"},
      {"one spelling of IPv6",
       "10.0.0.1",
       {{"X-Forwarded-For", "2001:4860:0:0:0:0:0:AB"}},
       "2001:4860::ab"},
      {"IPv4 within IPv6", "10.0.0.1", {{"X-Forwarded-For", "::ffff:203.0.113.7"}}, "203.0.113.7"},
      {"trusted IPv4 within IPv6",
       "10.0.0.1",
       {{"X-Forwarded-For", "203.0.113.7, ::ffff:10.0.0.2"}},
       "203.0.113.7"},
      {"port", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7:50123"}}, "203.0.113.7"},
      {"brackets", "10.0.0.1", {{"X-Forwarded-For", "[2001:4860::1]"}}, "2001:4860::1"},
      {"brackets and port",
       "10.0.0.1",
       {{"X-Forwarded-For", "[2001:4860::1]:443"}},
       "2001:4860::1"},
      {"port of a trusted hop",
       "10.0.0.1",
       {{"X-Forwarded-For", "203.0.113.7, 10.0.0.2:8080"}},
       "203.0.113.7"},
      {"unreadable is unknown", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7, unknown"}}, ""},
      {"left of the client may stand anything",
       "10.0.0.1",
       {{"X-Forwarded-For", "<script>, 203.0.113.7"}},
       "203.0.113.7"},
      {"empty element is unknown", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7,"}}, ""},
      {"empty header is unknown", "10.0.0.1", {{"X-Forwarded-For", ""}}, ""},
      {"empty second header is unknown",
       "10.0.0.1",
       {{"X-Forwarded-For", "203.0.113.7"}, {"X-Forwarded-For", ""}},
       ""},
      {"no port", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7:"}}, ""},
      {"no number for a port", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7:http"}}, ""},
      {"IPv4 in brackets", "10.0.0.1", {{"X-Forwarded-For", "[203.0.113.7]"}}, ""},
      {"open bracket", "10.0.0.1", {{"X-Forwarded-For", "[2001:4860::1"}}, ""},
      {"behind the bracket", "10.0.0.1", {{"X-Forwarded-For", "[2001:4860::1]x"}}, ""},
      {"zone", "10.0.0.1", {{"X-Forwarded-For", "fe80::1%eth0"}}, ""},
      {"two words", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7 203.0.113.8"}}, ""},
      {"short spelling of IPv4", "10.0.0.1", {{"X-Forwarded-For", "203.7"}}, ""},
      {"unknown peer's header is not believed", "", {{"X-Forwarded-For", "203.0.113.7"}}, ""},
  };
  for (const Case& one : cases) {
    http::Headers headers;
    for (const http::Header& header : one.headers) headers.add(header.name, header.value);
    const http::Peer peer{.address = one.peer, .port = 1, .tls = true};
    EXPECT_EQ(source_address(peer, headers, trusted), one.expected) << one.name;
  }
}

}  // namespace
}  // namespace holdfast::proxy
