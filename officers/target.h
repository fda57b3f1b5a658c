// A request target taken apart: path and query parameters, decoded as web forms are. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/queries.h"

namespace holdfast::officers {

struct Target {
  std::string path;                          // As received.
  std::vector<audit::Parameter> parameters;  // In order, decoded: %XX, and + as a space.
};

// nullopt when a % is not followed by two hex digits.
std::optional<Target> parse_target(std::string_view target);

// name=value&… with everything but RFC 3986's unreserved characters encoded.
std::string encode_query(const std::vector<audit::Parameter>& parameters);

}  // namespace holdfast::officers
