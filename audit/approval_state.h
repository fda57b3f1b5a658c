// Where an approval stands, as records name it:
//
//   PENDING  -> APPROVED | REJECTED | CANCELLED | EXPIRED | INVALIDATED
//   APPROVED -> CLAIMED | REVOKED | EXPIRED | INVALIDATED
//   CLAIMED  -> EXECUTED | UNKNOWN | FAILED; back to APPROVED on 401, 429 or not sent
//   UNKNOWN  -> EXECUTED | FAILED
//
// What takes an approval from one to the next is approval/approval.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::audit {

enum class ApprovalState : std::uint8_t {
  kPending,
  kApproved,
  kRejected,
  kCancelled,
  kExpired,
  kInvalidated,
  kClaimed,
  kRevoked,
  kExecuted,
  kUnknown,  // The call that claimed it was sent, and what became of it is not known yet.
  kFailed,   // Graph refused the call.
};

std::string_view to_string(ApprovalState state);  // PENDING, APPROVED, …
std::optional<ApprovalState> parse_approval_state(std::string_view text);

}  // namespace holdfast::audit
