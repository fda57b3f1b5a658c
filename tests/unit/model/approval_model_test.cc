#include "approval_model.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::model {
namespace {

std::string told(const Exploration& found) {
  std::string text = found.broken;
  for (const std::string& step : found.history) text += "\n  " + step;
  return text;
}

TEST(ApprovalModel, model_no_order_of_steps_breaks_an_invariant) {
  const ApprovalModel model;
  const Exploration found = Explorer(model).run();
  EXPECT_EQ(told(found), "");
  EXPECT_GT(found.states, 100'000U);
  RecordProperty("states", static_cast<int>(found.states));
}

// Each guard of the implementation that the model knows is needed: some order breaks what it is
// for.
void expect_broken_without(Guard guard, const std::string& broken) {
  const ApprovalModel model({guard});
  const Exploration found = Explorer(model).run(broken);
  EXPECT_EQ(found.broken, broken) << told(found);
}

TEST(ApprovalModel, model_needs_claims_to_check_the_state) {
  expect_broken_without(Guard::kClaimChecksState, "one approval, two executions");
}
TEST(ApprovalModel, model_needs_claims_to_check_the_time) {
  expect_broken_without(Guard::kClaimChecksExpiry,
                        "an approval was claimed too late or under a hold");
}
TEST(ApprovalModel, model_needs_claims_to_check_holds) {
  expect_broken_without(Guard::kClaimChecksHolds,
                        "an approval was claimed too late or under a hold");
}
TEST(ApprovalModel, model_needs_steps_to_be_conditional) {
  expect_broken_without(Guard::kStepsAreConditional,
                        "a call goes on under an approval that is closed");
}
TEST(ApprovalModel, model_needs_requesters_not_to_approve) {
  expect_broken_without(Guard::kRequesterNeverApproves, "the requester approved");
}
TEST(ApprovalModel, model_needs_distinct_approvers) {
  expect_broken_without(Guard::kApproversAreDistinct, "too few people approved");
}
TEST(ApprovalModel, model_needs_intents_before_forwarding) {
  expect_broken_without(Guard::kIntentBeforeForward,
                        "a call reached Graph without a committed intent");
}
TEST(ApprovalModel, model_needs_epochs) {
  expect_broken_without(Guard::kEpochFencesParked, "an intent never gets its terminal record");
}
TEST(ApprovalModel, model_needs_one_terminal_record) {
  expect_broken_without(Guard::kOneTerminal, "an operation has two terminal records");
}
TEST(ApprovalModel, model_needs_outcomes_before_answers) {
  expect_broken_without(Guard::kOutcomeBeforeAnswer, "a client was told what no record says");
}
TEST(ApprovalModel, model_needs_unknown_to_be_spent) {
  expect_broken_without(Guard::kUnknownIsSpent, "one approval, two executions");
}
TEST(ApprovalModel, model_needs_what_is_in_doubt_not_to_be_sent) {
  expect_broken_without(Guard::kInDoubtIsNotForwarded,
                        "a call reached Graph without a committed intent");
}

}  // namespace
}  // namespace holdfast::model
