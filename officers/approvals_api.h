// Officers' side of approvals: the queue, one approval whole, and the decisions on it. Every answer
// is recorded before it leaves: readings as access records, decisions as the approval records that
// take them.
#pragma once

#include <string_view>

#include "officers/access.h"
#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kApprovals = "/api/v1/approvals";
inline constexpr std::string_view kOneApproval = "/api/v1/approvals/{code}";
inline constexpr std::string_view kApprove = "/api/v1/approvals/{code}/approve";
inline constexpr std::string_view kReject = "/api/v1/approvals/{code}/reject";
inline constexpr std::string_view kRevoke = "/api/v1/approvals/{code}/revoke";

// Both must live until the task is done. Decisions that are not the officer's to take are 403,
// those that nobody can take any more 409, both with one sentence that begins "You can't".
Task<http::Response> answer_approvals(const ApiServices& services, const Asked& asked);

}  // namespace holdfast::officers
