#include "identity/probe_budget.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast::identity {
namespace {

using namespace std::chrono_literals;
using BudgetVerdict = ProbeBudget::Verdict;

constexpr ProbeRates kRates{.failed_per_minute_and_address = 3, .failed_per_minute = 5};

TEST(ProbeBudget, BoundsEachAddress) {
  testing::FakeClock clock;
  ProbeBudget budget(kRates, clock);
  for (int each = 0; each < 3; ++each) EXPECT_EQ(budget.take("a"), BudgetVerdict::kAsk);
  EXPECT_EQ(budget.take("a"), BudgetVerdict::kAddressOverRate);
  EXPECT_EQ(budget.take("b"), BudgetVerdict::kAsk);
  clock.advance(20s);
  EXPECT_EQ(budget.take("a"), BudgetVerdict::kAsk);
  EXPECT_EQ(budget.take("a"), BudgetVerdict::kAddressOverRate);
}

TEST(ProbeBudget, BoundsAllTogether) {
  testing::FakeClock clock;
  ProbeBudget budget(kRates, clock);
  for (const char* address : {"a", "b", "c", "d", "e"}) {
    EXPECT_EQ(budget.take(address), BudgetVerdict::kAsk);
  }
  EXPECT_EQ(budget.take("f"), BudgetVerdict::kOverRate);
  clock.advance(12s);
  EXPECT_EQ(budget.take("f"), BudgetVerdict::kAsk);
}

TEST(ProbeBudget, AcceptedTokensCostNothing) {
  testing::FakeClock clock;
  ProbeBudget budget(kRates, clock);
  for (int each = 0; each < 100; ++each) {
    ASSERT_EQ(budget.take("a"), BudgetVerdict::kAsk);
    budget.give_back("a");
  }
}

TEST(ProbeBudget, AddressesItCannotRememberHaveTheRateForAll) {
  testing::FakeClock clock;
  ProbeBudget budget({.failed_per_minute_and_address = 1, .failed_per_minute = 10'003}, clock);
  for (int each = 0; each < 10'000; ++each) {
    ASSERT_EQ(budget.take(std::to_string(each)), BudgetVerdict::kAsk);
  }
  for (int each = 0; each < 3; ++each) EXPECT_EQ(budget.take("new"), BudgetVerdict::kAsk);
  EXPECT_EQ(budget.take("new"), BudgetVerdict::kOverRate);
  EXPECT_EQ(budget.take("1"), BudgetVerdict::kAddressOverRate);
  clock.advance(1min);
  EXPECT_EQ(budget.take("new"), BudgetVerdict::kAsk);
  EXPECT_EQ(budget.take("new"), BudgetVerdict::kAddressOverRate);
}

}  // namespace
}  // namespace holdfast::identity
