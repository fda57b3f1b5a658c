// Generations of rules over HTTP: what there are, what one changes, and whether one that waits
// takes effect. Reading is recorded; approving and rejecting are by the records that do it.
#pragma once

#include <string_view>

#include "officers/access.h"
#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kGenerations = "/api/v1/rules";
inline constexpr std::string_view kOneGeneration = "/api/v1/rules/{number}";
inline constexpr std::string_view kApproveGeneration = "/api/v1/rules/{number}/approve";
inline constexpr std::string_view kRejectGeneration = "/api/v1/rules/{number}/reject";

// Both must live until the task is done. Any officer may read. Deciding takes the role admin and a
// person who is known, and an API token only where those may approve (403); and the generation must
// still wait and have the hash that the officer means (409).
Task<http::Response> answer_generations(const ApiServices& services, const Asked& asked);

}  // namespace holdfast::officers
