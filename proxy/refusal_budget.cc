#include "proxy/refusal_budget.h"

#include <algorithm>

namespace holdfast::proxy {
namespace {

constexpr std::size_t kCallersMax = 10'000;

}  // namespace

bool RefusalBudget::admit(const std::string& caller_key) {
  const bool verified = !caller_key.empty();
  const double per_second = verified ? rates_.verified_per_second : rates_.unverified_per_second;
  const WallTime now = clock_.now();
  MutexLock lock(mutex_);
  if (buckets_.size() >= kCallersMax) forget_idle_callers();
  if (buckets_.size() < kCallersMax || buckets_.contains(caller_key)) {
    const auto [bucket, is_new] = buckets_.try_emplace(caller_key);
    if (is_new) {
      bucket->second = {.tokens = per_second * rates_.burst_seconds, .filled = clock_.steady_now()};
    }
    if (take_token(bucket->second, per_second)) return true;
  }
  if (!unrecorded_) unrecorded_ = UnrecordedRefusals{.since = now};
  ++(verified ? unrecorded_->verified : unrecorded_->unverified);
  return false;
}

bool RefusalBudget::take_token(Bucket& bucket, double per_second) {
  const SteadyTime now = clock_.steady_now();
  const std::chrono::duration<double> elapsed = now - bucket.filled;
  bucket.filled = now;
  bucket.tokens =
      std::min(bucket.tokens + elapsed.count() * per_second, per_second * rates_.burst_seconds);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

// A caller that was quiet for a whole burst has a full budget again, which is what a new one gets.
void RefusalBudget::forget_idle_callers() {
  const SteadyTime now = clock_.steady_now();
  const std::chrono::duration<double> burst(rates_.burst_seconds);
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.filled >= burst; });
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
