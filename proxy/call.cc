#include "proxy/call.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace holdfast::proxy {
namespace {

constexpr std::size_t kClientRequestIdBytesMax = 128;

// It is echoed, recorded and forwarded, so only what is harmless in all three counts as an id.
bool is_usable_request_id(std::string_view id) {
  return !id.empty() && id.size() <= kClientRequestIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

Call begin_call(http::Request request, std::string source_ip, WallTime now) {
  Call call{.request = std::move(request),
            .source_ip = std::move(source_ip),
            .content = std::nullopt,
            .operation_id = make_uuid_v7(now),
            .request_id = to_string(make_uuid_v4()),
            .client_request_id = {},
            .client_sent_request_id = false,
            .received = now};
  const std::string_view id = call.request.head.headers.get("client-request-id");
  call.client_sent_request_id = is_usable_request_id(id);
  call.client_request_id = call.client_sent_request_id ? std::string(id) : call.request_id;
  return call;
}

}  // namespace holdfast::proxy
