// Errors in Graph's own shape, so that every Graph SDK reads Holdfast's as it reads Graph's:
// {"error":{"code","message","innerError":{"date","request-id","client-request-id","holdfast"}}}
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace holdfast::graph {

struct GraphError {
  std::string_view code;          // HoldfastDenied, InvalidAuthenticationToken, …
  std::string message;            // For a person: what happened and what to do next.
  std::string request_id;         // Made by Holdfast for this request.
  std::string client_request_id;  // Echoed; empty when the client sent none.
  nlohmann::json holdfast;        // Details for innerError.holdfast; null when there are none.
};

// The JSON text. Bytes that are not UTF-8 are replaced, never thrown over.
std::string error_body(const GraphError& error, WallTime now);

}  // namespace holdfast::graph
