#include "proxy/forwarding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::proxy {
namespace {

constexpr std::string_view kPseudonym = "holdfast";  // In Via, so that no host name of ours leaks.

constexpr std::array<std::string_view, 2> kApprovalHeaders{"x-msft-approval-justification",
                                                           "x-msft-approval-code"};

// Last segments of the paths to a message's or a file's bytes.
constexpr std::array<std::string_view, 3> kBytes{"$value", "content", "contentStream"};

// Some servers take `_` in a field's name for `-`.
bool is_any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  std::string dashed(name);
  std::ranges::replace(dashed, '_', '-');
  return std::ranges::any_of(names, [&](auto each) { return ascii_iequals(dashed, each); });
}

// What does not travel on whichever connection it came by.
bool stays_here(std::string_view name) {
  constexpr std::string_view kOurs = "Holdfast-";
  // Framing and Host are made anew. Expect is answered here: it asks the next hop, which is us.
  return is_any_of(name, {"Host", "Content-Length", "Expect"}) ||
         // A gateway behind us that obeyed one of these would do something else than was
         // classified.
         is_any_of(name, {"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}) ||
         // The same for those that some servers take the target or the host from.
         is_any_of(name, {"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Host", "X-Original-Host",
                          "Forwarded"}) ||
         // What is meant for Holdfast is nobody else's business.
         ascii_iequals(name.substr(0, kOurs.size()), kOurs);
}

std::optional<std::uint64_t> max_forwards(const http::RequestHead& head) {
  if (head.method != "OPTIONS") return std::nullopt;
  return http::parse_length(head.headers.get("Max-Forwards"));
}

}  // namespace

bool asks_for_bytes(std::string_view target) {
  const std::string_view raw = target.substr(0, target.find('?'));
  const std::string path = percent_decode(raw).value_or(std::string(raw));
  std::string_view last;
  bool is_name = false;  // Between the colons of `root:/folder/file:` all segments are names.
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
    if (!segment.empty()) last = segment;
    if (segment.ends_with(':')) is_name = !is_name;
  }
  return !is_name &&
         std::ranges::any_of(kBytes, [&](auto name) { return ascii_iequals(last, name); });
}

http::RequestHead forwarded_head(http::RequestHead head) {
  const std::optional<std::uint64_t> hops = max_forwards(head);
  http::Headers& headers = head.headers;
  headers.remove_hop_by_hop();
  headers.remove_if(stays_here);
  if (hops && *hops > 0) headers.set("Max-Forwards", std::to_string(*hops - 1));
  headers.add("Via", "1." + std::to_string(head.minor_version) + " " + std::string(kPseudonym));
  head.minor_version = 1;
  return head;
}

http::RequestHead passed_head(http::RequestHead head) {
  http::RequestHead passed = forwarded_head(std::move(head));
  if (!asks_for_bytes(passed.target)) passed.headers.set("Accept-Encoding", "identity");
  return passed;
}

bool ends_here(const http::RequestHead& head) {
  return max_forwards(head) == std::uint64_t{0};
}

http::Response offered_methods() {
  http::Response response{.status = 204};
  response.headers.add("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  return response;
}

audit::OutboundRequest outbound_request(const Call& call) {
  audit::OutboundRequest outbound{.head = forwarded_head(call.request.head),
                                  .body = call.content.value_or("")};
  http::Headers& headers = outbound.head.headers;
  for (const std::string_view name : kApprovalHeaders) headers.remove(name);
  headers.set("client-request-id", call.client_request_id);
  headers.set("Accept-Encoding", "identity");
  return outbound;
}

void strip_connection_fields(http::Response& response) {
  response.headers.remove_hop_by_hop();
}

}  // namespace holdfast::proxy
