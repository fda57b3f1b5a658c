// A hold that comes into force while approved calls are sent: behind the record that brings it, no
// call goes on that was decided without it.
#include <array>

#include "tests/integration/approval_fixture.h"
#include "tests/integration/generation_fixture.h"
#include "tests/integration/held_lock.h"

namespace holdfast::testing {
namespace {

using audit::Receipt;

class HoldRace : public ApprovalTest {
 protected:
  void SetUp() override {
    ApprovalTest::SetUp();
    for (std::size_t i = 0; i < spools_.size(); ++i) {
      proxies_.push_back(
          std::make_unique<Replica>(open_replica(spools_.at(i)), database("holdfast_proxy")));
      proxies_[i]->list(held_);
      proxies_[i]->write(rules_text("a", kHold, kHolds));
      proxies_[i]->start(approval::PeopleNeeded::kOne);
      ASSERT_TRUE(eventually([&] { return proxies_[i]->number() == 1; }));
    }
  }
  void TearDown() override {
    proxies_.clear();
    ApprovalTest::TearDown();
  }

  // The proxy reads a list with one more mailbox.
  std::future<Status> hold_one_more(Replica& proxy, int round) {
    held_ += "held" + std::to_string(round) + "@contoso.com\n";
    proxy.list(held_);
    return proxy.watcher().reload();
  }
  // The approved call as the proxy decides it at this moment.
  std::future<Result<Receipt>> claiming(Replica& proxy, const approval::Approval& seen) {
    audit::Record made = claim_record(seen);
    made.generation = proxy.number();
    made.content["decision"] = {{"rules_generation", made.generation}};
    return runner_.start(proxy.log().append_intent(std::move(made), request("")));
  }
  // Whether it went on. One that did not was overtaken, by the hold or by another claim.
  static bool went_on(std::future<Result<Receipt>> claim) {
    const Result<Receipt> receipt = claim.get();
    if (!receipt.ok()) {
      EXPECT_TRUE(receipt.error().code == ErrorCode::kNotFound ||
                  receipt.error().code == ErrorCode::kRefused)
          << receipt.error().message;
    }
    return receipt.ok();
  }
  std::string held_ = "held@contoso.com\n";
  std::array<TemporaryDirectory, 4> spools_;
  std::vector<std::unique_ptr<Replica>> proxies_;
};

TEST_F(HoldRace, race_of_a_new_hold_against_claims_on_four_replicas) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    ASSERT_TRUE(consent(code, officer(1)).ok());
    const approval::Approval seen = approval_of(code);
    // The one that reads the hold claims nothing: it would wait for itself.
    Replica& reader = *proxies_[static_cast<std::size_t>(round) % 4];
    std::vector<std::future<Result<Receipt>>> claims;
    const auto claim_elsewhere = [&] {
      for (const auto& proxy : proxies_) {
        if (proxy.get() != &reader) claims.push_back(claiming(*proxy, seen));
      }
    };
    std::future<Status> reload;
    if (round % 2 == 0) {
      // The hold is about to be written when the claims come.
      HeldLock head(database("postgres").url, kLogHead);
      reload = hold_one_more(reader, round);
      ASSERT_TRUE(head.is_met_by(1));
      claim_elsewhere();
      ASSERT_TRUE(head.is_met_by(4));
      head.release();
    } else {
      reload = hold_one_more(reader, round);
      claim_elsewhere();
    }
    ASSERT_TRUE(reload.get().ok());
    int claimed = 0;
    for (auto& claim : claims) claimed += went_on(std::move(claim)) ? 1 : 0;
    EXPECT_LE(claimed, round % 2);
    EXPECT_EQ(state(code), claimed == 1 ? "CLAIMED" : "APPROVED");
    for (const auto& proxy : proxies_) {
      ASSERT_TRUE(eventually([&] { return proxy->number() == round + 2; }));
    }
    // The next time the call is sent, it is decided with the hold, and the approval is over.
    audit::Record end = step_record(audit::Kind::kDecision, audit::ApprovalStep::kInvalidate,
                                    approval::invalidation(approval_of(code), "hold"));
    EXPECT_NE(runner_.run(replica_->append(std::move(end))).ok(), claimed == 1);
    EXPECT_FALSE(went_on(claiming(reader, seen)));
  }
  EXPECT_EQ(value(kLateIntents), "0");
}

}  // namespace
}  // namespace holdfast::testing
