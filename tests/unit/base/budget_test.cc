#include "base/budget.h"

#include <gtest/gtest.h>

#include "base/token_bucket.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;

TEST(Budget, GivesNoMoreThanThereIsAndTakesItBack) {
  Budget budget(10);
  {
    Budget::Share one(budget);
    Budget::Share other(budget);
    EXPECT_TRUE(one.take(6));
    EXPECT_FALSE(other.take(5));
    EXPECT_TRUE(other.take(4));
    EXPECT_FALSE(one.take(1));
    EXPECT_EQ(budget.used(), 10u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(Budget, NoAmountIsTooLargeToRefuse) {
  Budget budget(10);
  Budget::Share share(budget);
  EXPECT_TRUE(share.take(1));
  EXPECT_FALSE(share.take(static_cast<std::size_t>(-1)));
  EXPECT_EQ(budget.used(), 1u);
}

TEST(TokenBucket, GivesABurstAndThenTheRate) {
  const BucketRate rate{.per_second = 2, .burst = 3};
  SteadyTime now{};
  TokenBucket bucket(rate, now);
  for (int each = 0; each < 3; ++each) EXPECT_TRUE(bucket.take(rate, now));
  EXPECT_FALSE(bucket.take(rate, now));
  now += 500ms;
  EXPECT_TRUE(bucket.take(rate, now));
  EXPECT_FALSE(bucket.take(rate, now));
  bucket.give_back(rate);
  EXPECT_TRUE(bucket.take(rate, now));
  EXPECT_FALSE(bucket.is_full_again(rate, now + 1s));
  EXPECT_TRUE(bucket.is_full_again(rate, now + 1500ms));
}

}  // namespace
}  // namespace holdfast
