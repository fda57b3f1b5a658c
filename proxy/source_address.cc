#include "proxy/source_address.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string_view>

#include "http/admission.h"

namespace holdfast::proxy {
namespace {

namespace ip = boost::asio::ip;

// Takes the last element off a comma-separated list.
std::string_view take_last(std::string_view& list) {
  const std::size_t comma = list.rfind(',');
  std::string_view last = list.substr(comma == std::string_view::npos ? 0 : comma + 1);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
  while (!last.empty() && (last.front() == ' ' || last.front() == '\t')) last.remove_prefix(1);
  while (!last.empty() && (last.back() == ' ' || last.back() == '\t')) last.remove_suffix(1);
  return last;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The address of an entry, without its port.
std::string_view without_port(std::string_view entry) {
  if (entry.starts_with('[')) {
    const std::size_t end = entry.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view rest = entry.substr(end + 1);
    const std::string_view address = entry.substr(1, end - 1);
    const bool is_ipv6 = address.find(':') != std::string_view::npos;
    return is_ipv6 && (rest.empty() || (rest[0] == ':' && is_port(rest.substr(1)))) ? address : "";
  }
  const std::size_t colon = entry.find(':');
  const bool is_ipv6 = colon != entry.rfind(':');
  if (colon == std::string_view::npos || is_ipv6) return entry;
  return is_port(entry.substr(colon + 1)) ? entry.substr(0, colon) : "";
}

// One spelling for each address; empty for what is none.
std::string address_of(std::string_view entry) {
  boost::system::error_code failed;
  const auto address = ip::make_address(std::string(without_port(entry)), failed);
  // A zone means something on one machine only.
  if (failed || entry.find('%') != std::string_view::npos) return {};
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

}  // namespace

std::string source_address(const http::Peer& peer, const http::Headers& headers,
                           const std::vector<approval::Network>& trusted) {
  std::string source = peer.address;
  const std::string forwarded = headers.joined("X-Forwarded-For");
  std::string_view hops = forwarded;
  bool is_last = headers.count("X-Forwarded-For") == 0;
  while (!is_last && approval::is_in_any(source, trusted)) {
    is_last = hops.find(',') == std::string_view::npos;
    source = address_of(take_last(hops));
  }
  return source;
}

std::string share_group(std::string_view source, const std::vector<approval::Network>& trusted) {
  const bool is_shared = !trusted.empty() && approval::is_in_any(source, trusted);
  return is_shared ? std::string() : http::address_group(source);
}

bool is_for_operators(const http::Request& request, std::string_view source,
                      const std::vector<approval::Network>& allowed,
                      const std::vector<approval::Network>& trusted) {
  const http::Headers& headers = request.head.headers;
  const bool forwarded = headers.find("X-Forwarded-For") != nullptr ||
                         headers.find("Forwarded") != nullptr || headers.find("Via") != nullptr;
  if (forwarded && !approval::is_in_any(request.peer.address, trusted)) return false;
  return approval::is_in_any(source, allowed);
}

}  // namespace holdfast::proxy
