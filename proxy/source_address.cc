#include "proxy/source_address.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace holdfast::proxy {
namespace {

bool is_trusted(std::string_view address, const std::vector<approval::Network>& trusted) {
  const std::optional<approval::IpAddress> ip = approval::parse_ip(address);
  return ip && std::any_of(trusted.begin(), trusted.end(), [&](const approval::Network& network) {
           return approval::contains(network, *ip);
         });
}

// Takes the last element off a comma-separated list.
std::string_view take_last(std::string_view& list) {
  const std::size_t comma = list.rfind(',');
  std::string_view last = list.substr(comma == std::string_view::npos ? 0 : comma + 1);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
  while (!last.empty() && (last.front() == ' ' || last.front() == '\t')) last.remove_prefix(1);
  while (!last.empty() && (last.back() == ' ' || last.back() == '\t')) last.remove_suffix(1);
  return last;
}

}  // namespace

std::string source_address(const http::Peer& peer, const http::Headers& headers,
                           const std::vector<approval::Network>& trusted) {
  std::string source = peer.address;
  const std::string forwarded = headers.joined("X-Forwarded-For");
  std::string_view hops = forwarded;
  while (is_trusted(source, trusted) && !hops.empty()) {
    const std::string_view hop = take_last(hops);
    if (!approval::parse_ip(hop)) break;
    source = hop;
  }
  return source;
}

}  // namespace holdfast::proxy
