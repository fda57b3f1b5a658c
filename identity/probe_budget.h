// How many of Holdfast's questions about unknown tokens may end without an accepted caller, so that
// nobody can have it flood Graph with forged ones: a rate for each client address and one for all.
//
// A probe takes from both before it is sent, and gives back when Graph accepts the token: callers
// who are who they say never wait, unless they share an address with one who is not.
#pragma once

#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/token_bucket.h"

namespace holdfast::identity {

// A whole minute's worth can be saved up.
struct ProbeRates {
  int failed_per_minute_and_address = 300;
  int failed_per_minute = 3'000;
};

// Safe from any thread. Knows at most 10,000 addresses that probes failed for in the last minute;
// further ones have the rate for all only.
class ProbeBudget {
 public:
  enum class Verdict { kAsk, kAddressOverRate, kOverRate };

  // The clock must outlive the budget.
  ProbeBudget(const ProbeRates& rates, const Clock& clock);

  // Whether a probe for a client at this address may be sent.
  Verdict take(const std::string& address) HOLDFAST_EXCLUDES(mutex_);
  // Graph accepted the token of the last one.
  void give_back(const std::string& address) HOLDFAST_EXCLUDES(mutex_);

 private:
  void forget_idle_addresses(SteadyTime now) HOLDFAST_REQUIRES(mutex_);

  const BucketRate address_rate_;
  const BucketRate total_rate_;
  const Clock& clock_;
  Mutex mutex_;
  TokenBucket total_ HOLDFAST_GUARDED_BY(mutex_);
  std::unordered_map<std::string, TokenBucket> by_address_ HOLDFAST_GUARDED_BY(mutex_);
  SteadyTime forgot_at_ HOLDFAST_GUARDED_BY(mutex_){};
};

}  // namespace holdfast::identity
