// Who comes first is settled by the database: every race has one winner, whatever the replicas.
// Few rounds by default, many with FULL_TESTS=1.
#include "tests/integration/approval_fixture.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using audit::Kind;
using audit::RecordRef;
using testing::ApprovalTest;
using testing::officer;
using testing::terms;

class ApprovalRace : public ApprovalTest {
 protected:
  static int rounds() { return testing::environment("FULL_TESTS") == "1" ? 300 : 5; }

  using Attempt = std::future<Result<RecordRef>>;
  Attempt officers_step(ApprovalStep step, const Result<nlohmann::json>& content) {
    EXPECT_TRUE(content.ok()) << content.error().message;
    return runner_.start(officers_->append(step_record(Kind::kApproval, step, *content)));
  }
  Attempt approving(const Approval& seen, const Approver& by) {
    return officers_step(ApprovalStep::kApprove, approve(seen, by, TokenApprovals::kRefused, ""));
  }
  std::future<Result<audit::Receipt>> claiming(audit::LogPostgres& log, const Approval& seen) {
    return runner_.start(log.append_intent(claim_record(seen), request("")));
  }
  // Exactly one of two came through; the other was refused as such.
  template <class A, class B>
  static void expect_one(Result<A> first, Result<B> second) {
    EXPECT_NE(first.ok(), second.ok());
    const ErrorCode refusal = first.ok() ? second.error().code : first.error().code;
    EXPECT_EQ(refusal, ErrorCode::kRefused);
  }
  Uuid approved_one(int round) {
    const Uuid code = file("approved" + std::to_string(round));
    EXPECT_TRUE(consent(code, officer(1)).ok());
    return code;
  }
};

TEST_F(ApprovalRace, race_of_two_last_approvals) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Approval seen = approval_of(code);
    Attempt one = approving(seen, officer(1));
    Attempt two = approving(seen, officer(2));
    expect_one(one.get(), two.get());
    EXPECT_EQ(steps(code), "file,approve");
  }
}

TEST_F(ApprovalRace, race_of_two_first_approvals_of_two_loses_nobody) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code =
        file(std::to_string(round), terms({{.from = "compliance", .group = "g1", .count = 2}}));
    const Approval seen = approval_of(code);
    Attempt one = approving(seen, officer(1));
    Attempt two = approving(seen, officer(2));
    const Result<RecordRef> first = one.get();
    expect_one(first, two.get());
    // Who was too late looks again, and then is the last.
    EXPECT_TRUE(consent(code, officer(first.ok() ? 2 : 1)).ok());
    EXPECT_EQ(state(code), "APPROVED");
  }
}

TEST_F(ApprovalRace, race_of_approve_against_reject) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Approval seen = approval_of(code);
    Attempt yes = approving(seen, officer(1));
    Attempt no = officers_step(ApprovalStep::kReject, reject(seen, officer(2), "no"));
    const Result<RecordRef> approved = yes.get();
    expect_one(approved, no.get());
    EXPECT_EQ(state(code), approved.ok() ? "APPROVED" : "REJECTED");
  }
}

TEST_F(ApprovalRace, race_of_two_resends_on_two_replicas) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code = approved_one(round);
    const Approval seen = approval_of(code);
    auto one = claiming(*replica_, seen);
    auto two = claiming(*other_replica_, seen);
    expect_one(one.get(), two.get());
    EXPECT_EQ(steps(code), "file,approve,claim");
  }
}

TEST_F(ApprovalRace, race_of_duplicate_filings_on_two_replicas) {
  for (int round = 0; round < rounds(); ++round) {
    const std::string item = std::to_string(round);
    Attempt one = runner_.start(replica_->append(file_record(make_uuid_v4(), item)));
    Attempt two = runner_.start(other_replica_->append(file_record(make_uuid_v4(), item)));
    expect_one(one.get(), two.get());
  }
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.approvals"), std::to_string(rounds()));
}

TEST_F(ApprovalRace, race_of_expiry_against_approve) {
  ApprovalExpirer expirer({.database = database("holdfast_audit"), .writer = {}});
  ApprovalTerms brief = terms();
  brief.decide_within = std::chrono::seconds(0);  // Over when it is filed.
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Uuid expired = file("expired" + std::to_string(round), brief);
    Approval seen = approval_of(expired);
    seen.state = ApprovalState::kPending;  // As it was read a moment too early.
    Attempt late = approving(seen, officer(1));
    Attempt in_time = approving(approval_of(code), officer(1));
    EXPECT_EQ(*expirer.expire_due(), 1U);
    EXPECT_FALSE(late.get().ok());
    EXPECT_TRUE(in_time.get().ok());
    EXPECT_EQ(steps(expired), "file,expire");
  }
}

TEST_F(ApprovalRace, race_of_revoke_against_claim) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code = approved_one(round);
    const Approval seen = approval_of(code);
    auto claimed = claiming(*replica_, seen);
    Attempt revoked = officers_step(ApprovalStep::kRevoke, revoke(seen, officer(2), ""));
    const Result<audit::Receipt> receipt = claimed.get();
    const bool was_claimed = receipt.ok();
    const Result<RecordRef> ended = revoked.get();
    EXPECT_NE(was_claimed, ended.ok());
    EXPECT_EQ(state(code), was_claimed ? "CLAIMED" : "REVOKED");
  }
}

TEST_F(ApprovalRace, race_of_one_person_in_two_stages) {
  for (int round = 0; round < rounds(); ++round) {
    const Uuid code =
        file(std::to_string(round), terms({{.from = "compliance", .group = "g1", .count = 1},
                                           {.from = "legal", .group = "g2", .count = 1}}));
    const Approval seen = approval_of(code);
    Attempt one = approving(seen, officer(1, {"g1"}));
    Attempt two = approving(seen, officer(1, {"g2"}));
    expect_one(one.get(), two.get());
    EXPECT_FALSE(consent(code, officer(1, {"g1", "g2"})).ok());
    EXPECT_EQ(state(code), "PENDING");
  }
}

}  // namespace
}  // namespace holdfast::approval
