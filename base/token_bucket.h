// A rate with a burst: how often something may happen, and how much of that can be saved up.
// A value; whoever shares it locks.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace holdfast {

struct BucketRate {
  double per_second = 1;
  double burst = 1;  // At most so many at once.
};

class TokenBucket {
 public:
  TokenBucket(const BucketRate& rate, SteadyTime now) : tokens_(rate.burst), filled_(now) {}

  // Whether it may happen now, once.
  bool take(const BucketRate& rate, SteadyTime now) {
    const std::chrono::duration<double> elapsed = now - filled_;
    filled_ = now;
    tokens_ = std::min(tokens_ + elapsed.count() * rate.per_second, rate.burst);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

  // As if the last time had not been.
  void give_back(const BucketRate& rate) { tokens_ = std::min(tokens_ + 1, rate.burst); }

  // Idle for so long that it is as good as a new one.
  bool is_full_again(const BucketRate& rate, SteadyTime now) const {
    const std::chrono::duration<double> elapsed = now - filled_;
    return elapsed.count() * rate.per_second >= rate.burst;
  }

 private:
  double tokens_;
  SteadyTime filled_;
};

}  // namespace holdfast
