// The PROXY protocol, version 2: what a load balancer that passes TLS through writes in front of a
// connection to say where it comes from. (haproxy.org/download/2.8/doc/proxy-protocol.txt)
//
// Version 1, its text form, is refused: it has no length, so its end has to be guessed.
//
//   ProxyHeader header = parse_proxy_header(received);
//   while (header.state == ProxyHeader::State::kNeedMore) {
//     // Read on until there are header.size bytes, and parse all of them again.
//   }
//
// Pure, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::http {

// Addresses take at most 232 bytes; what follows them are notes about the connection (TLVs), which
// nothing here needs. A longer header is refused unread.
inline constexpr std::size_t kProxyHeaderBytesMax = 4 * 1024;

struct ProxyHeader {
  enum class State { kNeedMore, kDone, kInvalid };
  enum class Source {
    kBalancer,  // The balancer speaks for itself: a health check.
    kClient,    // `address` and `port`.
    kUnknown,   // A client, of which the balancer says nothing that names an internet address.
  };
  State state = State::kInvalid;
  // kDone: the header's. kNeedMore: how many bytes are known to belong to it, more than there were.
  std::size_t size = 0;
  Source source = Source::kUnknown;
  std::string address{};
  std::uint16_t port = 0;
  std::string_view why{};  // kInvalid: one line.
};

// `bytes`: what has come so far, from the connection's first byte on.
ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace holdfast::http
