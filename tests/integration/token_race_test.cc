// What an officer changes needs their credential until the change is in the log: behind the record
// that ends an API token, or the end of a sign-in, there is nothing that was done with it.
#include "approval/generation.h"
#include "approval/review.h"
#include "officers/holds.h"
#include "officers/token_source.h"
#include "tests/integration/race_fixture.h"

namespace holdfast::testing {
namespace {

using audit::ApprovalStep;
using audit::Kind;
using audit::RecordRef;

constexpr std::chrono::hours kHour{1};
const int kRounds = race_rounds() / 5;  // Of all that can be changed.
// Where those wait who change something with a token, or end one.
constexpr const char* kTokens =
    "SELECT pg_advisory_xact_lock(hashtextextended('holdfast.tokens', 0))";

class TokenRace : public RaceTest {
 protected:
  using Attempt = std::future<Result<RecordRef>>;

  // What an officer is about to change.
  struct Change {
    audit::Record record;
    std::string made;  // What to ask the database: whether it was made, `t` or `f`.
  };

  void append(audit::Record made) {
    const auto appended = runner_.run(officers_->append(std::move(made)));
    EXPECT_TRUE(appended.ok()) << appended.error().message;
  }
  static audit::Record told(nlohmann::json change) {
    audit::Record made{.kind = Kind::kSystem};
    made.content["system"] = std::move(change);
    return made;
  }

  audit::Record creation(const Uuid& id) const {
    return told(officers::token_creation(
        {.id = id, .name = "t", .roles = maker_.roles, .expires_at = system_clock().now() + kHour},
        officers::make_token_text(), maker_));
  }
  audit::Record revocation(const Uuid& token) const {
    return told(officers::token_revocation({.id = token, .document = {{"name", "t"}}}, maker_, ""));
  }
  Uuid make_token() {
    const Uuid id = make_uuid_v4();
    append(creation(id));
    return id;
  }
  static audit::Record with(const Uuid& token, audit::Record made) {
    made.content["actor"]["token_id"] = to_string(token);
    return made;
  }
  // By somebody who signed in until then, or with a token of the operator's file.
  static audit::Record until(WallTime end, audit::Record made) {
    made.content["actor"]["expires_at"] = to_rfc3339(end);
    return made;
  }

  Change approving() {
    const Uuid code = file(to_string(make_uuid_v4()));
    return {
        step_record(Kind::kApproval, ApprovalStep::kApprove,
                    *approval::approve(approval_of(code), officer(1),
                                       approval::TokenApprovals::kAllowed, "")),
        "SELECT state = 'APPROVED' FROM holdfast.approvals WHERE code = '" + to_string(code) + "'"};
  }
  Change closing() {
    const Uuid code = make_uuid_v4();
    audit::Record call = step_record(Kind::kIntent, ApprovalStep::kBreakGlass, {});
    call.content["review"] =
        approval::opening({.code = code, .rules = {}, .review_within = kHour}, requester());
    call.content["request"] = {{"justification", "a leak"}};
    call.content["decision"] = {{"effect", "break_glass"}};
    call.generation = active().value_or(approval::GenerationName()).number;
    EXPECT_TRUE(runner_.run(replica_->append_intent(std::move(call), request(""))).ok());
    audit::Record closing = step_record(Kind::kApproval, ApprovalStep::kReview, {});
    closing.content["review"] =
        *approval::close({.code = code, .requester = requester()}, officer(1),
                         approval::TokenApprovals::kAllowed, "in order");
    return {std::move(closing),
            "SELECT closed_at IS NOT NULL FROM holdfast.reviews WHERE code = '" + to_string(code) +
                "'"};
  }
  std::optional<approval::GenerationName> active() const {
    const std::string number =
        value("SELECT max(number) FROM holdfast.generations WHERE state = 'active'");
    if (number.empty()) return std::nullopt;
    return approval::GenerationName{std::stoll(number), "r", "hash" + number};
  }
  // A new one that waits, and a decision on it.
  Change deciding_on_rules(const char* event, const char* state) {
    const std::string number =
        value("SELECT coalesce(max(number), 0) + 1 FROM holdfast.generations");
    const approval::GenerationName name{std::stoll(number), "r", "hash" + number};
    audit::Record offer{.kind = Kind::kRules};
    offer.content["rules"] = approval::generation_change("offered", name, active());
    const auto offered = runner_.run(replica_->append(std::move(offer)));
    EXPECT_TRUE(offered.ok()) << offered.error().message;
    audit::Record decision{.kind = Kind::kRules};
    decision.content["rules"] = approval::generation_change(event, name, active());
    return {std::move(decision), std::string("SELECT state = '") + state +
                                     "' FROM holdfast.generations WHERE number = " + number};
  }
  Change approving_rules() { return deciding_on_rules("approved", "active"); }
  Change rejecting_rules() { return deciding_on_rules("rejected", "rejected"); }
  Change placing_hold() {
    const Uuid id = make_uuid_v4();
    return {told(*officers::hold_placing(id, {"ceo@contoso.com"}, "CASE-1", maker_)),
            "SELECT count(*) = 1 FROM holdfast.holds WHERE id = '" + to_string(id) + "'"};
  }
  Change lifting_hold() {
    const Uuid id = make_uuid_v4();
    append(told(*officers::hold_placing(id, {"ceo@contoso.com"}, "CASE-1", maker_)));
    return {told(*officers::hold_step({.id = id, .state = "held"}, officers::HoldVerb::kLift, "",
                                      maker_, approval::TokenApprovals::kAllowed)),
            "SELECT state = 'lifting' FROM holdfast.holds WHERE id = '" + to_string(id) + "'"};
  }
  Change making_token() {
    const Uuid id = make_uuid_v4();
    return {creation(id),
            "SELECT count(*) = 1 FROM holdfast.tokens WHERE id = '" + to_string(id) + "'"};
  }
  Change revoking_token() {
    const Uuid id = make_token();
    return {revocation(id), "SELECT revoked_at IS NOT NULL FROM holdfast.tokens WHERE id = '" +
                                to_string(id) + "'"};
  }

  static void expect_refused(const Result<RecordRef>& late) {
    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().code, ErrorCode::kNotFound) << late.error().message;
  }

  // All that an officer can change.
  using Make = Change (TokenRace::*)();
  const std::vector<std::pair<std::string, Make>> changes_ = {
      {"approval", &TokenRace::approving},
      {"review", &TokenRace::closing},
      {"rules approved", &TokenRace::approving_rules},
      {"rules rejected", &TokenRace::rejecting_rules},
      {"hold placed", &TokenRace::placing_hold},
      {"hold lifted", &TokenRace::lifting_hold},
      {"token created", &TokenRace::making_token},
      {"token revoked", &TokenRace::revoking_token}};
  TemporaryDirectory sealed_spool_;
  const officers::Officer maker_{.name = "root",
                                 .roles = {officers::OfficerRole::kApprover},
                                 .person = {.name = "root", .accounts = {account(7)}}};
};

// On another replica of the audit service, before and while the change is made.
TEST_F(TokenRace, race_of_every_change_against_the_end_of_its_token) {
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [name, make] : changes_) {
      SCOPED_TRACE(name);
      Change change = (this->*make)();
      const Uuid token = make_token();
      Attempt changed;
      Attempt revoked;
      const auto start_changing = [&] {
        changed = runner_.start(officers_->append(with(token, std::move(change.record))));
      };
      if (round % 2 == 0) {
        HeldLock head(database("postgres").url, kLogHead);
        revoked = runner_.start(other_officers_->append(revocation(token)));
        EXPECT_TRUE(head.is_met_by(1));
        start_changing();
        EXPECT_TRUE(head.is_met_by(2));
        head.release();
      } else {
        start_changing();
        revoked = runner_.start(other_officers_->append(revocation(token)));
      }
      const Result<RecordRef> first = changed.get();
      const Result<RecordRef> second = revoked.get();
      ASSERT_TRUE(second.ok());
      if (first.ok()) {
        EXPECT_LT(first->index, second->index);
        EXPECT_EQ(round % 2, 1);
      } else {
        expect_refused(first);
      }
      EXPECT_EQ(value(change.made), first.ok() ? "t" : "f");
    }
  }
}

TEST_F(TokenRace, race_of_every_change_against_the_time_of_its_token) {
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [name, make] : changes_) {
      SCOPED_TRACE(name);
      Change change = (this->*make)();
      const Uuid token = make_token();
      HeldLock tokens(database("postgres").url, kTokens);
      Attempt late = runner_.start(officers_->append(with(token, std::move(change.record))));
      EXPECT_TRUE(tokens.is_met_by(1));
      sql("postgres", "UPDATE holdfast.tokens SET expires_at = clock_timestamp() WHERE id = '" +
                          to_string(token) + "'");
      tokens.release();
      expect_refused(late.get());
      EXPECT_EQ(value(change.made), "f");
    }
  }
}

// Of which the database knows only what the record says.
TEST_F(TokenRace, race_of_every_change_against_the_time_of_its_sign_in) {
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [name, make] : changes_) {
      SCOPED_TRACE(name);
      Change late_change = (this->*make)();
      Change change = (this->*make)();
      const WallTime end = system_clock().now() + std::chrono::milliseconds(round * 5);
      const std::string is_over =
          "SELECT clock_timestamp() > '" + to_rfc3339(end) + "'::timestamptz";
      HeldLock tokens(database("postgres").url, kTokens);
      Attempt late = runner_.start(officers_->append(until(end, std::move(late_change.record))));
      EXPECT_TRUE(tokens.is_met_by(1));
      EXPECT_TRUE(eventually([&] { return value(is_over) == "t"; }));
      tokens.release();
      expect_refused(late.get());
      EXPECT_EQ(value(late_change.made), "f");
      append(until(system_clock().now() + kHour, std::move(change.record)));
      EXPECT_EQ(value(change.made), "t");
    }
  }
}

// All are of one replica, and wait for a record before them.
TEST_F(TokenRace, race_of_every_change_against_the_end_of_its_token_in_the_same_batch) {
  for (const auto& [name, make] : changes_) {
    SCOPED_TRACE(name);
    Change late_change = (this->*make)();
    Change change = (this->*make)();
    const Uuid ended = make_token();
    const Uuid token = make_token();
    HeldLock head(database("postgres").url, kLogHead);
    Attempt before = runner_.start(officers_->append(audit::Record{.kind = Kind::kAccess}));
    EXPECT_TRUE(head.is_met_by(1));
    Attempt revoked = runner_.start(officers_->append(revocation(ended)));
    Attempt late = runner_.start(officers_->append(with(ended, std::move(late_change.record))));
    // What is refused ends nothing.
    Attempt void_end = runner_.start(officers_->append(with(ended, revocation(token))));
    Attempt changed = runner_.start(officers_->append(with(token, std::move(change.record))));
    head.release();
    EXPECT_TRUE(before.get().ok());
    EXPECT_TRUE(revoked.get().ok());
    expect_refused(late.get());
    EXPECT_EQ(value(late_change.made), "f");
    expect_refused(void_end.get());
    const Result<RecordRef> made = changed.get();
    EXPECT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(value(change.made), "t");
  }
}

// Where both have personal values to seal, of people nobody knew before.
TEST_F(TokenRace, race_of_a_step_with_a_token_against_a_call_of_somebody_new) {
  audit::LogOptions options = log_options();
  options.spool_dir = sealed_spool_.path();
  options.personal_data = audit::PersonalData::kSealed;
  const auto sealed_replica = open_log(options);
  audit::Record call = record(Kind::kIntent, new_operation());
  call.content["actor"] = {{"user", "somebody"}};
  Change change = approving();
  audit::Record consent = with(make_token(), std::move(change.record));
  consent.content["actor"]["user"] = "another";
  consent.personal_data = audit::PersonalData::kSealed;
  HeldLock head(database("postgres").url, kLogHead);
  Attempt approved = runner_.start(officers_->append(std::move(consent)));
  EXPECT_TRUE(head.is_met_by(1));
  auto called = runner_.start(sealed_replica->append_intent(std::move(call), request("")));
  EXPECT_TRUE(head.is_met_by(2));
  head.release();
  const Result<RecordRef> first = approved.get();
  EXPECT_TRUE(first.ok()) << first.error().message;
  const Result<audit::Receipt> second = called.get();
  EXPECT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(value(change.made), "t");
}

}  // namespace
}  // namespace holdfast::testing
