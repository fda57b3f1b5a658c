// How many refusals may be recorded one by one, so that nobody can flood the log: a rate for all
// callers that are not verified together, and one for each verified caller. What goes beyond is
// counted, and the count is recorded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/token_bucket.h"

namespace holdfast::proxy {

struct RefusalRates {
  double unverified_per_second = 20;
  double verified_per_second = 5;
  double burst_seconds = 30;  // How much of the rate can be saved up.
};

// What was refused without a record of its own since the last time it was asked.
struct UnrecordedRefusals {
  std::int64_t unverified = 0;
  std::int64_t verified = 0;
  WallTime since;
};

// Safe from any thread. Knows at most 10,000 verified callers at once and forgets full budgets
// first.
class RefusalBudget {
 public:
  explicit RefusalBudget(RefusalRates rates, const Clock& clock) : rates_(rates), clock_(clock) {}

  // Whether a refusal of this caller gets a record of its own; if not it is counted. An empty key
  // stands for everyone who is not verified.
  bool admit(const std::string& caller_key) HOLDFAST_EXCLUDES(mutex_);

  // The count so far, which starts again from zero; nullopt when there is none.
  std::optional<UnrecordedRefusals> take_unrecorded() HOLDFAST_EXCLUDES(mutex_);

  // Puts a count back that could not be recorded.
  void restore(const UnrecordedRefusals& count) HOLDFAST_EXCLUDES(mutex_);

 private:
  BucketRate rate_of(const std::string& caller_key) const;
  void forget_idle_callers() HOLDFAST_REQUIRES(mutex_);

  const RefusalRates rates_;
  const Clock& clock_;
  Mutex mutex_;
  std::unordered_map<std::string, TokenBucket> buckets_ HOLDFAST_GUARDED_BY(mutex_);
  std::optional<UnrecordedRefusals> unrecorded_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::proxy
