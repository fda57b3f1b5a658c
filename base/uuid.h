// UUIDs (RFC 9562): version 4 for secrets such as approval codes, version 7 where order in time
// helps, such as record and operation ids.
//
// A Uuid is a 16-byte value. The makers draw from the system's cryptographic generator and are safe
// to call from any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace holdfast {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  bool operator==(const Uuid&) const = default;
};

Uuid make_uuid_v4();
Uuid make_uuid_v7(WallTime time);

// Lower-case, with hyphens.
std::string to_string(const Uuid& uuid);
// The hyphenated form, in any case; nothing else.
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace holdfast
