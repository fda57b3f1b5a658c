// Where an upstream is: the scheme, host and port of an http or https URL.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::http {

struct Origin {
  bool tls = true;
  std::string host{};       // Without brackets.
  std::string port{};       // Always set.
  std::string authority{};  // For the Host header: with the port where it was written.
};

// kInvalid when it is not scheme://host or scheme://host:port, with nothing behind.
Result<Origin> parse_origin(std::string_view text);

}  // namespace holdfast::http
