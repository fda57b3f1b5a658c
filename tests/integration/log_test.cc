// The log as the data plane uses it: real threads, real database, the proxy's own role.
#include "tests/integration/log_fixture.h"
#include "tests/support/fake_clock.h"

namespace holdfast::audit {
namespace {

using testing::LogTest;
using testing::new_operation;
using testing::record;

TEST_F(LogTest, receipt_only_after_the_intent_is_committed) {
  auto log = open_log();
  const Uuid operation = new_operation();
  const Result<Receipt> receipt =
      runner_.run(log->append_intent(record(Kind::kIntent, operation), request("exactly this")));
  ASSERT_TRUE(receipt.ok()) << receipt.error().message;
  EXPECT_EQ(receipt->operation_id(), operation);
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json ->> 'operation_id' FROM holdfast.log "
                  "WHERE kind = 'intent' AND index = " +
                  std::to_string(receipt->intent().index)),
            to_string(operation));
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json ->> 'id' FROM holdfast.log "
                  "WHERE kind = 'intent'"),
            to_string(receipt->intent().id));
}

TEST_F(LogTest, receipt_is_good_for_as_long_as_the_lease) {
  LogOptions options = log_options();
  options.lease = std::chrono::seconds(60);
  const SteadyTime before = system_clock().steady_now();
  auto log = open_log(options);
  const auto receipt =
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")));
  ASSERT_TRUE(receipt.ok()) << receipt.error().message;
  EXPECT_GE(receipt->send_before(), before + options.lease);
  EXPECT_LE(receipt->send_before(), system_clock().steady_now() + options.lease);
}

TEST_F(LogTest, failed_insert_gives_no_receipt) {
  auto log = open_log();
  sql("postgres", "ALTER TABLE holdfast.log ADD CONSTRAINT never CHECK (kind <> 'intent')");
  const Result<Receipt> receipt =
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")));
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
  // Its neighbours are not affected.
  EXPECT_TRUE(runner_.run(log->append(record(Kind::kDecision, new_operation()))).ok());
}

TEST_F(LogTest, many_calls_share_commits_and_all_end) {
  auto log = open_log();
  std::vector<Uuid> operations;
  std::vector<std::future<Result<Receipt>>> intents;
  for (int i = 0; i < 300; ++i) {
    operations.push_back(new_operation());
    intents.push_back(
        runner_.start(log->append_intent(record(Kind::kIntent, operations.back()), request(""))));
  }
  for (auto& intent : intents) ASSERT_TRUE(intent.get().ok());
  std::vector<std::future<Result<RecordRef>>> outcomes;
  for (const Uuid& operation : operations) {
    outcomes.push_back(runner_.start(log->append_outcome(record(Kind::kOutcome, operation))));
  }
  for (auto& outcome : outcomes) ASSERT_TRUE(outcome.get().ok());
  EXPECT_EQ(value("SELECT count(*) || ' ' || max(index) FROM holdfast.log"), "600 599");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
  // Not one commit for each record.
  EXPECT_EQ(value("SELECT count(DISTINCT xmin::text) < 600 FROM holdfast.log_000000"), "t");
  // One writer's times never run backwards.
  EXPECT_EQ(value("SELECT count(*) FROM (SELECT convert_from(entry, 'UTF8')::json ->> 'time' < "
                  "lag(convert_from(entry, 'UTF8')::json ->> 'time') OVER (ORDER BY index) AS back "
                  "FROM holdfast.log) t WHERE back"),
            "0");
}

TEST_F(LogTest, an_operation_that_is_open_refuses_nobody_elses_intent) {
  auto log = open_log();
  const Uuid twice = new_operation();
  std::vector<std::future<Result<Receipt>>> intents;
  for (int i = 0; i < 60; ++i) {
    const Uuid operation = i % 30 == 15 ? twice : new_operation();
    intents.push_back(
        runner_.start(log->append_intent(record(Kind::kIntent, operation), request(""))));
  }
  std::vector<ErrorCode> refused;
  for (auto& intent : intents) {
    const Result<Receipt> receipt = intent.get();
    if (!receipt.ok()) refused.push_back(receipt.error().code);
  }
  EXPECT_EQ(refused, std::vector{ErrorCode::kInvalid});
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "59");
  EXPECT_EQ(value("SELECT count(*) || ' ' || max(index) FROM holdfast.log"), "59 58");
}

TEST_F(LogTest, misuse_is_refused_before_it_reaches_the_database) {
  auto log = open_log();
  const auto code = [this](Task<Result<RecordRef>> task) {
    const Result<RecordRef> result = runner_.run(std::move(task));
    return result.ok() ? ErrorCode::kInternal : result.error().code;
  };
  EXPECT_EQ(code(log->append(record(Kind::kApproval, new_operation()))), ErrorCode::kInvalid);
  EXPECT_EQ(code(log->append(record(Kind::kIntent, new_operation()))), ErrorCode::kInvalid);
  EXPECT_EQ(code(log->append_outcome(record(Kind::kIntent, new_operation()))), ErrorCode::kInvalid);
  Record large = record(Kind::kDecision, new_operation());
  large.content["decision"] = std::string(kEntryBytesMax, 'x');
  EXPECT_EQ(code(log->append(large)), ErrorCode::kLimit);
}

TEST_F(LogTest, second_terminal_record_becomes_a_reconciliation) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  ASSERT_TRUE(runner_.run(log->append_outcome(record(Kind::kOutcome, operation))).ok());
  const auto again = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kRefused);
  EXPECT_EQ(kinds(), "intent,outcome,reconciliation");
}

TEST_F(LogTest, audit_role_writes_its_kinds_and_no_intents) {
  LogOptions options = log_options();
  options.database = database("holdfast_audit");
  options.role = WriterRole::kAudit;
  options.spool_dir = "";
  auto log = open_log(options);
  EXPECT_TRUE(runner_.run(log->append(record(Kind::kAccess, Uuid{}))).ok());
  EXPECT_FALSE(
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request(""))).ok());
  EXPECT_FALSE(runner_.run(log->append_outcome(record(Kind::kOutcome, new_operation()))).ok());
  EXPECT_EQ(kinds(), "access");
}

TEST_F(LogTest, missing_spare_partition_shows_in_health) {
  auto log = open_log();
  log.reset();
  sql("postgres", "UPDATE holdfast.log_head SET next_index = partitions_end - 1000");
  Result<std::unique_ptr<LogPostgres>> opened = LogPostgres::open(log_options());
  ASSERT_TRUE(opened.ok());
  ASSERT_TRUE(testing::eventually([&opened] {
    return (*opened)->health().reason.find("spare partition") != std::string::npos;
  }));
  EXPECT_FALSE((*opened)->health().ready);
}

TEST_F(LogTest, a_settlers_times_do_not_follow_a_clock_backwards) {
  testing::FakeClock clock;
  Settler settler({.database = database("holdfast_audit"), .writer = {}}, clock);
  for (int i = 0; i < 2; ++i) {
    begin(*open_log());
    expire_leases();
    ASSERT_EQ(*settler.settle_expired(), 1U);
    clock.advance(std::chrono::seconds(-60));
  }
  EXPECT_EQ(kinds(), "intent,outcome,intent,outcome");
  EXPECT_EQ(steps_back_in_time(), "0");
}

class WriterTimesTest : public LogTest {
 protected:
  std::unique_ptr<LogPostgres> open_at_this_time() { return open_log(log_options(), clock_); }
  // The time of the newest record.
  std::string last_time() const {
    return value(
        "SELECT convert_from(entry, 'UTF8')::json ->> 'time' FROM holdfast.log "
        "ORDER BY index DESC LIMIT 1");
  }
  // Ends without a word to the database.
  void kill(std::unique_ptr<LogPostgres> log) {
    sql("postgres", "REVOKE EXECUTE ON FUNCTION holdfast.renew_lease FROM holdfast_proxy");
    log.reset();
    sql("postgres", "GRANT EXECUTE ON FUNCTION holdfast.renew_lease TO holdfast_proxy");
  }
  // So much more time has passed on the database's clock since a lease was renewed.
  void pass(const std::string& time) {
    sql("postgres", "UPDATE holdfast.writers SET last_time_at = last_time_at - interval '" + time +
                        "' WHERE last_time_at IS NOT NULL");
  }
  // As migrations leave what an earlier version wrote.
  void forget_times() {
    sql("postgres", "UPDATE holdfast.writers SET last_time = NULL, last_time_at = NULL");
  }

  testing::FakeClock clock_;
};

TEST_F(WriterTimesTest, do_not_follow_a_clock_backwards_over_a_restart) {
  auto log = open_at_this_time();
  clock_.advance(std::chrono::seconds(4));
  begin_and_end(*log);
  log.reset();
  clock_.advance(std::chrono::seconds(-60));
  log = open_at_this_time();
  begin_and_end(*log);
  EXPECT_EQ(kinds(), "intent,outcome,intent,outcome");
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(WriterTimesTest, do_not_follow_a_clock_backwards_over_a_crash) {
  auto log = open_at_this_time();
  clock_.advance(std::chrono::seconds(4));
  begin_and_end(*log);
  kill(std::move(log));
  pass("4 seconds");
  clock_.advance(std::chrono::seconds(-60));
  log = open_at_this_time();
  begin_and_end(*log);
  EXPECT_EQ(kinds(), "intent,outcome,intent,outcome");
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(WriterTimesTest, are_at_most_a_lease_ahead_of_the_last_that_was_told) {
  kill(open_at_this_time());
  pass("1 hour");
  clock_.advance(std::chrono::seconds(-60));
  begin_and_end(*open_at_this_time());
  EXPECT_EQ(last_time(), to_rfc3339(testing::FakeClock::kStart + log_options().lease));
}

TEST_F(WriterTimesTest, are_the_clocks_where_that_is_right) {
  kill(open_at_this_time());
  pass("1 second");
  clock_.advance(std::chrono::seconds(12));  // Of a lease of 15.
  begin_and_end(*open_at_this_time());
  EXPECT_EQ(last_time(), to_rfc3339(clock_.now()));
}

TEST_F(WriterTimesTest, go_on_after_the_intents_that_were_left_open) {
  auto log = open_at_this_time();
  begin(*log);
  log.reset();
  forget_times();
  clock_.advance(std::chrono::seconds(-60));
  log = open_at_this_time();
  EXPECT_EQ(kinds(), "intent,outcome");
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(LogTest, expired_operations_of_a_dead_process_are_settled_as_unknown) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  const Uuid alive = begin(*log);
  Settler settler({.database = database("holdfast_audit"), .writer = {}});
  const Result<std::size_t> none = settler.settle_expired();
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_EQ(*none, 0U);
  ASSERT_TRUE(runner_.run(log->append_outcome(record(Kind::kOutcome, alive))).ok());
  expire_leases();
  const Result<std::size_t> settled = settler.settle_expired();
  ASSERT_TRUE(settled.ok()) << settled.error().message;
  EXPECT_EQ(*settled, 1U);
  EXPECT_EQ(outcomes_of(operation), "unknown");
  // The record says what the call was, not only that it is over.
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json #>> '{request,target}' "
                  "FROM holdfast.log WHERE kind = 'outcome' AND role = 'audit'"),
            "/v1.0/me/messages/1/permanentDelete");
  // The process was only slow: its own result is evidence now.
  const auto late = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kRefused);
  EXPECT_EQ(outcomes_of(operation), "unknown");
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json #>> '{outcome,result}' "
                  "FROM holdfast.log WHERE kind = 'reconciliation'"),
            "executed");
}

TEST_F(LogTest, intents_that_are_none_of_ours_keep_nobodys_operations_open) {
  auto log = open_log();
  const std::vector<std::string> texts = {R"("id":"x","kind":"intent",nonsense,)",
                                          R"("approval":"x","kind":"intent",)",
                                          R"("id":"x","kind":"intent","request":{"a":"\u0000"},)"};
  for (const std::string& text : texts) {
    sql("postgres",
        "WITH made AS (SELECT convert_to('{' || $$" + text +
            R"($$ || '"writer":{"role":"proxy"}}', 'UTF8') AS e), )"
            "head AS (UPDATE holdfast.log_head SET next_index = next_index + 1 "
            "RETURNING next_index - 1 AS index), "
            "opened AS (INSERT INTO holdfast.open_operations SELECT gen_random_uuid(), '" +
            to_string(log->writer().id) +
            "', index FROM head) INSERT INTO holdfast.log SELECT index, e, "
            "sha256('\\x00'::bytea || e), 'intent', 'proxy' FROM made, head");
  }
  const Uuid operation = begin(*log);
  log.reset();
  expire_leases();
  Settler settler({.database = database("holdfast_audit"), .writer = {}});
  const Result<std::size_t> settled = settler.settle_expired();
  ASSERT_TRUE(settled.ok()) << settled.error().message;
  EXPECT_EQ(*settled, texts.size() + 1);
  EXPECT_EQ(outcomes_of(operation), "unknown");
}

TEST_F(LogTest, race_of_two_settlers_ends_each_operation_once) {
  auto log = open_log();
  for (int i = 0; i < 20; ++i) begin(*log);
  log.reset();
  expire_leases();
  std::vector<std::future<std::size_t>> settlers;
  for (int i = 0; i < 2; ++i) {
    settlers.push_back(std::async(std::launch::async, [this] {
      Settler settler({.database = database("holdfast_audit"), .writer = {}});
      const Result<std::size_t> settled = settler.settle_expired();
      return settled.ok() ? *settled : 0;
    }));
  }
  std::size_t settled = 0;
  for (auto& settler : settlers) settled += settler.get();
  EXPECT_EQ(settled, 20U);
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log WHERE kind = 'outcome'"), "20");
}

}  // namespace
}  // namespace holdfast::audit
