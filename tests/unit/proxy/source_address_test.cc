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
      {"garbage counts as its reporter",
       "10.0.0.1",
       {{"X-Forwarded-For", "203.0.113.7, unknown"}},
       "10.0.0.1"},
      {"empty element", "10.0.0.1", {{"X-Forwarded-For", "203.0.113.7,"}}, "10.0.0.1"},
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
