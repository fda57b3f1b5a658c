// Where reviews stand, as officers ask for it. They change only by records (audit::ApprovalStep);
// this port reads.
//
// Safe to call from any thread; a coroutine resumes on the executor it awaited on. kUnavailable,
// kTimeout, kLimit: no answer now, and nothing may be concluded.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "approval/review.h"
#include "base/result.h"
#include "base/task.h"

namespace holdfast::approval {

struct ReviewFilter {
  std::vector<ReviewState> states;     // Empty: any.
  std::optional<std::int64_t> before;  // Numbers below it.
  int at_most = 50;
};

class ReviewSource {
 public:
  virtual ~ReviewSource() = default;

  // nullopt: there is none.
  virtual Task<Result<std::optional<Review>>> find(Uuid code) = 0;

  // Newest first.
  virtual Task<Result<std::vector<Review>>> list(ReviewFilter filter) = 0;
};

}  // namespace holdfast::approval
