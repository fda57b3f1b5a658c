#include "proxy/forwarding.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"

namespace holdfast::proxy {
namespace {

// A gateway behind us that obeyed one of these would do something else than was classified.
constexpr std::array<std::string_view, 3> kMethodOverrides{"X-HTTP-Method-Override",
                                                           "X-HTTP-Method", "X-Method-Override"};

constexpr std::array<std::string_view, 2> kApprovalHeaders{"x-msft-approval-justification",
                                                           "x-msft-approval-code"};

// What is meant for Holdfast is nobody else's business.
void remove_prefixed(http::Headers& headers, std::string_view prefix) {
  std::vector<std::string> names;
  for (const http::Header& header : headers) {
    if (ascii_iequals(std::string_view(header.name).substr(0, prefix.size()), prefix)) {
      names.push_back(header.name);
    }
  }
  for (const std::string& name : names) headers.remove(name);
}

}  // namespace

http::RequestHead forwarded_head(const http::RequestHead& head) {
  http::RequestHead forwarded = head;
  forwarded.minor_version = 1;
  http::Headers& headers = forwarded.headers;
  headers.remove_hop_by_hop();
  headers.remove("Expect");  // Answered here: it asks the next hop, which is us.
  headers.remove("Host");
  headers.remove("Content-Length");
  remove_prefixed(headers, "Holdfast-");
  for (const std::string_view name : kMethodOverrides) headers.remove(name);
  return forwarded;
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
