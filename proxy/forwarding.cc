#include "proxy/forwarding.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/encoding.h"

namespace holdfast::proxy {
namespace {

constexpr std::array<std::string_view, 2> kApprovalHeaders{"x-msft-approval-justification",
                                                           "x-msft-approval-code"};

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](auto each) { return ascii_iequals(name, each); });
}

// What does not travel on whichever connection it came by.
bool stays_here(std::string_view name) {
  constexpr std::string_view kOurs = "Holdfast-";
  // Framing and Host are made anew. Expect is answered here: it asks the next hop, which is us.
  return is_any_of(name, {"Host", "Content-Length", "Expect"}) ||
         // A gateway behind us that obeyed one of these would do something else than was
         // classified.
         is_any_of(name, {"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}) ||
         // What is meant for Holdfast is nobody else's business.
         ascii_iequals(name.substr(0, kOurs.size()), kOurs);
}

}  // namespace

http::RequestHead forwarded_head(http::RequestHead head) {
  head.minor_version = 1;
  head.headers.remove_hop_by_hop();
  head.headers.remove_if(stays_here);
  return head;
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
