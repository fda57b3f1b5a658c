#include "base/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace holdfast {
namespace {

using namespace std::chrono_literals;

TEST(Loop, goes_on_at_once_while_there_is_more) {
  std::atomic<int> steps = 0;
  std::promise<void> third;
  Loop loop({.name = "test",
             .interval = 1h,
             .step = [&]() -> Result<bool> {
               if (++steps == 3) third.set_value();
               return steps < 3;
             },
             .interrupt = [] {}});
  third.get_future().wait();
  loop.stop();  // Within the hour.
  EXPECT_EQ(steps, 3);
}

TEST(Loop, tells_its_problem_until_it_works_again) {
  std::promise<void> failed;
  std::promise<void> repair;
  std::promise<void> worked;
  std::future<void> repaired = repair.get_future();
  int steps = 0;
  Loop loop({.name = "search",
             .interval = 1ms,
             .step = [&]() -> Result<bool> {
               ++steps;
               if (steps == 1) return Error{ErrorCode::kUnavailable, "database away"};
               if (steps == 2) {
                 failed.set_value();
                 repaired.wait();
               }
               if (steps == 3) worked.set_value();
               return false;
             },
             .interrupt = [] {}});
  failed.get_future().wait();
  EXPECT_EQ(loop.problem(), "search: database away");
  repair.set_value();
  worked.get_future().wait();
  EXPECT_FALSE(loop.problem());
}

TEST(Loop, stopping_interrupts_a_step_that_hangs) {
  std::promise<void> begun;
  std::promise<void> interrupted;
  std::future<void> released = interrupted.get_future();
  Loop loop({.name = "test",
             .interval = 1ms,
             .step = [&]() -> Result<bool> {
               begun.set_value();
               released.wait();
               return true;
             },
             .interrupt = [&] { interrupted.set_value(); }});
  begun.get_future().wait();
  loop.stop();
}

}  // namespace
}  // namespace holdfast
