#include "base/shared_budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace holdfast {
namespace {

using Answer = SharedBudget::Answer;

TEST(SharedBudget, AClientGetsAQuarterOverAllItsAccounts) {
  SharedBudget budget(40);
  const SharedBudget::Account account(budget, "a");
  const SharedBudget::Account same(budget, "a");
  SharedBudget::Share one(account);
  {
    SharedBudget::Share other(same);
    EXPECT_EQ(one.take(6), Answer::kTaken);
    EXPECT_EQ(other.take(4), Answer::kTaken);
    EXPECT_EQ(one.take(1), Answer::kOverPart);
    EXPECT_EQ(budget.used(), 10u);
  }
  EXPECT_EQ(budget.used(), 6u);
  EXPECT_EQ(one.take(4), Answer::kTaken) << "given back to the client, too";
  EXPECT_EQ(one.take(static_cast<std::size_t>(-1)), Answer::kOverPart);
}

TEST(SharedBudget, AllClientsTogetherGetWhatThereIs) {
  SharedBudget budget(10, 6);
  const SharedBudget::Account first(budget, "a");
  const SharedBudget::Account second(budget, "b");
  SharedBudget::Share one(first);
  SharedBudget::Share other(second);
  EXPECT_EQ(one.take(6), Answer::kTaken);
  EXPECT_EQ(other.take(5), Answer::kOverAll);
  EXPECT_EQ(budget.used(), 6u);
  {
    SharedBudget::Share more(second);
    EXPECT_EQ(more.take(1), Answer::kTaken);
  }
  EXPECT_EQ(one.take(1), Answer::kOverPart);
}

TEST(SharedBudget, NobodysPartIsLessThanOneTakerMayNeed) {
  SharedBudget few(3);
  const SharedBudget::Account account(few, "a");
  SharedBudget::Share share(account);
  EXPECT_EQ(share.take(1), Answer::kTaken);
  EXPECT_EQ(share.take(1), Answer::kOverPart);
  SharedBudget bytes(1'000, 800);
  const SharedBudget::Account other(bytes, "a");
  SharedBudget::Share body(other);
  EXPECT_EQ(body.take(800), Answer::kTaken);
  EXPECT_EQ(body.take(1), Answer::kOverPart);
}

TEST(SharedBudget, WhoCannotBeToldApartHasNoPart) {
  SharedBudget budget(8);
  const SharedBudget::Account balancer(budget, "");
  SharedBudget::Share share(balancer);
  EXPECT_EQ(share.take(8), Answer::kTaken);
  EXPECT_EQ(share.take(1), Answer::kOverAll);
  EXPECT_EQ(budget.clients(), 0u);
}

TEST(SharedBudget, ForgetsAClientWithItsLastAccount) {
  SharedBudget budget(8);
  {
    const SharedBudget::Account first(budget, "a");
    {
      const SharedBudget::Account again(budget, "a");
      const SharedBudget::Account other(budget, "b");
      EXPECT_EQ(budget.clients(), 2u);
    }
    EXPECT_EQ(budget.clients(), 1u);
  }
  EXPECT_EQ(budget.clients(), 0u);
}

TEST(SharedBudget, ThreadsComeAndGo) {
  SharedBudget budget(4);
  const auto come_and_go = [&budget] {
    for (int each = 0; each < 1'000; ++each) {
      const SharedBudget::Account account(budget, each % 2 == 0 ? "a" : "b");
      SharedBudget::Share share(account);
      static_cast<void>(share.take(1));
    }
  };
  std::vector<std::thread> threads;
  for (int each = 0; each < 4; ++each) threads.emplace_back(come_and_go);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(budget.clients(), 0u);
}

}  // namespace
}  // namespace holdfast
