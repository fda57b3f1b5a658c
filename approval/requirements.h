// What a caller has to bring along before a call may even wait for approval.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "approval/rules.h"
#include "base/result.h"

namespace holdfast::approval {

inline constexpr std::size_t kJustificationCharactersMax = 1024;
inline constexpr std::size_t kTicketBytesMax = 256;

// Whether that is a regular expression of RE2 (https://github.com/google/re2/wiki/Syntax): what a
// ticket may be matched with, in time that grows with the ticket alone. kInvalid: why not.
Status check_ticket_pattern(const std::string& pattern);

// The x-msft-approval-justification header: Base64 of UTF-8 text. kInvalid when it is not, holds
// control characters other than tab and line breaks, or is longer than
// kJustificationCharactersMax. Characters are Unicode code points.
Result<std::string> decode_justification(std::string_view header);

// Whether justification (decoded) and ticket satisfy what the matching rules demand. White space
// around a justification does not count; a ticket matches a pattern as a whole. What is present is
// held to its limits even where no rule asks for it. kInvalid: one line for the caller, naming the
// header that is missing or wrong.
Status check_requirements(const Requirements& requirements,
                          const std::optional<std::string>& justification,
                          const std::optional<std::string>& ticket);

}  // namespace holdfast::approval
