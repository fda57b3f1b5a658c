// The audit service's answers: JSON, and errors as RFC 9457 problems. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "http/message.h"

namespace holdfast::officers {

http::Response json_response(int status, std::string json);
// The same of a value; what is not UTF-8 in it is replaced.
http::Response json_response(int status, const nlohmann::json& body);

// application/problem+json: type about:blank, the status and its phrase, and `detail`: one sentence
// for a person. Where a query parameter is at fault, `parameter` names it.
http::Response problem(int status, std::string detail, std::string parameter = {});

// 405; `allowed` are the methods that are served, as Allow lists them.
http::Response method_not_allowed(const std::string& allowed);

// 401, asking for a bearer token (RFC 6750).
http::Response unauthenticated(std::string detail);

}  // namespace holdfast::officers
