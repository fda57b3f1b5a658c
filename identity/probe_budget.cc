#include "identity/probe_budget.h"

namespace holdfast::identity {
namespace {

constexpr std::size_t kAddressesMax = 10'000;

BucketRate rate_of(int per_minute) {
  return {.per_second = per_minute / 60.0, .burst = static_cast<double>(per_minute)};
}

}  // namespace

ProbeBudget::ProbeBudget(const ProbeRates& rates, const Clock& clock)
    : address_rate_(rate_of(rates.failed_per_minute_and_address)),
      total_rate_(rate_of(rates.failed_per_minute)),
      clock_(clock),
      total_(total_rate_, clock.steady_now()) {}

ProbeBudget::Verdict ProbeBudget::take(const std::string& address) {
  const SteadyTime now = clock_.steady_now();
  MutexLock lock(mutex_);
  if (by_address_.size() >= kAddressesMax) forget_idle_addresses(now);
  auto own = by_address_.find(address);
  if (own == by_address_.end() && by_address_.size() < kAddressesMax) {
    own = by_address_.emplace(address, TokenBucket(address_rate_, now)).first;
  }
  if (own != by_address_.end() && !own->second.take(address_rate_, now)) {
    return Verdict::kAddressOverRate;
  }
  if (total_.take(total_rate_, now)) return Verdict::kAsk;
  if (own != by_address_.end()) own->second.give_back(address_rate_);
  return Verdict::kOverRate;
}

void ProbeBudget::give_back(const std::string& address) {
  MutexLock lock(mutex_);
  total_.give_back(total_rate_);
  const auto own = by_address_.find(address);
  if (own != by_address_.end()) own->second.give_back(address_rate_);
}

// At most once a second, because it looks at all of them.
void ProbeBudget::forget_idle_addresses(SteadyTime now) {
  if (now - forgot_at_ < std::chrono::seconds(1)) return;
  forgot_at_ = now;
  std::erase_if(by_address_,
                [&](const auto& entry) { return entry.second.is_full_again(address_rate_, now); });
}

}  // namespace holdfast::identity
