// JSON, read strictly and written canonically.
//
// Pure functions over nlohmann::json; nothing throws across this header.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

// The last whole number that every reader keeps (RFC 8259, 6): 2^53 - 1.
inline constexpr std::int64_t kJsonIntegerMax = 9007199254740991;
// Values in values, no deeper.
inline constexpr int kJsonDepthMax = 64;

// Parses one JSON text. Refuses what nlohmann alone would let pass: duplicate keys, invalid UTF-8,
// nesting over 64 levels, anything after the value. The message says at which byte.
Result<nlohmann::json> parse_json(std::string_view text);

// The bytes a record is made of: RFC 8785 order and escapes, keys sorted by UTF-16 code units, no
// white space. Narrower than RFC 8785: floats are refused (their text differs between
// implementations), as are integers beyond ±(2^53-1) and invalid UTF-8. kInvalid names the place as
// a JSON pointer.
Result<std::string> canonical_json(const nlohmann::json& value);

// The order of names in canonical JSON: by UTF-16 code units. Both are UTF-8.
bool utf16_less(std::string_view a, std::string_view b);

// Appends `utf8`, which must be UTF-8, as RFC 8785 writes a string.
void append_json_string(std::string& out, std::string_view utf8);

// The text at a JSON pointer; empty where there is none.
std::string text_at(const nlohmann::json& document, const char* pointer);

}  // namespace holdfast
