// Who comes first is settled by the database: every race has one winner, whatever the replicas.
#include "tests/integration/race_fixture.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using audit::CallResult;
using audit::Kind;
using audit::Receipt;
using audit::RecordRef;
using testing::account;
using testing::eventually;
using testing::HeldLock;
using testing::officer;
using testing::race_rounds;
using testing::terms;

class ApprovalRace : public testing::RaceTest {
 protected:
  using Attempt = std::future<Result<RecordRef>>;
  // Exactly one of two came through; the other was refused as such.
  static void expect_one(const Result<RecordRef>& first, const Result<RecordRef>& second) {
    EXPECT_NE(first.ok(), second.ok());
    const ErrorCode refusal = first.ok() ? second.error().code : first.error().code;
    EXPECT_EQ(refusal, ErrorCode::kRefused);
  }

  // Has `work` come to wait for its turn when `change` is made by the owner of the database.
  void change_while_it_waits(const std::function<void()>& work, const std::string& change) const {
    HeldLock steps(database("postgres").url, testing::kApprovalSteps);
    work();
    EXPECT_TRUE(steps.is_met_by(1));
    sql("postgres", change);
    steps.release();
  }
  static std::string deadlines_now(const Uuid& code, const std::string& later = "0") {
    return "UPDATE holdfast.approvals SET decide_by = clock_timestamp() + make_interval(secs => " +
           later + "), use_by = CASE WHEN state = 'APPROVED' THEN clock_timestamp() + " +
           "make_interval(secs => " + later + ") END WHERE code = '" + to_string(code) + "'";
  }
  // How many steps were taken on the wrong side of a deadline.
  std::string untimely_steps() const {
    return value(
        "SELECT count(*) FROM (SELECT code, name, at FROM holdfast.approval_history UNION ALL "
        "SELECT code, 'claim', claimed_at FROM holdfast.approvals WHERE claimed_at IS NOT NULL) h "
        "JOIN holdfast.approvals a USING (code) "
        "WHERE CASE h.name WHEN 'approve' THEN h.at >= a.decide_by "
        "WHEN 'claim' THEN h.at >= a.use_by "
        "WHEN 'expire' THEN h.at < coalesce(a.use_by, a.decide_by) END");
  }
};

TEST_F(ApprovalRace, race_of_two_last_approvals_while_the_call_is_sent_again) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round), terms({{"compliance", "g1", 2}}));
    ASSERT_TRUE(consent(code, officer(1)).ok());
    const Approval seen = approval_of(code);
    Attempt one;
    Attempt two;
    Attempts<Receipt> claims;
    race(
        round, 6,
        [&] {
          one = approving(*officers_, seen, officer(2));
          two = approving(*other_officers_, seen, officer(3));
          claim_everywhere(seen, claims);
        },
        testing::kApprovalSteps);
    expect_one(one.get(), two.get());
    const bool was_claimed = successes(claims) == 1;
    EXPECT_EQ(steps(code), was_claimed ? "file,approve,approve,claim" : "file,approve,approve");
    EXPECT_EQ(state(code), was_claimed ? "CLAIMED" : "APPROVED");
  }
}

TEST_F(ApprovalRace, race_of_two_first_approvals_of_two_loses_nobody) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round), terms({{"compliance", "g1", 2}}));
    const Approval seen = approval_of(code);
    Attempt one;
    Attempt two;
    race(round, 2, [&] {
      one = approving(*officers_, seen, officer(1));
      two = approving(*other_officers_, seen, officer(2));
    });
    const Result<RecordRef> first = one.get();
    expect_one(first, two.get());
    // Who was too late looks again, and then is the last.
    EXPECT_TRUE(consent(code, officer(first.ok() ? 2 : 1)).ok());
    EXPECT_EQ(state(code), "APPROVED");
  }
}

TEST_F(ApprovalRace, race_of_approve_against_reject) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Approval seen = approval_of(code);
    Attempt yes;
    Attempt no;
    race(round, 2, [&] {
      yes = approving(*officers_, seen, officer(1));
      no = officers_step(*other_officers_, ApprovalStep::kReject, reject(seen, officer(2), "no"));
    });
    const Result<RecordRef> approved = yes.get();
    expect_one(approved, no.get());
    EXPECT_EQ(state(code), approved.ok() ? "APPROVED" : "REJECTED");
    EXPECT_EQ(steps(code), approved.ok() ? "file,approve" : "file,reject");
  }
}

TEST_F(ApprovalRace, race_of_break_glass_against_reject) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Approval seen = approval_of(code);
    audit::LogPostgres& replica = *replicas().at(static_cast<std::size_t>(round) % 4);
    Attempts<Receipt> broken;
    Attempt no;
    race(round, 2, [&] {
      const auto reject_it = [&] {
        no = officers_step(*officers_, ApprovalStep::kReject, reject(seen, officer(1), "no"));
      };
      if (round % 4 < 2) reject_it();
      broken.push_back(runner_.start(replica.append_intent(glass_record(seen), request(""))));
      if (round % 4 >= 2) reject_it();
    });
    const bool was_broken = successes(broken) == 1;
    EXPECT_NE(was_broken, no.get().ok());
    EXPECT_EQ(steps(code), was_broken ? "file,invalidate" : "file,reject");
    EXPECT_EQ(state(code), was_broken ? "INVALIDATED" : "REJECTED");
  }
}

// The last consent lands, and other replicas use the approval at once.
TEST_F(ApprovalRace, race_of_break_glass_against_claim) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Approval seen = approval_of(code);
    audit::LogPostgres& replica = *replicas().at(static_cast<std::size_t>(round) % 4);
    Attempt yes;
    Attempts<Receipt> broken;
    Attempts<Receipt> claims;
    race(
        round, 5,
        [&] {
          yes = approving(*officers_, seen, officer(1));
          broken.push_back(runner_.start(replica.append_intent(glass_record(seen), request(""))));
          claim_everywhere(seen, claims);
        },
        testing::kApprovalSteps);
    const bool was_approved = yes.get().ok();
    EXPECT_EQ(successes(broken), was_approved ? 0 : 1);
    claim_everywhere(seen, claims);
    EXPECT_EQ(successes(claims), was_approved ? 1 : 0);
    EXPECT_EQ(steps(code), was_approved ? "file,approve,claim" : "file,invalidate");
  }
}

TEST_F(ApprovalRace, race_of_resends_on_four_replicas) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = approved_one(std::to_string(round));
    const Approval seen = approval_of(code);
    Attempts<Receipt> claims;
    race(round, 4, [&] { claim_everywhere(seen, claims); });
    EXPECT_EQ(successes(claims), 1);
    EXPECT_EQ(steps(code), "file,approve,claim");
  }
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), std::to_string(race_rounds()));
}

TEST_F(ApprovalRace, race_of_duplicate_filings_on_four_replicas) {
  for (int round = 0; round < race_rounds(); ++round) {
    Attempts<RecordRef> filings;
    race(round, 4, [&] {
      for (audit::LogPostgres* replica : replicas()) {
        filings.push_back(
            runner_.start(replica->append(file_record(make_uuid_v4(), std::to_string(round)))));
      }
    });
    EXPECT_EQ(successes(filings), 1);
  }
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.approvals"), std::to_string(race_rounds()));
}

TEST_F(ApprovalRace, race_of_expiry_against_approve_when_it_is_over) {
  ApprovalExpirer expirer({.database = database("holdfast_audit"), .writer = {}});
  ApprovalTerms brief = terms();
  brief.decide_within = std::chrono::seconds(0);  // Over when it is filed.
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round));
    const Uuid expired = file("expired" + std::to_string(round), brief);
    Approval seen = approval_of(expired);
    seen.state = ApprovalState::kPending;  // As it was read a moment too early.
    Attempt late = approving(*officers_, seen, officer(1));
    Attempt in_time = approving(*other_officers_, approval_of(code), officer(1));
    EXPECT_EQ(*expirer.expire_due(), 1U);
    EXPECT_FALSE(late.get().ok());
    EXPECT_TRUE(in_time.get().ok());
    EXPECT_EQ(steps(expired), "file,expire");
  }
}

// The deadline is some parts of a millisecond away when approvers, proxies and expirer set out.
TEST_F(ApprovalRace, race_of_expiry_against_approve_and_claim_at_the_moment) {
  ApprovalExpirer expirer({.database = database("holdfast_audit"), .writer = {}});
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid pending = file("pending" + std::to_string(round));
    const Uuid unused = approved_one("unused" + std::to_string(round));
    const Approval to_decide = approval_of(pending);
    const Approval to_use = approval_of(unused);
    const std::string away = std::to_string(round % 10 * 0.0005);
    sql("postgres", deadlines_now(pending, away) + "; " + deadlines_now(unused, away));
    Attempts<RecordRef> decided;
    decided.push_back(approving(*officers_, to_decide, officer(1)));
    Attempts<Receipt> claims;
    claim_everywhere(to_use, claims);
    EXPECT_TRUE(eventually([&] {
      EXPECT_TRUE(expirer.expire_due().ok());
      return value("SELECT count(*) FROM holdfast.approvals WHERE state = 'PENDING'") == "0" &&
             value("SELECT count(*) FROM holdfast.approvals WHERE state = 'APPROVED' AND code = '" +
                   to_string(unused) + "'") == "0";
    }));
    EXPECT_EQ(steps(pending), successes(decided) == 1 ? "file,approve" : "file,expire");
    EXPECT_EQ(steps(unused), successes(claims) == 1 ? "file,approve,claim" : "file,approve,expire");
  }
  EXPECT_EQ(untimely_steps(), "0");
}

TEST_F(ApprovalRace, race_of_a_deadline_that_passes_while_the_step_waits_for_its_turn) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid pending = file("pending" + std::to_string(round));
    const Approval to_decide = approval_of(pending);
    Attempt late;
    change_while_it_waits([&] { late = approving(*officers_, to_decide, officer(1)); },
                          deadlines_now(pending));
    EXPECT_FALSE(late.get().ok());
    EXPECT_EQ(state(pending), "EXPIRED");

    const Uuid unused = approved_one("unused" + std::to_string(round));
    const Approval to_use = approval_of(unused);
    Attempts<Receipt> claims;
    audit::LogPostgres& replica = *replicas().at(static_cast<std::size_t>(round) % 4);
    change_while_it_waits(
        [&] {
          claims.push_back(runner_.start(replica.append_intent(claim_record(to_use), request(""))));
        },
        deadlines_now(unused));
    EXPECT_EQ(successes(claims), 0);
    EXPECT_EQ(state(unused), "EXPIRED");
  }
}

TEST_F(ApprovalRace, race_of_revoke_against_claims_on_four_replicas) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = approved_one(std::to_string(round));
    const Approval seen = approval_of(code);
    Attempts<Receipt> claims;
    Attempt revoked;
    race(round, 5, [&] {
      revoked = officers_step(*officers_, ApprovalStep::kRevoke, revoke(seen, officer(2), ""));
      claim_everywhere(seen, claims);
    });
    const bool was_claimed = successes(claims) == 1;
    EXPECT_NE(was_claimed, revoked.get().ok());
    EXPECT_EQ(steps(code), was_claimed ? "file,approve,claim" : "file,approve,revoke");
    EXPECT_EQ(state(code), was_claimed ? "CLAIMED" : "REVOKED");
  }
}

// With one account, or with two of which only a name tells that they are one person's.
TEST_F(ApprovalRace, race_of_one_person_in_two_stages) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code =
        file(std::to_string(round), terms({{"compliance", "g1", 1}, {"legal", "g2", 2}}));
    const Approval seen = approval_of(code);
    Approver as_lawyer = officer(1, {"g2"});
    if (round % 4 > 1) as_lawyer.person.accounts = {account(1000 + round)};
    Attempt one;
    Attempt two;
    race(round, 2, [&] {
      one = approving(*officers_, seen, officer(1, {"g1"}));
      two = approving(*other_officers_, seen, as_lawyer);
    });
    expect_one(one.get(), two.get());
    EXPECT_FALSE(consent(code, officer(1, {"g1", "g2"})).ok());
    EXPECT_FALSE(consent(code, as_lawyer).ok());
    EXPECT_EQ(state(code), "PENDING");
  }
}

// However the record of it came to be written.
TEST_F(ApprovalRace, race_of_who_asked_against_an_approver) {
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = file(std::to_string(round), terms({{"compliance", "g1", 2}}));
    const Approval seen = approval_of(code);
    nlohmann::json own = *approve(seen, officer(1), TokenApprovals::kRefused, "");
    own["by"]["person"] = account(99);
    Attempt one;
    Attempt two;
    race(
        round, 2,
        [&] {
          one = officers_step(*officers_, ApprovalStep::kApprove, own);
          two = approving(*other_officers_, seen, officer(2));
        },
        testing::kApprovalSteps);
    EXPECT_FALSE(one.get().ok());
    EXPECT_TRUE(two.get().ok());
    EXPECT_EQ(steps(code), "file,approve");
  }
}

// A writer that was taken for dead, its lease over on the database's clock, ends its call after
// all.
TEST_F(ApprovalRace, race_of_settling_a_claim_against_its_outcome) {
  audit::Settler settler({.database = database("holdfast_audit"), .writer = {}});
  for (int round = 0; round < race_rounds(); ++round) {
    const Uuid code = approved_one(std::to_string(round));
    audit::LogPostgres& replica = *replicas().at(static_cast<std::size_t>(round) % 4);
    const Approval approved = approval_of(code);
    Uuid operation;
    // A lease that ran out in an earlier round refuses once, and is renewed.
    ASSERT_TRUE(eventually([&] {
      audit::Record intent = claim_record(approved);
      operation = intent.operation_id;
      return runner_.run(replica.append_intent(std::move(intent), request(""))).ok();
    }));
    expire_leases();
    auto settling = std::async(std::launch::async, [&] { return settler.settle_expired(); });
    audit::Record outcome = testing::record(Kind::kOutcome, operation);
    outcome.approval_step = ApprovalStep::kEnd;
    outcome.content["approval"] = claim_ended(code, CallResult::kExecuted, 204);
    const bool ended = runner_.run(replica.append_outcome(std::move(outcome))).ok();
    ASSERT_TRUE(settling.get().ok());
    EXPECT_EQ(outcomes_of(operation), ended ? "executed" : "unknown");
    EXPECT_EQ(steps(code), ended ? "file,approve,claim,end" : "file,approve,claim,end,reconcile");
    EXPECT_EQ(state(code), "EXECUTED");
  }
}

}  // namespace
}  // namespace holdfast::approval
