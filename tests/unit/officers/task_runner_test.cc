#include "officers/task_runner.h"

#include <gtest/gtest.h>

namespace holdfast::officers {
namespace {

Task<void> set(bool& ran) {
  ran = true;
  co_return;
}

TEST(TaskRunner, runs_until_it_is_interrupted_and_nothing_after_that) {
  TaskRunner runner;
  bool ran = false;
  runner.run(set(ran));
  EXPECT_TRUE(ran);
  runner.interrupt();
  ran = false;
  runner.run(set(ran));
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace holdfast::officers
