#include "http/syntax.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/encoding.h"

namespace holdfast::http {
namespace {

constexpr std::array<bool, 256> table_of(std::string_view members, bool alphanumeric) {
  std::array<bool, 256> table{};
  for (const char c : members) table[static_cast<unsigned char>(c)] = true;
  if (!alphanumeric) return table;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  return table;
}

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
constexpr std::array<bool, 256> kToken = table_of(kTokenMarks, true);
constexpr std::array<bool, 256> kTokenMark = table_of(kTokenMarks, false);
constexpr std::array<bool, 256> kHostName = table_of("-._~", true);
constexpr std::array<bool, 256> kIpLiteral = table_of(":.0123456789abcdefABCDEF", false);
constexpr std::array<bool, 256> kDigit = table_of("0123456789", false);

bool all_in(std::string_view text, const std::array<bool, 256>& table) {
  return std::ranges::all_of(text, [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

// 1 for what may not stand in a field value, else 0; without a branch.
constexpr unsigned char is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  const auto low = static_cast<unsigned char>(byte < 0x20) & static_cast<unsigned char>(c != '\t');
  return static_cast<unsigned char>(low | static_cast<unsigned char>(byte == 0x7F));
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && all_in(text, kDigit) && *parse_length(text) <= 65535;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && all_in(text, kToken);
}

bool is_field_value(std::string_view text) {
  // A token is over a thousand bytes and checked on its way in and out: blocks of a known size are
  // what the compiler turns into vector instructions.
  constexpr std::size_t kBlock = 32;
  for (; text.size() >= kBlock; text.remove_prefix(kBlock)) {
    const char* const block = text.data();
    unsigned char controls = 0;
    for (std::size_t i = 0; i < kBlock; ++i) controls |= is_control(block[i]);
    if (controls != 0) return false;
  }
  return std::ranges::none_of(text, [](char c) { return is_control(c) != 0; });
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool list_contains(std::string_view list, std::string_view token) {
  bool found = false;
  for_each_token(list, [&](std::string_view each) { found |= ascii_iequals(each, token); });
  return found;
}

std::optional<std::uint64_t> parse_length(std::string_view digits) {
  if (digits.empty() || digits.size() > 18 || !all_in(digits, kDigit)) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

bool is_hop_by_hop(std::string_view name) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
       "te", "trailer", "transfer-encoding", "upgrade"});
  return std::ranges::any_of(kNames, [&](auto hop) { return ascii_iequals(name, hop); });
}

bool resembles_framing(std::string_view name) {
  static constexpr auto kFraming = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"content-length", "contentlength"}, {"transfer-encoding", "transferencoding"}});
  // Most names end here, without a look at their bytes.
  if (name.size() < kFraming[0].second.size()) return false;
  const auto is_mark = [](char c) { return kTokenMark[static_cast<unsigned char>(c)]; };
  return std::ranges::any_of(kFraming, [&](const auto& framing) {
    if (ascii_iequals(name, framing.first)) return false;
    std::string_view expected = framing.second;
    for (const char c : name) {
      if (is_mark(c)) continue;
      if (expected.empty() || !ascii_iequals({&c, 1}, expected.substr(0, 1))) return false;
      expected.remove_prefix(1);
    }
    return expected.empty();
  });
}

bool decides_meaning(std::string_view name) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"authorization", "content-length", "content-type", "host", "prefer", "transfer-encoding"});
  return std::ranges::any_of(kNames, [&](auto each) { return ascii_iequals(name, each); });
}

bool is_end_to_end(std::string_view name) {
  static constexpr auto kNames = std::to_array<std::string_view>({"authorization",
                                                                  "cache-control",
                                                                  "client-request-id",
                                                                  "content-encoding",
                                                                  "content-length",
                                                                  "content-location",
                                                                  "content-range",
                                                                  "content-type",
                                                                  "cookie",
                                                                  "date",
                                                                  "etag",
                                                                  "expect",
                                                                  "host",
                                                                  "if-match",
                                                                  "if-modified-since",
                                                                  "if-none-match",
                                                                  "if-range",
                                                                  "if-unmodified-since",
                                                                  "location",
                                                                  "prefer",
                                                                  "preference-applied",
                                                                  "range",
                                                                  "request-id",
                                                                  "retry-after",
                                                                  "set-cookie",
                                                                  "vary",
                                                                  "via",
                                                                  "www-authenticate",
                                                                  "x-forwarded-for",
                                                                  "x-msft-approval-code",
                                                                  "x-msft-approval-justification"});
  return std::ranges::any_of(kNames, [&](auto each) { return ascii_iequals(name, each); });
}

bool is_authority(std::string_view text) {
  std::string_view port;
  std::string_view host = text;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (host.find(':') == std::string_view::npos || !all_in(host, kIpLiteral)) return false;
  } else {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
    if (host.empty() || host.size() > 255 || !all_in(host, kHostName)) return false;
  }
  return port.empty() || (port.front() == ':' && is_port(port.substr(1)));
}

}  // namespace holdfast::http
