// Points in time for waits on the network, on the clock that Asio's timers go by.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace holdfast::http {

inline SteadyTime steady_now() {
  return std::chrono::steady_clock::now();
}

inline SteadyTime from_now(std::chrono::milliseconds span) {
  return steady_now() + span;
}

}  // namespace holdfast::http
