// Officers' side of reviews: which calls went past their approval, one whole, and the finding that
// closes it. Every answer is recorded before it leaves: readings as access records, a finding as
// the approval record that closes the review.
#pragma once

#include <string_view>

#include "officers/access.h"
#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kReviews = "/api/v1/reviews";
inline constexpr std::string_view kOneReview = "/api/v1/reviews/{code}";
inline constexpr std::string_view kCloseReview = "/api/v1/reviews/{code}/close";

// Both must live until the task is done. A review that is not the officer's to close is 403, one
// that is closed 409, both with one sentence that begins "You can't".
Task<http::Response> answer_reviews(const ApiServices& services, const Asked& asked);

}  // namespace holdfast::officers
