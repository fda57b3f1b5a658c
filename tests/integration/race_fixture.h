// Four proxies and two audit services as logs on one database, and a place where their appends
// meet.
#pragma once

#include <array>

#include "tests/integration/approval_fixture.h"
#include "tests/integration/held_lock.h"

namespace holdfast::testing {

class RaceTest : public ApprovalTest {
 protected:
  void SetUp() override {
    ApprovalTest::SetUp();
    other_officers_ = open_service();
    third_replica_ = open_replica(more_spools_[0]);
    fourth_replica_ = open_replica(more_spools_[1]);
  }
  void TearDown() override {
    other_officers_.reset();
    third_replica_.reset();
    fourth_replica_.reset();
    ApprovalTest::TearDown();
  }

  std::array<audit::LogPostgres*, 4> replicas() const {
    return {replica_.get(), other_replica_.get(), third_replica_.get(), fourth_replica_.get()};
  }

  // Runs `start` so that the appends it begins meet in every other round, and in the others go as
  // they come. Nobody meets at the log's head who is refused before: only at `place`, then.
  void race(int round, int appends, const std::function<void()>& start,
            const char* place = kLogHead) const {
    if (round % 2 == 1) return start();
    HeldLock held(database("postgres").url, place);
    start();
    EXPECT_TRUE(held.is_met_by(appends));
    held.release();
  }

  template <class T>
  using Attempts = std::vector<std::future<Result<T>>>;
  // How many came through. Each other one was refused as such.
  template <class T>
  static int successes(Attempts<T>& attempts) {
    int count = 0;
    for (auto& attempt : attempts) {
      const Result<T> result = attempt.get();
      count += result.ok() ? 1 : 0;
      if (!result.ok()) {
        EXPECT_EQ(result.error().code, ErrorCode::kRefused) << result.error().message;
      }
    }
    return count;
  }

  std::future<Result<audit::RecordRef>> officers_step(audit::LogPostgres& log,
                                                      audit::ApprovalStep step,
                                                      const Result<nlohmann::json>& content) {
    EXPECT_TRUE(content.ok()) << content.error().message;
    return runner_.start(log.append(step_record(audit::Kind::kApproval, step, *content)));
  }
  std::future<Result<audit::RecordRef>> approving(audit::LogPostgres& log,
                                                  const approval::Approval& seen,
                                                  const approval::Approver& by) {
    return officers_step(log, audit::ApprovalStep::kApprove,
                         approval::approve(seen, by, approval::TokenApprovals::kRefused, ""));
  }
  // The call is sent again, to every replica.
  void claim_everywhere(const approval::Approval& seen, Attempts<audit::Receipt>& claims) {
    for (audit::LogPostgres* replica : replicas()) {
      claims.push_back(runner_.start(replica->append_intent(claim_record(seen), request(""))));
    }
  }

  Uuid approved_one(const std::string& item) {
    const Uuid code = file(item);
    EXPECT_TRUE(consent(code, officer(1)).ok());
    return code;
  }

  std::array<TemporaryDirectory, 2> more_spools_;
  std::unique_ptr<audit::LogPostgres> other_officers_;
  std::unique_ptr<audit::LogPostgres> third_replica_;
  std::unique_ptr<audit::LogPostgres> fourth_replica_;
};

}  // namespace holdfast::testing
