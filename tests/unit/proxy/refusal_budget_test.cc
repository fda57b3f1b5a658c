#include "proxy/refusal_budget.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast::proxy {
namespace {

using testing::FakeClock;

using namespace std::chrono_literals;

constexpr RefusalRates kRates{
    .unverified_per_second = 1, .verified_per_second = 1, .burst_seconds = 2};

TEST(RefusalBudget, RecordsUpToTheBurstAndCountsTheRest) {
  FakeClock clock;
  RefusalBudget budget(kRates, clock);
  EXPECT_TRUE(budget.admit(""));
  EXPECT_TRUE(budget.admit(""));
  EXPECT_FALSE(budget.admit(""));
  EXPECT_FALSE(budget.admit(""));
  const auto count = budget.take_unrecorded();
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(count->unverified, 2);
  EXPECT_EQ(count->verified, 0);
  EXPECT_EQ(count->since, clock.now());
  EXPECT_FALSE(budget.take_unrecorded().has_value());
}

TEST(RefusalBudget, RefillsWithTimeAndNoFurther) {
  FakeClock clock;
  RefusalBudget budget(kRates, clock);
  while (budget.admit("")) {
  }
  clock.advance(1s);
  EXPECT_TRUE(budget.admit(""));
  EXPECT_FALSE(budget.admit(""));
  clock.advance(1h);
  EXPECT_TRUE(budget.admit(""));
  EXPECT_TRUE(budget.admit(""));
  EXPECT_FALSE(budget.admit(""));
}

TEST(RefusalBudget, VerifiedCallersHaveOneEach) {
  FakeClock clock;
  RefusalBudget budget(kRates, clock);
  while (budget.admit("tenant/a")) {
  }
  EXPECT_TRUE(budget.admit("tenant/b"));
  EXPECT_TRUE(budget.admit(""));
  EXPECT_EQ(budget.take_unrecorded()->verified, 1);
}

TEST(RefusalBudget, AFailedCountIsNotLost) {
  FakeClock clock;
  RefusalBudget budget(kRates, clock);
  const WallTime first = clock.now();
  while (budget.admit("")) {
  }
  const auto taken = budget.take_unrecorded();
  clock.advance(1ms);
  EXPECT_FALSE(budget.admit(""));
  budget.restore(*taken);
  const auto total = budget.take_unrecorded();
  EXPECT_EQ(total->unverified, 2);
  EXPECT_EQ(total->since, first);
}

TEST(RefusalBudget, MoreCallersThanItKnowsAreCountedNotForgotten) {
  FakeClock clock;
  RefusalBudget budget(kRates, clock);
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(budget.admit("caller/" + std::to_string(i)));
  EXPECT_FALSE(budget.admit("caller/one-more"));
  EXPECT_TRUE(budget.admit("caller/1")) << "a known caller keeps its budget";
  clock.advance(3s);
  EXPECT_TRUE(budget.admit("caller/one-more"));
}

}  // namespace
}  // namespace holdfast::proxy
