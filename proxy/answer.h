// The answers that Holdfast itself gives on the data plane, in Graph's shape. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/message.h"
#include "proxy/call.h"

namespace holdfast::proxy {

struct ErrorAnswer {
  int status = 400;
  std::string code;                   // HoldfastDenied, …
  std::string message;                // What happened and what to do about it.
  nlohmann::json holdfast;            // innerError.holdfast; null when there is nothing to say.
  std::vector<http::Header> headers;  // Besides the usual ones.
};

http::Response error_response(const ErrorAnswer& answer, const Call& call, WallTime now);

http::Response json_response(int status, const nlohmann::json& body);

}  // namespace holdfast::proxy
