// Approvals on a database of their own: replicas of the proxy and the audit service as logs, and
// people who decide.
#pragma once

#include "approval/approvals_postgres.h"
#include "approval/review.h"
#include "tests/integration/log_fixture.h"

namespace holdfast::testing {

constexpr const char* kTenant = "11111111-0000-4000-8000-000000000001";

inline std::string account(int person) {
  return std::string(kTenant) + "/user" + std::to_string(person);
}

inline approval::Approver officer(int person, std::vector<std::string> groups = {"compliance"}) {
  return {.person = {.name = "officer" + std::to_string(person),
                     .accounts = {account(person)},
                     .names = {"officer" + std::to_string(person) + "@contoso.com"}},
          .groups = std::move(groups),
          .may_approve = true,
          .may_revoke = true};
}

inline approval::Identity requester(int person = 99) {
  return {.name = "requester", .accounts = {account(person)}, .names = {}};
}

inline approval::ApprovalTerms terms(std::vector<approval::ApprovalStage> stages = {
                                         {.from = "compliance", .group = "g1", .count = 1}}) {
  return {.stages = std::move(stages),
          .decide_within = std::chrono::hours(1),
          .use_within = std::chrono::hours(1)};
}

class ApprovalTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    officers_ = open_service();
    replica_ = open_replica(spool_);
    other_replica_ = open_replica(other_spool_);
    workers_ = std::make_unique<audit::QueryWorkers>(audit::RecordSourceOptions{
        .access = {.database = database("holdfast_audit")}, .connections = 1});
    source_ = std::make_unique<approval::PostgresApprovalSource>(*workers_);
  }
  void TearDown() override {
    if (workers_) workers_->stop();
    officers_.reset();
    replica_.reset();
    other_replica_.reset();
    LogTest::TearDown();
  }

  // The log of a `holdfast audit`, and of a proxy. Nobody gives up on a slow machine.
  std::unique_ptr<audit::LogPostgres> open_service() {
    audit::LogOptions options = log_options();
    options.database = database("holdfast_audit");
    options.role = audit::WriterRole::kAudit;
    options.spool_dir.clear();
    options.append_timeout = kPatience;
    return open_log(options);
  }
  std::unique_ptr<audit::LogPostgres> open_replica(const TemporaryDirectory& spool) {
    audit::LogOptions options = log_options();
    options.spool_dir = spool.path();
    options.append_timeout = kPatience;
    return open_log(options);
  }

  static approval::Binding binding(const std::string& item) {
    return {.digests = {to_hex(sha256("tenant")), "", "", "", "", to_hex(sha256(item))}};
  }

  static audit::Record step_record(audit::Kind kind, audit::ApprovalStep step,
                                   nlohmann::json content) {
    audit::Record made = record(kind, new_operation());
    made.approval_step = step;
    made.content["approval"] = std::move(content);
    return made;
  }
  static audit::Record file_record(const Uuid& code, const std::string& item,
                                   const approval::ApprovalTerms& asked = terms()) {
    return step_record(audit::Kind::kDecision, audit::ApprovalStep::kFile,
                       approval::filing(code, binding(item), requester(), asked));
  }

  Uuid file(const std::string& item, const approval::ApprovalTerms& asked = terms()) {
    const Uuid code = make_uuid_v4();
    const auto filed = runner_.run(replica_->append(file_record(code, item, asked)));
    EXPECT_TRUE(filed.ok()) << filed.error().message;
    return code;
  }

  approval::Approval approval_of(const Uuid& code) {
    auto found = runner_.run(source_->find(code));
    EXPECT_TRUE(found.ok() && found->has_value());
    return **std::move(found);
  }
  std::string state(const Uuid& code) { return std::string(to_string(approval_of(code).state)); }
  // The names of the steps taken, in order.
  std::string steps(const Uuid& code) const {
    return value(
        "SELECT string_agg(h ->> 'name', ',' ORDER BY (h ->> 'step')::integer) "
        "FROM holdfast.find_approval('" +
        to_string(code) + "', NULL) d, jsonb_array_elements(d -> 'history') h");
  }

  // One officer's step on the approval as it was read; kRefused: another came first.
  Result<audit::RecordRef> decide(audit::ApprovalStep step, Result<nlohmann::json> content) {
    if (!content.ok()) return content.error();
    return runner_.run(
        officers_->append(step_record(audit::Kind::kApproval, step, *std::move(content))));
  }
  Result<audit::RecordRef> consent(const Uuid& code, const approval::Approver& by) {
    return decide(audit::ApprovalStep::kApprove,
                  approval::approve(approval_of(code), by, approval::TokenApprovals::kRefused, ""));
  }

  static audit::Record claim_record(const approval::Approval& approval) {
    return step_record(audit::Kind::kIntent, audit::ApprovalStep::kClaim,
                       approval::claim(approval.code, approval.binding.digest()));
  }
  // The intent of a call that goes past its approval.
  static audit::Record glass_record(const approval::Opening& opening,
                                    const std::string& justification = "a leak") {
    audit::Record made = step_record(audit::Kind::kIntent, audit::ApprovalStep::kBreakGlass, {});
    made.content.erase("approval");
    made.content["review"] = approval::opening(opening, requester());
    made.content["request"] = {{"justification", justification}};
    made.content["decision"] = {{"effect", "break_glass"}, {"rules", {"incident"}}};
    return made;
  }
  // Past this one, as it was read.
  static audit::Record glass_record(const approval::Approval& seen) {
    return glass_record(
        approval::Opening{.code = make_uuid_v4(),
                          .rules = {},
                          .review_within = std::chrono::hours(1),
                          .binding = seen.binding.digest(),
                          .overrides = approval::Overridden{.code = seen.code, .step = seen.step}});
  }
  // The operation that claimed it; nullopt when it could not.
  std::optional<Uuid> claim(const approval::Approval& approval) {
    audit::Record intent = claim_record(approval);
    const Uuid operation = intent.operation_id;
    const auto receipt = runner_.run(replica_->append_intent(std::move(intent), request("")));
    if (!receipt.ok()) {
      EXPECT_EQ(receipt.error().code, ErrorCode::kRefused) << receipt.error().message;
      return std::nullopt;
    }
    return operation;
  }
  void end(const Uuid& code, const Uuid& operation, audit::CallResult result, int status = 0) {
    audit::Record outcome = record(audit::Kind::kOutcome, operation);
    outcome.content["outcome"] = {{"result", to_string(result)}, {"status", status}};
    outcome.approval_step = audit::ApprovalStep::kEnd;
    outcome.content["approval"] = approval::claim_ended(code, result, status);
    const auto ended = runner_.run(replica_->append_outcome(std::move(outcome)));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
  }

  // As if so much time had passed.
  void let_pass(const std::string& interval) const {
    sql("postgres", "UPDATE holdfast.approvals SET filed_at = filed_at - interval '" + interval +
                        "', decide_by = decide_by - interval '" + interval +
                        "', use_by = use_by - interval '" + interval + "'");
  }

  // Whether that goes on only when nobody else takes a step.
  bool waits_for_the_lock_of_all_steps(const std::function<bool()>& work) const {
    pqxx::connection connection(database("postgres").url);
    pqxx::work other(connection);
    other.exec("SELECT pg_advisory_xact_lock(hashtextextended('holdfast.approvals', 0))");
    auto done = std::async(std::launch::async, work);
    const bool waits = eventually([&] {
      return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready ||
             value(
                 "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND "
                 "database = (SELECT oid FROM pg_database WHERE datname = current_database())") ==
                 "1";
    });
    const bool ended = done.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    other.abort();
    return done.get() && waits && !ended;
  }

  TemporaryDirectory other_spool_;
  std::unique_ptr<audit::LogPostgres> officers_;
  std::unique_ptr<audit::LogPostgres> replica_;
  std::unique_ptr<audit::LogPostgres> other_replica_;
  std::unique_ptr<audit::QueryWorkers> workers_;
  std::unique_ptr<approval::PostgresApprovalSource> source_;
};

}  // namespace holdfast::testing
