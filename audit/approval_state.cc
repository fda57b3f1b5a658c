#include "audit/approval_state.h"

#include <algorithm>
#include <array>
#include <utility>

namespace holdfast::audit {
namespace {

using enum ApprovalState;

constexpr std::array<std::pair<ApprovalState, std::string_view>, 11> kStates = {
    {{kPending, "PENDING"},
     {kApproved, "APPROVED"},
     {kRejected, "REJECTED"},
     {kCancelled, "CANCELLED"},
     {kExpired, "EXPIRED"},
     {kInvalidated, "INVALIDATED"},
     {kClaimed, "CLAIMED"},
     {kRevoked, "REVOKED"},
     {kExecuted, "EXECUTED"},
     {kUnknown, "UNKNOWN"},
     {kFailed, "FAILED"}}};

}  // namespace

std::string_view to_string(ApprovalState state) {
  const auto found = std::ranges::find(kStates, state, [](const auto& row) { return row.first; });
  return found->second;
}

std::optional<ApprovalState> parse_approval_state(std::string_view text) {
  const auto found = std::ranges::find(kStates, text, [](const auto& row) { return row.second; });
  if (found == kStates.end()) return std::nullopt;
  return found->first;
}

}  // namespace holdfast::audit
