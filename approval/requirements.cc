#include "approval/requirements.h"

#include <re2/re2.h>

#include <algorithm>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

constexpr std::string_view kJustificationHeader = "x-msft-approval-justification";
constexpr std::string_view kTicketHeader = "Holdfast-Ticket";

Error invalid(std::string_view header, const std::string& why) {
  return {ErrorCode::kInvalid, std::string(header) + " " + why};
}

// Of well-formed UTF-8: every byte but the continuation bytes begins a character.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

// Without what nobody can read: blanks at both ends, and characters that take no place on a page.
std::string readable(std::string text) {
  static const re2::RE2 invisible(
      R"([\p{Cf}\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180D}\x{2800}\x{3164})"
      R"(\x{FE00}-\x{FE0F}\x{FFA0}\x{E0000}-\x{E0FFF}])");
  static const re2::RE2 blank_ends(R"(^[\pZ\p{Cc}]+|[\pZ\p{Cc}]+$)");
  re2::RE2::GlobalReplace(&text, invisible, "");
  re2::RE2::GlobalReplace(&text, blank_ends, "");
  return text;
}

bool has_control_character(std::string_view text, std::string_view allowed) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && allowed.find(c) == std::string_view::npos;
  });
}

Status check_justification(std::size_t minimum, const std::optional<std::string>& justification) {
  const std::size_t count = justification ? characters(readable(*justification)) : 0;
  if (justification && characters(*justification) > kJustificationCharactersMax) {
    return invalid(
        kJustificationHeader,
        "must have at most " + std::to_string(kJustificationCharactersMax) + " characters");
  }
  if (count >= minimum) return {};
  const std::string needed = "at least " + std::to_string(minimum) + " characters";
  if (!justification) return invalid(kJustificationHeader, "is required, with " + needed);
  return invalid(kJustificationHeader, "must have " + needed + ", it has " + std::to_string(count));
}

// Takes time in proportion to the text, whatever the pattern: callers choose their tickets.
re2::RE2::Options linear() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  return options;
}

}  // namespace

Status check_ticket_pattern(const std::string& pattern) {
  const re2::RE2 compiled(pattern, linear());
  if (compiled.ok()) return {};
  return Error{ErrorCode::kInvalid, compiled.error()};
}

Result<std::string> decode_justification(std::string_view header) {
  // Four bytes a character at most, in four thirds as many of Base64.
  constexpr std::size_t kHeaderBytesMax = (kJustificationCharactersMax * 4 + 2) / 3 * 4;
  const std::optional<std::string> text =
      header.size() > kHeaderBytesMax ? std::nullopt : from_base64(header);
  if (!text || !is_utf8(*text) || has_control_character(*text, "\t\r\n")) {
    return invalid(kJustificationHeader, "must be Base64 of UTF-8 text of at most " +
                                             std::to_string(kJustificationCharactersMax) +
                                             " characters");
  }
  const Status fits = check_justification(0, text);
  if (!fits.ok()) return fits.error();
  return *text;
}

Status check_requirements(const Requirements& requirements,
                          const std::optional<std::string>& justification,
                          const std::optional<std::string>& ticket) {
  Status justified = check_justification(requirements.justification_min, justification);
  if (!justified.ok()) return justified;
  if (ticket && (ticket->size() > kTicketBytesMax || !is_utf8(*ticket) ||
                 has_control_character(*ticket, ""))) {
    return invalid(kTicketHeader,
                   "must be plain text of at most " + std::to_string(kTicketBytesMax) + " bytes");
  }
  for (const std::string& pattern : requirements.ticket_patterns) {
    if (!ticket) return invalid(kTicketHeader, "is required, matching " + pattern);
    if (!re2::RE2::FullMatch(*ticket, re2::RE2(pattern, linear())))
      return invalid(kTicketHeader, "must match " + pattern);
  }
  return {};
}

}  // namespace holdfast::approval
