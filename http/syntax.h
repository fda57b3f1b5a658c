// The character classes and list syntax of HTTP (RFC 9110, 5.6). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::http {

// Whether all bytes are token characters, and there is at least one.
bool is_token(std::string_view text);

// Whether all bytes may stand in a field value: visible, space, tab and 0x80 to 0xFF.
bool is_field_value(std::string_view text);

// Without the spaces and tabs around it.
std::string_view trim(std::string_view text);

// Calls `visit` with each element of a comma-separated list, trimmed; empty ones are skipped.
template <class Visitor>
void for_each_token(std::string_view list, Visitor visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view token = trim(list.substr(0, comma));
    if (!token.empty()) visit(token);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// Whether a list names the token, in any case.
bool list_contains(std::string_view list, std::string_view token);

// Digits only, at most 18 of them, so that no sum of two can overflow.
std::optional<std::uint64_t> parse_length(std::string_view digits);

// Whether a field of that name concerns one connection only (RFC 9110, 7.6.1).
bool is_hop_by_hop(std::string_view name);

// Whether a name is Content-Length or Transfer-Encoding but for its marks, such as Content_Length:
// behind some gateways the two are one, and then this would frame the body.
bool resembles_framing(std::string_view name);

// Whether whoever names that field in Connection would take away what a request is judged by.
bool decides_meaning(std::string_view name);

// Whether a field of that name is meant for everybody, so that a Connection header that names it
// is not obeyed.
bool is_end_to_end(std::string_view name);

// A host, with or without a port: a name, an IPv4 address or a bracketed IPv6 address.
bool is_authority(std::string_view text);

}  // namespace holdfast::http
