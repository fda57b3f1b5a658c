// IP networks in CIDR form, for conditions on where a call comes from. Pure values, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::approval {

// IPv4 is kept as IPv4-mapped IPv6, so that 10.0.0.1 and ::ffff:10.0.0.1 are one address.
using IpAddress = std::array<std::uint8_t, 16>;

struct Network {
  IpAddress address{};
  unsigned prefix_bits = 128;  // Of the 128; an IPv4 /8 is 104 here.
  auto operator<=>(const Network&) const = default;
};

// nullopt for anything but one IPv4 or IPv6 address; an IPv6 zone (%eth0) is ignored.
std::optional<IpAddress> parse_ip(std::string_view text);

// "10.0.0.0/8", "2001:db8::/32", or one address. kInvalid, without a place, for anything else, and
// for bits set after the prefix: those are nearly always a slip.
Result<Network> parse_network(std::string_view text);

// In CIDR form, an IPv4 network as such.
std::string to_string(const Network& network);

// IPv6 networks never hold IPv4 addresses: ::/0 means all of IPv6.
bool contains(const Network& network, const IpAddress& address);

// The network of so many bits that holds the address; nullopt for an IPv4 address where those are
// fewer than an IPv4 network has.
std::optional<Network> network_around(const IpAddress& address, unsigned prefix_bits);

// Networks that an address is found in without looking at each.
class NetworkSet {
 public:
  NetworkSet() = default;
  explicit NetworkSet(std::vector<Network> networks);

  bool holds(const IpAddress& address) const;
  const std::vector<Network>& sorted() const { return networks_; }

 private:
  std::vector<Network> networks_;      // Each once.
  std::vector<unsigned> prefix_bits_;  // All there are.
};

// Whether an address is one, and in one of the networks.
bool is_in_any(std::string_view address, const std::vector<Network>& networks);

}  // namespace holdfast::approval
