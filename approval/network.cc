#include "approval/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>
#include <utility>

namespace holdfast::approval {
namespace {

constexpr std::size_t kMappedPrefixBytes = 12;
constexpr unsigned kMappedPrefixBits = 96;
constexpr IpAddress kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const IpAddress& address) {
  return std::equal(address.begin(), address.begin() + kMappedPrefixBytes, kMapped.begin());
}

bool same_prefix(const IpAddress& a, const IpAddress& b, unsigned bits) {
  const unsigned bytes = bits / 8;
  if (!std::equal(a.begin(), a.begin() + bytes, b.begin())) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xffU << (8 - bits % 8) & 0xffU;
  return (a[bytes] & mask) == (b[bytes] & mask);
}

IpAddress first_bits(const IpAddress& address, unsigned bits) {
  IpAddress result{};
  const unsigned bytes = bits / 8;
  std::copy_n(address.begin(), bytes, result.begin());
  if (bits % 8 != 0) {
    const unsigned mask = 0xffU << (8 - bits % 8) & 0xffU;
    result[bytes] = static_cast<std::uint8_t>(address[bytes] & mask);
  }
  return result;
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  const std::string plain(text.substr(0, text.find('%')));
  if (plain.size() != std::strlen(plain.c_str())) return std::nullopt;
  IpAddress address = kMapped;
  if (inet_pton(AF_INET, plain.c_str(), address.data() + kMappedPrefixBytes) == 1) {
    return plain.size() == text.size() ? std::optional(address) : std::nullopt;
  }
  if (inet_pton(AF_INET6, plain.c_str(), address.data()) == 1) return address;
  return std::nullopt;
}

Result<Network> parse_network(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error{ErrorCode::kInvalid, "\"" + std::string(text) + "\" " + std::string(why)};
  };
  constexpr std::string_view kExpected = "is not an IP address or CIDR network";
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const std::optional<IpAddress> address = parse_ip(host);
  if (!address || host.find('%') != std::string_view::npos) return wrong(kExpected);
  Network network{*address, 128};
  if (slash == std::string_view::npos) return network;

  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size()) return wrong(kExpected);
  const bool is_ipv4 = host.find(':') == std::string_view::npos;
  if (bits > (is_ipv4 ? 32U : 128U)) return wrong(kExpected);
  network.prefix_bits = is_ipv4 ? kMappedPrefixBits + bits : bits;
  if (first_bits(network.address, network.prefix_bits) != network.address) {
    return wrong("has bits set after its prefix");
  }
  return network;
}

std::string to_string(const Network& network) {
  const bool is_ipv4 = is_mapped(network.address) && network.prefix_bits >= kMappedPrefixBits;
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_ipv4 ? AF_INET : AF_INET6,
            network.address.data() + (is_ipv4 ? kMappedPrefixBytes : 0), text.data(), text.size());
  return std::string(text.data()) + "/" +
         std::to_string(network.prefix_bits - (is_ipv4 ? kMappedPrefixBits : 0));
}

bool contains(const Network& network, const IpAddress& address) {
  const bool is_ipv4 = is_mapped(network.address) && network.prefix_bits >= kMappedPrefixBits;
  return is_ipv4 == is_mapped(address) &&
         same_prefix(network.address, address, network.prefix_bits);
}

std::optional<Network> network_around(const IpAddress& address, unsigned prefix_bits) {
  if (is_mapped(address) && prefix_bits < kMappedPrefixBits) return std::nullopt;
  return Network{first_bits(address, prefix_bits), prefix_bits};
}

NetworkSet::NetworkSet(std::vector<Network> networks) : networks_(std::move(networks)) {
  std::ranges::sort(networks_);
  const auto repeats = std::ranges::unique(networks_);
  networks_.erase(repeats.begin(), repeats.end());
  std::set<unsigned> lengths;
  for (const Network& network : networks_) lengths.insert(network.prefix_bits);
  prefix_bits_.assign(lengths.begin(), lengths.end());
}

bool NetworkSet::holds(const IpAddress& address) const {
  return std::ranges::any_of(prefix_bits_, [&](unsigned bits) {
    const std::optional<Network> network = network_around(address, bits);
    return network && std::ranges::binary_search(networks_, *network);
  });
}

bool is_in_any(std::string_view address, const std::vector<Network>& networks) {
  const std::optional<IpAddress> ip = parse_ip(address);
  return ip && std::any_of(networks.begin(), networks.end(),
                           [&](const Network& network) { return contains(network, *ip); });
}

}  // namespace holdfast::approval
