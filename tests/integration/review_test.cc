// Reviews of calls that went past their approval: opened with the intent, closed once by somebody
// else, overdue in between.
#include "approval/notices_postgres.h"
#include "approval/reviews_postgres.h"
#include "tests/integration/approval_fixture.h"
#include "tests/integration/held_lock.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using std::chrono::hours;
using testing::ApprovalTest;
using testing::officer;
using testing::requester;

class ReviewTest : public ApprovalTest {
 protected:
  void SetUp() override {
    ApprovalTest::SetUp();
    reviews_ = std::make_unique<PostgresReviewSource>(*workers_);
    watch_ = std::make_unique<ReviewWatch>(
        audit::DatabaseAccess{.database = database("holdfast_audit")});
  }
  void TearDown() override {
    watch_.reset();
    ApprovalTest::TearDown();
  }

  static audit::Record intent(const Uuid& code, const std::string& justification = "a leak") {
    return glass_record({.code = code, .rules = {}, .review_within = hours(1)}, justification);
  }
  Result<audit::Receipt> append(audit::Record made) {
    return runner_.run(replica_->append_intent(std::move(made), request("")));
  }
  // Not taken, and without a trace.
  void expect_refused(audit::Record made, const Uuid& of, const std::string& steps_of_it) {
    const auto receipt = append(std::move(made));
    ASSERT_FALSE(receipt.ok());
    EXPECT_EQ(receipt.error().code, ErrorCode::kRefused) << receipt.error().message;
    EXPECT_EQ(steps(of), steps_of_it);
    EXPECT_EQ(reviews(), "0");
  }
  Uuid open() {
    const Uuid code = make_uuid_v4();
    const auto receipt = append(intent(code));
    EXPECT_TRUE(receipt.ok()) << receipt.error().message;
    return code;
  }
  Review review_of(const Uuid& code) {
    auto found = runner_.run(reviews_->find(code));
    EXPECT_TRUE(found.ok() && found->has_value());
    return **std::move(found);
  }
  std::string state(const Uuid& code) { return std::string(to_string(review_of(code).state)); }

  static audit::Record closing(nlohmann::json content) {
    audit::Record made = step_record(audit::Kind::kApproval, ApprovalStep::kReview, {});
    made.content.erase("approval");
    made.content["review"] = std::move(content);
    return made;
  }
  Result<audit::RecordRef> append_closing(nlohmann::json content) {
    return runner_.run(officers_->append(closing(std::move(content))));
  }
  Result<audit::RecordRef> close(const Uuid& code, const Approver& by) {
    Result<nlohmann::json> content =
        approval::close(review_of(code), by, TokenApprovals::kRefused, "in order");
    if (!content.ok()) return content.error();
    return append_closing(*std::move(content));
  }
  void let_pass(const std::string& interval) const {
    sql("postgres",
        "UPDATE holdfast.reviews SET review_by = review_by - interval '" + interval + "'");
  }

  NoticeStream webhook() const {
    return NoticeStream({.database = {.database = database("holdfast_audit")},
                         .webhook = "hook",
                         .warn = std::chrono::minutes(0),
                         .silence = std::chrono::minutes(1)});
  }
  std::string reviews() const { return value("SELECT count(*) FROM holdfast.reviews"); }
  // The codes of those that have been told as overdue, in order.
  std::string overdue() const {
    return value(
        "SELECT string_agg(code::text, ',' ORDER BY position) FROM holdfast.review_history "
        "WHERE name = 'overdue'");
  }

  std::unique_ptr<PostgresReviewSource> reviews_;
  std::unique_ptr<ReviewWatch> watch_;
};

TEST_F(ReviewTest, an_intent_opens_one_and_an_officer_closes_it) {
  const Uuid code = open();
  const Review review = review_of(code);
  EXPECT_EQ(to_string(review.state), "OPEN");
  EXPECT_EQ(review.requester.accounts, requester().accounts);
  EXPECT_EQ(review.document.at("filing").at("request").at("justification"), "a leak");
  EXPECT_EQ(review.document.at("filing").at("rules"), nlohmann::json::array({"incident"}));
  ASSERT_TRUE(close(code, officer(1)).ok());
  EXPECT_EQ(state(code), "CLOSED");
  const nlohmann::json history = review_of(code).document.at("history");
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[1].at("content").at("finding"), "in order");
  EXPECT_EQ(close(code, officer(2)).error().code, ErrorCode::kInvalid);
}

TEST_F(ReviewTest, without_a_justification_no_intent_is_recorded) {
  for (const char* justification : {"", " \n\t"}) {
    const auto receipt = append(intent(make_uuid_v4(), justification));
    ASSERT_FALSE(receipt.ok());
    EXPECT_EQ(receipt.error().code, ErrorCode::kRefused);
  }
  audit::Record without = intent(make_uuid_v4());
  without.content.erase("request");
  EXPECT_FALSE(append(std::move(without)).ok());
  EXPECT_EQ(kinds(), "") << "and none of them holds up the others";
  open();
  EXPECT_EQ(kinds(), "intent");
}

TEST_F(ReviewTest, only_an_intent_that_says_so_goes_past_an_approval) {
  audit::Record allowed = intent(make_uuid_v4());
  allowed.content["decision"]["effect"] = "allow";
  EXPECT_EQ(append(std::move(allowed)).error().code, ErrorCode::kRefused);
  audit::Record undecided = intent(make_uuid_v4());
  undecided.content.erase("decision");
  EXPECT_EQ(append(std::move(undecided)).error().code, ErrorCode::kRefused);
  audit::Record no_call = intent(make_uuid_v4());
  no_call.kind = audit::Kind::kDecision;
  EXPECT_FALSE(runner_.run(replica_->append(std::move(no_call))).ok());
  EXPECT_EQ(reviews(), "0");
}

TEST_F(ReviewTest, one_call_has_one_review) {
  const Uuid code = open();
  EXPECT_EQ(append(intent(code)).error().code, ErrorCode::kRefused);
  EXPECT_EQ(kinds(), "intent");
}

// It is not approved later, when the call has been made.
TEST_F(ReviewTest, an_approval_that_waits_ends_with_the_call_that_goes_past_it) {
  const Uuid code = file("item");
  const Approval seen = approval_of(code);
  ASSERT_TRUE(append(glass_record(seen)).ok());
  const Approval ended = approval_of(code);
  EXPECT_EQ(to_string(ended.state), "INVALIDATED");
  EXPECT_FALSE(ended.answers);
  EXPECT_EQ(ended.closing_reason, "break glass: the call went past this approval");
  EXPECT_EQ(ended.document.at("history").at(1).at("content").at("overridden_by"),
            ended.document.at("history").at(1).at("record"));
  EXPECT_EQ(consent(code, officer(1)).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(decide(ApprovalStep::kApprove, approve(seen, officer(1), TokenApprovals::kRefused, ""))
                .error()
                .code,
            ErrorCode::kRefused);
}

TEST_F(ReviewTest, an_approval_that_the_rules_have_outgrown_ends_so_too) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const Approval seen = approval_of(code);
  ASSERT_TRUE(append(glass_record(seen)).ok());
  EXPECT_EQ(steps(code), "file,approve,invalidate");
  EXPECT_FALSE(claim(seen));
}

TEST_F(ReviewTest, an_approval_that_has_moved_on_is_not_gone_past) {
  const Uuid consented = file("consented", testing::terms({{"compliance", "g1", 2}}));
  const Uuid approved = file("approved");
  const Uuid rejected = file("rejected");
  const Uuid used = file("used");
  const auto past = [this](const Uuid& code) { return glass_record(approval_of(code)); };
  audit::Record past_consented = past(consented);
  audit::Record past_approved = past(approved);
  audit::Record past_rejected = past(rejected);
  for (const Uuid& code : {consented, approved, used}) {
    ASSERT_TRUE(consent(code, officer(1)).ok());
  }
  ASSERT_TRUE(decide(ApprovalStep::kReject, reject(approval_of(rejected), officer(1), "no")).ok());
  audit::Record past_used = past(used);
  ASSERT_TRUE(claim(approval_of(used)));
  expect_refused(std::move(past_consented), consented, "file,approve");
  expect_refused(std::move(past_approved), approved, "file,approve");
  expect_refused(std::move(past_rejected), rejected, "file,reject");
  expect_refused(std::move(past_used), used, "file,approve,claim");
  // As it is, but nobody goes past what officers have said, or past what is being used.
  expect_refused(past(rejected), rejected, "file,reject");
  expect_refused(past(used), used, "file,approve,claim");
}

TEST_F(ReviewTest, an_approval_that_nobody_has_seen_is_not_gone_past) {
  const Uuid code = file("item");
  const Uuid other = file("other item");
  audit::Record unseen = glass_record(approval_of(code));
  unseen.content["review"].erase("overrides");
  expect_refused(std::move(unseen), code, "file");
  audit::Record another = glass_record(approval_of(code));
  another.content["review"]["overrides"]["code"] = to_string(other);
  expect_refused(std::move(another), code, "file");
  EXPECT_EQ(steps(other), "file");
}

TEST_F(ReviewTest, an_approval_that_has_run_out_is_nothing_to_go_past) {
  const Uuid code = file("item");
  const Approval seen = approval_of(code);
  ApprovalTest::let_pass("2 hours");
  expect_refused(glass_record(seen), code, "file");
  audit::Record unseen = glass_record(seen);
  unseen.content["review"].erase("overrides");
  EXPECT_TRUE(append(std::move(unseen)).ok());
  EXPECT_EQ(steps(code), "file");
}

// Nothing refuses a call for what an earlier one in an emergency did.
TEST_F(ReviewTest, each_use_of_break_glass_is_an_act_of_its_own) {
  const Uuid code = file("item");
  ASSERT_TRUE(append(glass_record(approval_of(code))).ok());
  audit::Record second = glass_record(approval_of(code));
  second.content["review"].erase("overrides");
  EXPECT_TRUE(append(std::move(second)).ok());
  EXPECT_EQ(reviews(), "2");
}

// As older proxies write it.
TEST_F(ReviewTest, a_record_that_names_no_call_leaves_approvals_alone) {
  const Uuid code = file("item");
  audit::Record old = glass_record(approval_of(code));
  old.content["review"].erase("binding");
  old.content["review"].erase("overrides");
  EXPECT_TRUE(append(std::move(old)).ok());
  EXPECT_EQ(steps(code), "file");
}

TEST_F(ReviewTest, an_intent_that_is_refused_opens_none) {
  audit::Record outdated = intent(make_uuid_v4());
  outdated.generation = 7;  // None is in force here.
  EXPECT_EQ(append(std::move(outdated)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(reviews(), "0");
}

TEST_F(ReviewTest, who_made_the_call_never_closes_it) {
  const Uuid code = open();
  EXPECT_EQ(close(code, officer(99)).error().code, ErrorCode::kRefused);
  // Whatever the audit service thinks, the database does not take it.
  nlohmann::json forged =
      *approval::close(review_of(code), officer(1), TokenApprovals::kRefused, "in order");
  forged["by"]["person"] = requester().accounts.front();
  EXPECT_EQ(append_closing(forged).error().code, ErrorCode::kRefused);
  forged["by"].erase("person");
  EXPECT_EQ(append_closing(forged).error().code, ErrorCode::kRefused);
  EXPECT_EQ(state(code), "OPEN");
}

TEST_F(ReviewTest, a_proxy_closes_none) {
  const Uuid code = open();
  audit::Record forged =
      closing(*approval::close(review_of(code), officer(1), TokenApprovals::kRefused, "in order"));
  forged.kind = audit::Kind::kIntent;
  EXPECT_FALSE(append(std::move(forged)).ok());
  EXPECT_EQ(state(code), "OPEN");
}

TEST_F(ReviewTest, a_finding_that_leaves_it_open_is_none) {
  const Uuid code = open();
  nlohmann::json content =
      *approval::close(review_of(code), officer(1), TokenApprovals::kRefused, "in order");
  content["state"] = "OPEN";
  EXPECT_EQ(append_closing(content).error().code, ErrorCode::kRefused);
  EXPECT_EQ(state(code), "OPEN");
}

TEST_F(ReviewTest, of_two_officers_at_once_one_closes_it) {
  const Uuid code = open();
  const Review review = review_of(code);
  const auto content = [&](int person) {
    return *approval::close(review, officer(person), TokenApprovals::kRefused, "in order");
  };
  EXPECT_TRUE(append_closing(content(1)).ok());
  EXPECT_EQ(append_closing(content(2)).error().code, ErrorCode::kRefused);
  EXPECT_EQ(kinds(), "intent,approval");
}

TEST_F(ReviewTest, overdue_ones_are_counted_until_they_are_closed) {
  const Uuid first = open();
  ASSERT_TRUE(watch_->step().ok());
  EXPECT_EQ(watch_->overdue(), 0);
  let_pass("3 hours");
  open();
  ASSERT_TRUE(watch_->step().ok());
  EXPECT_EQ(watch_->overdue(), 1);
  EXPECT_GE(watch_->oldest_s(), 2 * 3600 - 60);
  EXPECT_EQ(state(first), "OVERDUE");
  ReviewFilter filter{.states = {ReviewState::kOverdue}};
  EXPECT_EQ(runner_.run(reviews_->list(filter))->size(), 1U);
  ASSERT_TRUE(close(first, officer(1)).ok());
  ASSERT_TRUE(watch_->step().ok());
  EXPECT_EQ(watch_->overdue(), 0);
  EXPECT_EQ(watch_->oldest_s(), 0);
}

TEST_F(ReviewTest, only_what_is_open_and_late_is_told_as_overdue_and_once) {
  const Uuid closed = open();
  ASSERT_TRUE(close(closed, officer(1)).ok());
  const Uuid late = open();
  let_pass("3 hours");
  const Uuid in_time = open();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(watch_->step().ok());
  EXPECT_EQ(overdue(), to_string(late));
  let_pass("3 hours");
  ASSERT_TRUE(watch_->step().ok()) << "though one has been told already";
  EXPECT_EQ(overdue(), to_string(late) + "," + to_string(in_time));
}

// Or a webhook could see a later position first, and pass over an earlier one for good.
TEST_F(ReviewTest, what_becomes_overdue_waits_for_the_lock_of_all_steps) {
  open();
  let_pass("3 hours");
  EXPECT_TRUE(waits_for_the_lock_of_all_steps([&] { return watch_->step().ok(); }));
}

// The watch looks often, and every approval would wait for it.
TEST_F(ReviewTest, while_nothing_becomes_overdue_nobody_waits_for_that_lock) {
  open();
  let_pass("3 hours");
  ASSERT_TRUE(watch_->step().ok());
  open();
  testing::HeldLock steps(database("postgres").url, testing::kApprovalSteps);
  ASSERT_TRUE(watch_->step().ok());
  EXPECT_EQ(watch_->overdue(), 1);
}

TEST_F(ReviewTest, pages_go_on_below_a_number) {
  const Uuid first = open();
  open();
  const std::int64_t second = review_of(first).number + 1;
  const auto page = runner_.run(reviews_->list({.states = {}, .before = second}));
  ASSERT_TRUE(page.ok() && page->size() == 1U);
  EXPECT_EQ(page->front().code, first);
}

TEST_F(ReviewTest, a_new_webhook_is_not_told_of_reviews_before_it) {
  open();
  NoticeStream hook = webhook();
  EXPECT_FALSE(hook.next()->has_value());
}

TEST_F(ReviewTest, webhooks_are_told_in_order_and_once) {
  NoticeStream hook = webhook();
  ASSERT_TRUE(hook.next().ok());
  const Uuid code = open();
  file("a");
  let_pass("3 hours");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(watch_->step().ok());
  ASSERT_TRUE(close(code, officer(1)).ok());
  std::string told;
  for (int i = 0; i < 10; ++i) {
    const auto notice = hook.next();
    ASSERT_TRUE(notice.ok()) << notice.error().message;
    if (!notice->has_value()) break;
    told += (*notice)->event + " " + (*notice)->state + ",";
    EXPECT_EQ((*notice)->until.empty(), (*notice)->event == "reviewed");
    ASSERT_TRUE(hook.settle(**notice).ok());
  }
  EXPECT_EQ(told, "break_glass OPEN,pending PENDING,review_overdue OVERDUE,reviewed CLOSED,");
}

TEST_F(ReviewTest, nobody_takes_anything_back) {
  const Uuid code = open();
  for (const char* statement : {"DELETE FROM holdfast.reviews", "TRUNCATE holdfast.reviews CASCADE",
                                "UPDATE holdfast.review_history SET content = '{}'",
                                "DELETE FROM holdfast.review_history"}) {
    EXPECT_ANY_THROW(sql("postgres", statement)) << statement;
  }
  EXPECT_EQ(state(code), "OPEN");
}

}  // namespace
}  // namespace holdfast::approval
