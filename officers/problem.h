// The audit service's answers: JSON, and errors as RFC 9457 problems. Pure.
#pragma once

#include <string>

#include "http/message.h"

namespace holdfast::officers {

http::Response json_response(int status, std::string json);

// application/problem+json: type about:blank, the status and its phrase, and `detail`: one sentence
// for a person. Where a query parameter is at fault, `parameter` names it.
http::Response problem(int status, std::string detail, std::string parameter = {});

// 401, asking for a bearer token (RFC 6750).
http::Response unauthenticated(std::string detail);

}  // namespace holdfast::officers
