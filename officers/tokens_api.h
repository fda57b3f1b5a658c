// API tokens over HTTP: what there are, a new one, and the end of one. Listing is recorded as
// reading is; making and revoking by the records that do it.
#pragma once

#include <chrono>
#include <string_view>

#include "officers/access.h"
#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kTokens = "/api/v1/tokens";
inline constexpr std::string_view kRevokeToken = "/api/v1/tokens/{id}/revoke";

// How long a token may last.
constexpr std::chrono::seconds kTokenLifeMin{60};
constexpr std::chrono::seconds kTokenLifeMax = std::chrono::days(366);

// Both must live until the task is done. Any officer may list; making and revoking take the role
// admin (403). A token has no role that its maker lacks, but that auditor is part of each; and it
// makes no tokens itself, so that nothing outlasts the revocation of one that leaked.
Task<http::Response> answer_tokens(const ApiServices& services, const Asked& asked);

}  // namespace holdfast::officers
