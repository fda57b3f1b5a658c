#include "base/wakeup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <future>

namespace holdfast {
namespace {

using namespace std::chrono_literals;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int to_read() const { return ends_[0]; }
  void write() const { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }

 private:
  std::array<int, 2> ends_{};
};

TEST(WakeupTest, WhatCameBeforeTheWaitEndsItOnce) {
  Wakeup wakeup;
  wakeup.notify();
  wakeup.notify();
  wakeup.wait(1h);
  const auto begun = std::chrono::steady_clock::now();
  wakeup.wait(20ms);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 20ms);
}

TEST(WakeupTest, WakesFromAnotherThread) {
  Wakeup wakeup;
  const auto woken = std::async(std::launch::async, [&wakeup] { wakeup.wait(1h); });
  wakeup.notify();
  EXPECT_EQ(woken.wait_for(60s), std::future_status::ready);
}

TEST(WakeupTest, WakesForASocket) {
  Wakeup wakeup;
  const Pipe pipe;
  pipe.write();
  wakeup.wait(1h, pipe.to_read());
  wakeup.wait(1h, pipe.to_read());  // Until somebody has read it.
}

TEST(WakeupTest, ATimeThatHasPassedIsNoWait) {
  Wakeup wakeup;
  wakeup.wait(-1s);
}

}  // namespace
}  // namespace holdfast
