// How long a peer may keep us waiting for one message: so long at a time, and in all that long once
// more than its bytes are worth at the least rate. Only time spent waiting for this peer counts, so
// that one side is not blamed for the other's slowness.
//
// A value for one coroutine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace holdfast::http {

class Pace {
 public:
  // No rate: only each wait is bounded.
  explicit Pace(std::chrono::milliseconds patience, std::size_t bytes_per_second_min = 0)
      : patience_(patience), bytes_per_second_min_(bytes_per_second_min) {}

  void moved(std::size_t bytes) { bytes_ += bytes; }
  // A wait is over that allowance() was asked for, and nothing has moved since.
  void waited(SteadyTime::duration time) {
    bounded_by_rate_ = left() < patience_;
    waited_ += time;
  }

  // How long the next wait may be.
  SteadyTime::duration allowance() const {
    return std::min(SteadyTime::duration(patience_), left());
  }

  // Where the last wait was too long: whether for the rate, rather than for one wait.
  bool too_slow_on_average() const { return bounded_by_rate_; }

 private:
  SteadyTime::duration left() const {
    if (bytes_per_second_min_ == 0) return SteadyTime::duration::max();
    const std::chrono::duration<double> worth(static_cast<double>(bytes_) /
                                              static_cast<double>(bytes_per_second_min_));
    // A thousand hours of credit are enough, and cannot overflow.
    const std::chrono::duration<double> capped =
        std::min<std::chrono::duration<double>>(worth, std::chrono::hours(1'000));
    return patience_ + std::chrono::duration_cast<SteadyTime::duration>(capped) - waited_;
  }

  std::chrono::milliseconds patience_;
  std::size_t bytes_per_second_min_;
  std::size_t bytes_ = 0;
  SteadyTime::duration waited_{};
  bool bounded_by_rate_ = false;
};

}  // namespace holdfast::http
