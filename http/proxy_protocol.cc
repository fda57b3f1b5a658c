#include "http/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

namespace holdfast::http {
namespace {

namespace ip = boost::asio::ip;
using Source = ProxyHeader::Source;
using State = ProxyHeader::State;

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kFixedBytes = 16;  // Signature, version and command, family, length.

constexpr unsigned kLocal = 0x20;  // Version 2 in the upper half, the command in the lower.
constexpr unsigned kProxy = 0x21;
constexpr unsigned kTcpOverIpv4 = 0x11;  // Family in the upper half, transport in the lower.
constexpr unsigned kTcpOverIpv6 = 0x21;

unsigned byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<unsigned char>(bytes[index]);
}

std::uint16_t number_at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(bytes, index) << 8 | byte_at(bytes, index + 1));
}

ProxyHeader invalid(std::string_view why) {
  return {.state = State::kInvalid, .why = why};
}

template <class Address>
Address address_at(std::string_view bytes) {
  typename Address::bytes_type raw;
  std::copy_n(bytes.begin(), raw.size(), raw.begin());
  return Address(raw);
}

// `block` is what follows the fixed part: both addresses, both ports, TLVs.
ProxyHeader client_of(unsigned family, std::string_view block) {
  ProxyHeader header{.state = State::kDone, .size = kFixedBytes + block.size()};
  // Datagrams, Unix sockets and "unspecified" are well-formed, and name no address of a TCP client.
  const bool is_known = family >> 4 <= 3 && (family & 0xF) <= 2;
  if (!is_known) return invalid("an unknown address family or transport");
  if (family != kTcpOverIpv4 && family != kTcpOverIpv6) return header;
  const std::size_t address_bytes = family == kTcpOverIpv4 ? 4 : 16;
  if (block.size() < 2 * address_bytes + 4) return invalid("too short for its addresses");
  header.source = Source::kClient;
  header.port = number_at(block, 2 * address_bytes);
  if (family == kTcpOverIpv4) {
    header.address = address_at<ip::address_v4>(block).to_string();
    return header;
  }
  const auto address = address_at<ip::address_v6>(block);
  header.address = address.is_v4_mapped() ? ip::make_address_v4(ip::v4_mapped, address).to_string()
                                          : address.to_string();
  return header;
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (bytes.substr(0, kSignature.size()) != kSignature.substr(0, bytes.size())) {
    return invalid("no PROXY protocol header of version 2");
  }
  if (bytes.size() < kFixedBytes) return {.state = State::kNeedMore, .size = kFixedBytes};
  const unsigned command = byte_at(bytes, 12);
  if (command != kLocal && command != kProxy) return invalid("an unknown version or command");
  const std::size_t size = kFixedBytes + number_at(bytes, 14);
  if (size > kProxyHeaderBytesMax) return invalid("longer than any balancer has reason for");
  if (bytes.size() < size) return {.state = State::kNeedMore, .size = size};
  if (command == kLocal) {
    return {.state = State::kDone, .size = size, .source = Source::kBalancer};
  }
  return client_of(byte_at(bytes, 13), bytes.substr(kFixedBytes, size - kFixedBytes));
}

}  // namespace holdfast::http
