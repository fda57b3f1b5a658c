// A clock that stands still until a test moves it. Safe from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace holdfast::testing {

class FakeClock final : public Clock {
 public:
  WallTime now() const override { return kStart + elapsed(); }
  SteadyTime steady_now() const override { return SteadyTime(elapsed()); }

  void advance(std::chrono::microseconds time) { elapsed_us_ += time.count(); }

  // 2026-10-05T08:00:00Z
  static constexpr WallTime kStart{std::chrono::seconds(1'791'187'200)};

 private:
  std::chrono::microseconds elapsed() const { return std::chrono::microseconds(elapsed_us_); }

  std::atomic<std::int64_t> elapsed_us_ = 0;
};

}  // namespace holdfast::testing
