#include "graph/error.h"

namespace holdfast::graph {

std::string error_body(const GraphError& error, WallTime now) {
  using nlohmann::json;
  // Graph's innerError date has seconds and no zone: 2025-02-13T10:17:05
  json inner = {{"date", to_rfc3339(now).substr(0, 19)}, {"request-id", error.request_id}};
  if (!error.client_request_id.empty()) inner["client-request-id"] = error.client_request_id;
  if (!error.holdfast.is_null()) inner["holdfast"] = error.holdfast;
  const json body = {
      {"error",
       {{"code", error.code}, {"message", error.message}, {"innerError", std::move(inner)}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace holdfast::graph
