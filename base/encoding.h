// Text forms of bytes: hex, Base64 (RFC 4648) and percent-encoding (RFC 3986). Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// Of a hex digit in either case; -1 for another character.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Lower-case hex.
std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);

// RFC 4648 section 4, padded. Decoding is strict: wrong padding, stray characters and non-zero
// trailing bits are refused.
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

// RFC 4648 section 5 without padding, as JWTs use it (RFC 7515).
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

// Decodes every %XX once. nullopt when a % is not followed by two hex digits.
std::optional<std::string> percent_decode(std::string_view text);

// Encodes all but RFC 3986's unreserved characters: safe as one path segment or query value.
std::string percent_encode(std::string_view text);

// ASCII only, and nothing else: what HTTP and OData names compare by.
std::string ascii_lower(std::string_view text);
bool ascii_iequals(std::string_view a, std::string_view b);

// Whether the bytes are well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates.
bool is_utf8(std::string_view bytes);

// Bytes from outside as text that a record can hold: the first `bytes_max`, control characters
// replaced by '?', and where the rest is not UTF-8, every byte beyond ASCII as well.
std::string to_text(std::string_view bytes, std::size_t bytes_max = std::string_view::npos);

}  // namespace holdfast
