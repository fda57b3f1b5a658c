// Reviews in memory, as tests want them to be. For one thread.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "approval/review_source.h"

namespace holdfast::approval {

class FakeReviews final : public ReviewSource {
 public:
  // As the database shows a review of a call of that requester, in that state.
  Review& add(Uuid code, const Identity& requester, ReviewState state) {
    nlohmann::json filing =
        opening({.code = code, .review_within = std::chrono::hours(1)}, requester);
    filing["operation"] = {{"action", "recall"}};
    filing["operation_id"] = to_string(code);
    filing["request"] = {{"justification", "a leak"}};
    filing["rules"] = {"incident"};
    const nlohmann::json document = {{"number", static_cast<std::int64_t>(all.size() + 1)},
                                     {"code", to_string(code)},
                                     {"state", to_string(state)},
                                     {"opened_at", "2026-10-05T08:00:00.000000Z"},
                                     {"review_by", "2026-10-06T08:00:00.000000Z"},
                                     {"filing", std::move(filing)},
                                     {"history", nlohmann::json::array()}};
    all.push_back(*read_review(document));
    return all.back();
  }

  Task<Result<std::optional<Review>>> find(Uuid code) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    const auto found = std::ranges::find(all, code, &Review::code);
    if (found == all.end()) co_return std::optional<Review>();
    co_return std::optional<Review>(*found);
  }
  Task<Result<std::vector<Review>>> list(ReviewFilter filter) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    std::vector<Review> found;
    for (auto review = all.rbegin(); review != all.rend(); ++review) {
      const bool wanted = filter.states.empty() ||
                          std::ranges::find(filter.states, review->state) != filter.states.end();
      const bool below = !filter.before || review->number < *filter.before;
      if (wanted && below && std::cmp_less(found.size(), filter.at_most)) found.push_back(*review);
    }
    co_return found;
  }

  std::vector<Review> all;  // In the order of opening.
  bool away = false;
};

}  // namespace holdfast::approval
