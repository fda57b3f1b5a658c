#include "audit/log_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::audit {
namespace {

using ::testing::HasSubstr;

Uuid uuid(std::uint8_t number) {
  Uuid made;
  made.bytes.back() = number;
  return made;
}

EntryFacts facts(Kind kind, std::uint8_t operation = 0) {
  return {.kind = kind,
          .role = kind == Kind::kApproval || kind == Kind::kAccess ? WriterRole::kAudit
                                                                   : WriterRole::kProxy,
          .writer = uuid(kind == Kind::kApproval || kind == Kind::kAccess ? 9 : 1),
          .operation_id = operation == 0 ? Uuid{} : uuid(operation)};
}
EntryFacts intent(std::uint8_t operation, std::uint8_t approval = 0) {
  EntryFacts made = facts(Kind::kIntent, operation);
  if (approval != 0) made.approval = uuid(approval);
  return made;
}
EntryFacts outcome(std::uint8_t operation, CallResult result = CallResult::kExecuted,
                   int status = 0) {
  EntryFacts made = facts(Kind::kOutcome, operation);
  made.result = result;
  made.status = status;
  return made;
}
EntryFacts step(ApprovalState state, std::uint8_t approval, Kind kind = Kind::kApproval) {
  EntryFacts made = facts(kind);
  made.approval = uuid(approval);
  made.approval_state = state;
  return made;
}

// What is wrong with the last of them; all before are right.
std::string last_wrong(const std::vector<EntryFacts>& log) {
  LogGrammar grammar;
  for (std::size_t i = 0; i + 1 < log.size(); ++i) {
    EXPECT_EQ(grammar.add(i, log[i]), "") << "at " << i;
  }
  return grammar.add(log.size() - 1, log.back());
}

TEST(LogGrammar, calls_that_are_in_order) {
  EXPECT_EQ(last_wrong({intent(1), facts(Kind::kDecision, 3), intent(2), outcome(2), outcome(1)}),
            "");
  EntryFacts settled = outcome(1, CallResult::kUnknown);
  settled.role = WriterRole::kAudit;
  settled.writer = uuid(9);
  EXPECT_EQ(last_wrong({intent(1), settled, facts(Kind::kReconciliation, 1)}), "");
}

TEST(LogGrammar, an_outcome_has_an_intent_before_it) {
  EXPECT_THAT(last_wrong({intent(1), outcome(2)}), HasSubstr("no intent before it"));
  EXPECT_THAT(last_wrong({outcome(1)}), HasSubstr("no intent before it"));
}

TEST(LogGrammar, an_operation_has_one_intent_and_one_outcome) {
  EXPECT_THAT(last_wrong({intent(1), outcome(1), outcome(1)}),
              HasSubstr("second outcome of the operation 00000000-0000-0000-0000-000000000001, "
                        "whose intent is at index 0"));
  EXPECT_THAT(last_wrong({intent(1), intent(1)}), HasSubstr("second intent"));
  EXPECT_THAT(last_wrong({intent(1), outcome(1), intent(1)}), HasSubstr("second intent"));
}

TEST(LogGrammar, an_outcome_is_its_own_writers_or_unknown) {
  EntryFacts other = outcome(1);
  other.writer = uuid(2);
  EXPECT_THAT(last_wrong({intent(1), other}), HasSubstr("another process"));
  EntryFacts settled = outcome(1);
  settled.role = WriterRole::kAudit;
  EXPECT_THAT(last_wrong({intent(1), settled}), HasSubstr("claims to know"));
}

TEST(LogGrammar, a_reconciliation_comes_after_the_outcome) {
  EXPECT_THAT(last_wrong({facts(Kind::kReconciliation, 1)}), HasSubstr("no intent before it"));
  EXPECT_THAT(last_wrong({intent(1), facts(Kind::kReconciliation, 1)}),
              HasSubstr("no outcome before it"));
}

TEST(LogGrammar, kinds_belong_to_roles) {
  EntryFacts forged = step(ApprovalState::kApproved, 7);
  forged.role = WriterRole::kProxy;
  EXPECT_THAT(last_wrong({forged}), HasSubstr("approval by the role proxy"));
  EntryFacts sent = intent(1);
  sent.role = WriterRole::kAudit;
  EXPECT_THAT(last_wrong({sent}), HasSubstr("intent by the role audit"));
}

TEST(LogGrammar, a_writers_times_never_go_back) {
  const auto at = [](EntryFacts made, int second, std::uint8_t writer) {
    made.time = WallTime(std::chrono::seconds(second));
    made.writer = uuid(writer);
    return made;
  };
  EXPECT_EQ(last_wrong({at(intent(1), 5, 1), at(intent(2), 3, 2), at(intent(3), 5, 1)}), "");
  EXPECT_THAT(last_wrong({at(intent(1), 5, 1), at(intent(2), 9, 2), at(intent(3), 4, 1)}),
              HasSubstr("1970-01-01T00:00:04.000000Z, is before"));
}

TEST(LogGrammar, an_approval_is_approved_before_it_is_used) {
  using enum ApprovalState;
  const EntryFacts filed = step(kPending, 7, Kind::kDecision);
  const EntryFacts approved = step(kApproved, 7);
  EXPECT_EQ(last_wrong({filed, approved, intent(1, 7)}), "");
  EXPECT_THAT(last_wrong({intent(1, 7)}), HasSubstr("was not approved before it"));
  EXPECT_THAT(last_wrong({filed, step(kPending, 7), intent(1, 7)}),
              HasSubstr("was not approved before it"));
  EXPECT_THAT(last_wrong({filed, step(kApproved, 8), intent(1, 7)}),
              HasSubstr("was not approved before it"));
  // Only a record of the kind approval approves.
  EXPECT_THAT(last_wrong({filed, step(kApproved, 7, Kind::kDecision), intent(1, 7)}),
              HasSubstr("was not approved before it"));
  for (const ApprovalState end : {kRejected, kExpired, kRevoked}) {
    EXPECT_THAT(last_wrong({approved, step(end, 7), intent(1, 7)}),
                HasSubstr("was not approved before it"));
  }
  for (const ApprovalState end : {kInvalidated, kCancelled}) {
    EXPECT_THAT(last_wrong({approved, step(end, 7, Kind::kDecision), intent(1, 7)}),
                HasSubstr("was not approved before it"));
  }
}

TEST(LogGrammar, an_approval_is_used_once) {
  const EntryFacts approved = step(ApprovalState::kApproved, 7);
  EXPECT_THAT(last_wrong({approved, intent(1, 7), intent(2, 7)}),
              HasSubstr("again, which the intent at index 1 used"));
  for (const EntryFacts& end :
       {outcome(1), outcome(1, CallResult::kUnknown), outcome(1, CallResult::kRefused, 403)}) {
    EXPECT_THAT(last_wrong({approved, intent(1, 7), end, intent(2, 7)}), HasSubstr("again"));
  }
  EXPECT_THAT(last_wrong({approved, intent(1, 7), outcome(1), approved, intent(2, 7)}),
              HasSubstr("again"));
}

TEST(LogGrammar, an_approval_that_came_to_nothing_may_be_used_again) {
  const EntryFacts approved = step(ApprovalState::kApproved, 7);
  for (const EntryFacts& end :
       {outcome(1, CallResult::kNotSent), outcome(1, CallResult::kRefused, 401),
        outcome(1, CallResult::kRefused, 429)}) {
    EXPECT_EQ(last_wrong({approved, intent(1, 7), end, intent(2, 7)}), "");
    EXPECT_THAT(last_wrong({approved, intent(1, 7), end, intent(2, 7), intent(3, 7)}),
                HasSubstr("index 3 used"));
  }
}

// The only one; since where, and at which record.
void expect_doubt(const LogGrammar& grammar, std::uint64_t since, std::uint64_t index,
                  const std::string& what) {
  ASSERT_EQ(grammar.doubts().size(), 1U);
  EXPECT_EQ(grammar.doubts().front().since, since);
  EXPECT_EQ(grammar.doubts().front().index, index);
  EXPECT_THAT(grammar.doubts().front().what, HasSubstr(what));
}

TEST(LogGrammar, what_may_have_been_in_a_record_that_cannot_be_read_is_a_doubt) {
  LogGrammar outcomes;
  outcomes.add_unreadable(0);
  EXPECT_EQ(outcomes.add(1, outcome(1)), "");
  EXPECT_EQ(outcomes.add(2, facts(Kind::kReconciliation, 2)), "");
  expect_doubt(outcomes, 0, 1, "no intent before it");
  LogGrammar claims;
  claims.add_unreadable(0);
  EXPECT_EQ(claims.add(1, intent(3, 7)), "");
  EXPECT_EQ(claims.add(2, outcome(3)), "");
  EXPECT_THAT(claims.add(3, outcome(3)), HasSubstr("second outcome"));
  expect_doubt(claims, 0, 1, "was not approved before it");
}

TEST(LogGrammar, two_uses_that_are_there_are_two_uses_whatever_is_not) {
  LogGrammar grammar;
  grammar.add_unreadable(0);
  EXPECT_EQ(grammar.add(1, intent(1, 7)), "");
  EXPECT_THAT(grammar.add(2, intent(2, 7)), HasSubstr("again, which the intent at index 1 used"));
  // What was lost between them cannot be the outcome, which is there.
  EXPECT_EQ(grammar.add(3, outcome(2)), "");
  grammar.add_unreadable(4);
  EXPECT_THAT(grammar.add(5, intent(3, 7)), HasSubstr("again, which the intent at index 2 used"));
  expect_doubt(grammar, 0, 1, "was not approved before it");
}

TEST(LogGrammar, between_two_uses_the_outcome_may_have_been_lost) {
  LogGrammar grammar;
  EXPECT_EQ(grammar.add(0, step(ApprovalState::kApproved, 7)), "");
  EXPECT_EQ(grammar.add(1, intent(1, 7)), "");
  grammar.add_unreadable(2);
  EXPECT_EQ(grammar.add(3, intent(2, 7)), "");
  expect_doubt(grammar, 1, 3, "again, which the intent at index 1 used");
}

TEST(LogGrammar, an_approval_that_is_over_stays_so) {
  const EntryFacts approved = step(ApprovalState::kApproved, 7);
  const EntryFacts revoked = step(ApprovalState::kRevoked, 7);
  EXPECT_THAT(last_wrong({revoked, approved, intent(1, 7)}),
              HasSubstr("was not approved before it"));
  EXPECT_THAT(
      last_wrong({approved, intent(1, 7), revoked, outcome(1, CallResult::kNotSent), intent(2, 7)}),
      HasSubstr("was not approved before it"));
  LogGrammar grammar;
  EXPECT_EQ(grammar.add(0, revoked), "");
  grammar.add_unreadable(1);
  EXPECT_THAT(grammar.add(2, intent(1, 7)), HasSubstr("was not approved before it"));
}

TEST(LogGrammar, an_approval_that_a_call_went_past_is_over) {
  const EntryFacts filed = step(ApprovalState::kPending, 7, Kind::kDecision);
  const EntryFacts approved = step(ApprovalState::kApproved, 7);
  EntryFacts past = intent(1);
  past.overrides = uuid(7);
  EXPECT_EQ(last_wrong({filed, approved, past}), "");
  EXPECT_THAT(last_wrong({filed, approved, past, outcome(1), intent(2, 7)}),
              HasSubstr("was not approved before it"));
  EXPECT_THAT(last_wrong({filed, past, outcome(1), approved, intent(2, 7)}),
              HasSubstr("was not approved before it"));
  EXPECT_EQ(last_wrong({approved, step(ApprovalState::kApproved, 8), past, intent(2, 8)}), "");
}

TEST(LogGrammar, an_outcome_that_was_lost_was_so_after_its_intent) {
  LogGrammar grammar;
  grammar.add_unreadable(0);
  EXPECT_EQ(grammar.add(1, intent(1)), "");
  EXPECT_THAT(grammar.add(2, facts(Kind::kReconciliation, 1)), HasSubstr("no outcome before it"));
  grammar.add_unreadable(3);
  EXPECT_EQ(grammar.add(4, facts(Kind::kReconciliation, 1)), "");
}

TEST(LogGrammar, lists_what_is_open) {
  LogGrammar grammar;
  grammar.add(4, intent(1));
  grammar.add(5, intent(2));
  grammar.add(6, intent(3));
  grammar.add(7, outcome(2));
  ASSERT_EQ(grammar.open().size(), 2U);
  EXPECT_EQ(grammar.open()[0].intent_index, 4U);
  EXPECT_EQ(grammar.open()[1].operation_id, uuid(3));
  EXPECT_EQ(grammar.count(Kind::kIntent), 3U);
  EXPECT_EQ(grammar.count(Kind::kOutcome), 1U);
}

}  // namespace
}  // namespace holdfast::audit
