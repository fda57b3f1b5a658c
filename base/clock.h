// Time, as a port, so that tests decide what time it is.
//
// Two kinds on purpose: wall time is what records and rules speak of and may jump; steady time is
// for deadlines and durations and never does.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

// UTC, to the microsecond: what PostgreSQL's timestamptz keeps.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

// Implementations are safe to call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime now() const = 0;
  virtual SteadyTime steady_now() const = 0;
};

// The machine's clocks. Lives as long as the program.
const Clock& system_clock();

// The times of one writer: the clock's, but never earlier than one before. For one thread.
class RisingTimes {
 public:
  // The clock must outlive this.
  explicit RisingTimes(const Clock& clock) : clock_(clock) {}

  WallTime next() {
    reach(clock_.now());
    return last_;
  }
  // No time is earlier than this from here on.
  void reach(WallTime time) { last_ = std::max(last_, time); }

 private:
  const Clock& clock_;
  WallTime last_;
};

// RFC 3339 in UTC with six decimals: 2026-10-05T08:00:00.000000Z. One spelling per instant.
std::string to_rfc3339(WallTime time);

// Any RFC 3339 date-time, offset included. kInvalid names the text that was not one.
Result<WallTime> parse_rfc3339(std::string_view text);

// The Date header's form (RFC 9110, 5.6.7): Mon, 05 Oct 2026 08:00:00 GMT.
std::string to_http_date(WallTime time);

}  // namespace holdfast
