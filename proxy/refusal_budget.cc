#include "proxy/refusal_budget.h"

#include <algorithm>

namespace holdfast::proxy {
namespace {

constexpr std::size_t kCallersMax = 10'000;

}  // namespace

BucketRate RefusalBudget::rate_of(const std::string& caller_key) const {
  const double per_second =
      caller_key.empty() ? rates_.unverified_per_second : rates_.verified_per_second;
  return {.per_second = per_second, .burst = per_second * rates_.burst_seconds};
}

bool RefusalBudget::admit(const std::string& caller_key) {
  const BucketRate rate = rate_of(caller_key);
  const SteadyTime steady_now = clock_.steady_now();
  MutexLock lock(mutex_);
  if (buckets_.size() >= kCallersMax) forget_idle_callers();
  if (buckets_.size() < kCallersMax || buckets_.contains(caller_key)) {
    const auto bucket = buckets_.try_emplace(caller_key, rate, steady_now).first;
    if (bucket->second.take(rate, steady_now)) return true;
  }
  if (!unrecorded_) unrecorded_ = UnrecordedRefusals{.since = clock_.now()};
  ++(caller_key.empty() ? unrecorded_->unverified : unrecorded_->verified);
  return false;
}

// A caller that was quiet for a whole burst has a full budget again, which is what a new one gets.
void RefusalBudget::forget_idle_callers() {
  const SteadyTime now = clock_.steady_now();
  std::erase_if(buckets_, [&](const auto& entry) {
    return entry.second.is_full_again(rate_of(entry.first), now);
  });
}

std::optional<UnrecordedRefusals> RefusalBudget::take_unrecorded() {
  MutexLock lock(mutex_);
  std::optional<UnrecordedRefusals> count;
  count.swap(unrecorded_);
  return count;
}

void RefusalBudget::restore(const UnrecordedRefusals& count) {
  MutexLock lock(mutex_);
  if (!unrecorded_) {
    unrecorded_ = count;
    return;
  }
  unrecorded_->unverified += count.unverified;
  unrecorded_->verified += count.verified;
  unrecorded_->since = std::min(unrecorded_->since, count.since);
}

}  // namespace holdfast::proxy
