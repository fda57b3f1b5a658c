// A review as a value: what a call that went past its approval leaves to do for an officer. It is
// opened by the call's intent and closed by an officer's record, both through the database
// (schema/0009_reviews.sql).
//
//   OPEN -> CLOSED; OVERDUE in between, once its time has run out
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/approval.h"
#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::approval {

enum class ReviewState : std::uint8_t { kOpen, kOverdue, kClosed };

std::string_view to_string(ReviewState state);  // OPEN, OVERDUE, CLOSED
std::optional<ReviewState> parse_review_state(std::string_view text);

// An approval that waits, as somebody saw it who goes past it.
struct Overridden {
  Uuid code;
  std::int64_t step = 0;  // How many it had taken.
};

// What a call that goes past its approval opens.
struct Opening {
  Uuid code;
  std::vector<std::string> rules;  // The break_glass rules that let it, by id.
  std::chrono::seconds review_within{0};
  Sha256 binding{};                       // Of the call, as approvals are bound to it.
  std::optional<Overridden> overrides{};  // What ends with it; nullopt: no approval waits.
};

struct Review {
  Uuid code;
  std::int64_t number = 0;  // In the order of opening.
  ReviewState state = ReviewState::kOpen;
  std::string opened_at;  // RFC 3339
  std::string review_by;
  Identity requester;
  Uuid operation_id;        // Of the call.
  nlohmann::json document;  // As the database has it, for showing.
};

// kInternal: the database says something else.
Result<Review> read_review(nlohmann::json document);

// The `review` member of the record that takes the step.
nlohmann::json opening(const Opening& opening, const Identity& requester);
// kRefused: this officer may not; kInvalid: nobody may any more. Both say why in one sentence.
Result<nlohmann::json> close(const Review& review, const Approver& approver, TokenApprovals tokens,
                             std::string_view finding);

}  // namespace holdfast::approval
