// Pauses between tries of what fails: they double, from a least to a greatest.
//
//   if (const std::optional<Error> pause = backoff.pause()) return *pause;
//   Status done = try_it();
//   done.ok() ? backoff.succeeded() : backoff.failed(done.error());
//
// For one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast {

class Backoff {
 public:
  // The clock must outlive it.
  Backoff(std::chrono::milliseconds least, std::chrono::milliseconds greatest, const Clock& clock)
      : least_(least), greatest_(greatest), clock_(clock) {}

  // Why not to try now: what the last try ended with. Nothing: try.
  std::optional<Error> pause() const {
    if (clock_.steady_now() < until_) return last_error_;
    return std::nullopt;
  }

  void succeeded() {
    failures_ = 0;
    until_ = {};
  }
  void failed(Error error) {
    last_error_ = std::move(error);
    const std::chrono::milliseconds doubled = least_ * (1 << std::min(failures_++, 16));
    until_ = clock_.steady_now() + std::min(doubled, greatest_);
  }

 private:
  const std::chrono::milliseconds least_;
  const std::chrono::milliseconds greatest_;
  const Clock& clock_;
  int failures_ = 0;
  SteadyTime until_{};
  Error last_error_;
};

}  // namespace holdfast
