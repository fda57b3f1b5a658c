// What the log promises when the database breaks, hangs, lies or is away.
#include <sys/resource.h>

#include <csignal>
#include <future>
#include <optional>

#include "audit/wal_flush_postgres.h"
#include "tests/integration/log_fixture.h"

namespace holdfast::audit {
namespace {

using testing::LogTest;
using testing::new_operation;
using testing::record;
using namespace std::chrono_literals;

class LogFaultTest : public LogTest {
 protected:
  // Holds the log's head, so that an append waits inside its statement.
  class Blocked {
   public:
    explicit Blocked(const Database& database)
        : connection_(database.url), transaction_(connection_) {
      transaction_.exec("SELECT * FROM holdfast.log_head FOR UPDATE");
    }
    void release() { transaction_.commit(); }

   private:
    pqxx::connection connection_;
    pqxx::work transaction_;
  };

  void wait_until_blocked() {
    ASSERT_TRUE(testing::eventually([this] {
      return value(
                 "SELECT count(*) FROM pg_stat_activity WHERE usename = 'holdfast_proxy' "
                 "AND wait_event_type = 'Lock' AND datname = current_database()") == "1";
    }));
  }
  // A synchronous standby that never answers. Servers take new settings some time after they are
  // told to: in force they are once a commit of ours waits for it.
  void require_standby(bool required) {
    sql("postgres", std::string("ALTER SYSTEM SET synchronous_standby_names = ") +
                        (required ? "'missing'" : "''"));
    sql("postgres", "SELECT pg_reload_conf()");
    if (required) {
      ASSERT_TRUE(testing::eventually([this] { return commit_waits(); }));
    }
  }
  bool commit_waits() {
    auto commit = std::async(std::launch::async, [this] {
      sql("postgres", "SELECT pg_logical_emit_message(true, 'test', 'anything')");
    });
    const std::string waiting =
        "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'postgres'";
    bool waited = false;
    while (commit.wait_for(5ms) != std::future_status::ready) {
      waited = waited || value("SELECT count(*) " + waiting) == "1";
      if (waited) value("SELECT count(pg_cancel_backend(pid)) " + waiting);
    }
    commit.get();
    return waited;
  }
  // One that gives nothing up while a test holds it.
  std::unique_ptr<LogPostgres> open_patient_log() {
    LogOptions options = log_options();
    options.append_timeout = 60s;
    return open_log(options);
  }
  // An intent that is in the database, and that the log does not know to be durable.
  std::future<Result<Receipt>> begin_unflushed(LogPostgres& log) {
    signal(flusher(), SIGSTOP);
    const std::string before = value("SELECT count(*) FROM holdfast.log");
    auto started = start_intents(log, {new_operation()});
    EXPECT_TRUE(
        testing::eventually([&] { return value("SELECT count(*) FROM holdfast.log") != before; }));
    return std::move(started.front());
  }
  // The server process that makes durable what the log's connection has committed.
  std::string flusher() const {
    return value(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'holdfast_proxy' "
        "AND datname = current_database() ORDER BY backend_start DESC LIMIT 1");
  }
  void wait_for_standby_wait(const std::string& pid) {
    ASSERT_TRUE(testing::eventually([&] {
      return value("SELECT wait_event FROM pg_stat_activity WHERE pid = " + pid) == "SyncRep";
    }));
  }
  std::vector<std::future<Result<Receipt>>> start_intents(LogPostgres& log,
                                                          const std::vector<Uuid>& operations) {
    std::vector<std::future<Result<Receipt>>> started;
    for (const Uuid& operation : operations) {
      started.push_back(
          runner_.start(log.append_intent(record(Kind::kIntent, operation), request(""))));
    }
    return started;
  }
  // So many intents that share statements; the next record does not come alone any more.
  std::vector<Uuid> begin_together(LogPostgres& log, std::size_t count) {
    Blocked blocked(database("postgres"));
    std::vector<Uuid> operations{new_operation()};
    auto first = start_intents(log, operations);
    wait_until_blocked();
    std::vector<Uuid> others;
    for (std::size_t i = 1; i < count; ++i) others.push_back(new_operation());
    auto rest = start_intents(log, others);
    runner_.run(nothing());  // Runs after them: they wait in the log's queue now.
    blocked.release();
    EXPECT_TRUE(first.front().get().ok());
    for (auto& each : rest) EXPECT_TRUE(each.get().ok());
    operations.insert(operations.end(), others.begin(), others.end());
    return operations;
  }
  static Task<int> nothing() { co_return 0; }

  // The proxy alone cannot reach the database; what it has of an outcome is in its spool.
  void spool_outcome(LogPostgres& log, const Uuid& operation) {
    maintenance("ALTER ROLE holdfast_proxy NOLOGIN");
    sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
    const auto spooled = runner_.run(log.append_outcome(record(Kind::kOutcome, operation)));
    ASSERT_TRUE(spooled.ok()) << spooled.error().message;
    ASSERT_EQ(spooled->index, -1);
  }
  void let_in(const LogPostgres& log) {
    maintenance("ALTER ROLE holdfast_proxy LOGIN");
    ASSERT_TRUE(ready(log));
    EXPECT_EQ(log.health().spooled, 0U);
  }
  // Somebody ends as unknown what is open, and nobody remembers that it was somebody else.
  void settle_and_forget() {
    expire_leases();
    Settler settler({.database = database("holdfast_audit"), .writer = {}});
    const Result<std::size_t> settled = settler.settle_expired();
    ASSERT_TRUE(settled.ok()) << settled.error().message;
    sql("postgres", "DELETE FROM holdfast.settled_operations");
  }
  // Without waiting for a standby.
  void index_search() {
    sql("postgres",
        "SET synchronous_commit = local; SELECT holdfast.derive_search(1000); "
        "SELECT holdfast.index_search(1000)");
  }
  std::string last_result() const {
    return value(
        "SELECT convert_from(entry, 'UTF8')::json #>> '{outcome,result}' FROM holdfast.log "
        "ORDER BY index DESC LIMIT 1");
  }

  static bool ready(const LogPostgres& log) {
    return testing::eventually([&log] { return log.health().ready; });
  }
  static void signal(const std::string& pid, int number) { kill(std::stoi(pid), number); }
};

TEST_F(LogFaultTest, fault_unreachable_database_at_start_is_reported_and_retried) {
  control("stop");
  auto opened = LogPostgres::open(log_options());
  ASSERT_TRUE(opened.ok());
  LogPostgres& log = **opened;
  EXPECT_FALSE(log.health().ready);
  EXPECT_NE(log.health().reason, "");
  const auto intent =
      runner_.run(log.append_intent(record(Kind::kIntent, new_operation()), request("")));
  ASSERT_FALSE(intent.ok());
  EXPECT_EQ(intent.error().code, ErrorCode::kUnavailable);
  control("start");
  EXPECT_TRUE(ready(log));
  begin(log);
}

TEST_F(LogFaultTest, fault_outcome_is_spooled_while_the_database_is_away) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  control("kill");
  const auto outcome = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->index, -1);
  EXPECT_FALSE(log->health().ready);
  EXPECT_EQ(log->health().spooled, 1U);
  EXPECT_FALSE(
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request(""))).ok());
  control("start");
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(log->health().spooled, 0U);
  EXPECT_EQ(outcomes_of(operation), "executed");
  EXPECT_EQ(kinds(), "intent,outcome");
}

TEST_F(LogFaultTest, fault_restart_with_a_full_and_torn_spool_loses_nothing) {
  auto log = open_log();
  const Uuid spooled = begin(*log);
  const Uuid unfinished = begin(*log);
  control("stop");
  ASSERT_TRUE(runner_.run(log->append_outcome(record(Kind::kOutcome, spooled))).ok());
  log.reset();
  // Half of the next entry was on its way to the disk.
  ASSERT_EQ(std::system(("printf 'torn' >> " + spool_.path() + "/outcomes").c_str()), 0);
  control("start");
  log = open_log();
  EXPECT_EQ(outcomes_of(spooled), "executed");
  EXPECT_EQ(outcomes_of(unfinished), "unknown");
  // What the new process knew nothing of, it still records as the call it was.
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json #>> '{request,target}' "
                  "FROM holdfast.log WHERE kind = 'outcome' AND "
                  "convert_from(entry, 'UTF8')::json #>> '{outcome,result}' = 'unknown'"),
            "/v1.0/me/messages/1/permanentDelete");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.writers"), "1");
}

TEST_F(LogFaultTest, fault_second_process_on_the_same_spool_is_refused) {
  auto log = open_log();
  const auto second = LogPostgres::open(log_options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
}

TEST_F(LogFaultTest, fault_backend_killed_before_commit_leaves_no_trace_of_the_intent) {
  auto log = open_log();
  Blocked blocked(database("postgres"));
  auto intent =
      runner_.start(log->append_intent(record(Kind::kIntent, new_operation()), request("")));
  wait_until_blocked();
  sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
  const Result<Receipt> receipt = intent.get();
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  blocked.release();
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log"), "0");
}

TEST_F(LogFaultTest,
       fault_hung_backend_costs_the_deadline_and_its_late_commit_is_ended_as_not_sent) {
  LogOptions options = log_options();
  options.append_timeout = 1500ms;
  auto log = open_log(options);
  const Uuid before = begin(*log);
  const std::string pid = backend();
  signal(pid, SIGSTOP);
  const Uuid operation = new_operation();
  auto intent = runner_.start(log->append_intent(record(Kind::kIntent, operation), request("")));
  auto outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, before)));
  const Result<Receipt> receipt = intent.get();
  const Result<RecordRef> spooled = outcome.get();
  signal(pid, SIGCONT);  // It now reads the statement and commits it.
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  ASSERT_TRUE(spooled.ok()) << spooled.error().message;
  ASSERT_TRUE(ready(*log));
  // Committed or not, nothing is open and nothing has two terminal records.
  EXPECT_EQ(outcomes_of(before), "executed");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
  const std::string ended = outcomes_of(operation);
  EXPECT_EQ(ended, value("SELECT CASE WHEN count(*) = 0 THEN '' ELSE 'not_sent' END FROM "
                         "holdfast.log WHERE kind = 'intent' AND convert_from(entry, "
                         "'UTF8')::json ->> 'operation_id' = '" +
                         to_string(operation) + "'"));
}

// Cancelling the wait for a standby makes the server report success, with a warning.
TEST_F(LogFaultTest, fault_cancelled_wait_for_a_standby_is_not_durable) {
  auto log = open_patient_log();
  require_standby(true);
  const Uuid operation = new_operation();
  auto intent = runner_.start(log->append_intent(record(Kind::kIntent, operation), request("")));
  wait_for_standby_wait(backend());
  sql("postgres", "SELECT pg_cancel_backend(" + backend() + ")");
  const Result<Receipt> receipt = intent.get();
  require_standby(false);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(operation), "not_sent");
}

TEST_F(LogFaultTest, fault_what_was_acknowledged_survives_a_crash_of_the_server) {
  auto log = open_log();
  const std::vector<Uuid> operations = begin_together(*log, 50);
  std::vector<std::future<Result<RecordRef>>> outcomes;
  for (const Uuid& operation : operations) {
    outcomes.push_back(runner_.start(log->append_outcome(record(Kind::kOutcome, operation))));
  }
  for (auto& outcome : outcomes) EXPECT_TRUE(outcome.get().ok());
  control("kill");
  control("start");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log"), "100");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
}

TEST_F(LogFaultTest, fault_nobody_sends_before_the_standby_has_what_they_share) {
  auto log = open_patient_log();
  begin_together(*log, 3);
  require_standby(true);
  const Uuid operation = new_operation();
  auto intent = runner_.start(log->append_intent(record(Kind::kIntent, operation), request("")));
  const std::string pid = flusher();
  wait_for_standby_wait(pid);
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log"), "4") << "others see it already";
  EXPECT_EQ(intent.wait_for(0s), std::future_status::timeout);
  sql("postgres", "SELECT pg_cancel_backend(" + pid + ")");  // Success, with a warning.
  const Result<Receipt> receipt = intent.get();
  require_standby(false);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(operation), "not_sent");
}

TEST_F(LogFaultTest, fault_lost_while_it_is_made_durable_is_in_doubt_and_never_twice) {
  auto log = open_patient_log();
  const Uuid before = begin_together(*log, 3).front();
  require_standby(true);
  auto outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, before)));
  const std::string pid = flusher();
  wait_for_standby_wait(pid);
  // It came later, and is no more durable than what came before.
  const Uuid operation = new_operation();
  auto intent = runner_.start(log->append_intent(record(Kind::kIntent, operation), request("")));
  ASSERT_TRUE(
      testing::eventually([this] { return value("SELECT count(*) FROM holdfast.log") == "5"; }));
  sql("postgres", "SELECT pg_terminate_backend(" + pid + ")");
  const Result<RecordRef> spooled = outcome.get();
  const Result<Receipt> receipt = intent.get();
  require_standby(false);
  ASSERT_TRUE(spooled.ok());
  EXPECT_EQ(spooled->index, -1);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(before), "executed");
  EXPECT_EQ(outcomes_of(operation), "not_sent");
  EXPECT_EQ(log->health().spooled, 0U);
}

TEST_F(LogFaultTest, fault_what_a_crash_takes_before_it_is_durable_was_nobody_told) {
  auto log = open_patient_log();
  const Uuid before = begin_together(*log, 3).front();
  signal(flusher(), SIGSTOP);
  auto outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, before)));
  const Uuid operation = new_operation();
  auto intent = start_intents(*log, {operation});
  ASSERT_TRUE(
      testing::eventually([this] { return value("SELECT count(*) FROM holdfast.log") == "5"; }));
  control("kill");
  const Result<RecordRef> spooled = outcome.get();
  const Result<Receipt> receipt = intent.front().get();
  ASSERT_TRUE(spooled.ok());
  EXPECT_EQ(spooled->index, -1);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kInDoubt);
  control("start");
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(kinds(), "intent,intent,intent,outcome");
  EXPECT_EQ(outcomes_of(before), "executed");
}

// What the crash took is brought again as it was sent, and what is known better since was made
// later.
TEST_F(LogFaultTest, fault_a_writers_times_do_not_run_backwards_over_a_crash) {
  auto log = open_patient_log();
  const Uuid before = begin_together(*log, 3).front();
  auto intent = begin_unflushed(*log);
  sql("postgres", "CHECKPOINT");  // The intent is durable, and nobody has told the log.
  std::future<Result<RecordRef>> outcome;
  {
    Blocked blocked(database("postgres"));
    outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, before)));
    wait_until_blocked();
    control("kill");
  }
  EXPECT_EQ(outcome.get()->index, -1);
  EXPECT_EQ(intent.get().error().code, ErrorCode::kInDoubt);
  control("start");
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(kinds(), "intent,intent,intent,intent,outcome,outcome");
  EXPECT_EQ(outcomes_of(before), "executed");
  EXPECT_EQ(steps_back_in_time(), "0");
}

// While one flush waits, a statement waits for as many entries as that is for.
TEST_F(LogFaultTest, fault_batches_fill_while_the_disk_is_waited_for) {
  auto log = open_patient_log();
  begin_together(*log, 3);
  require_standby(true);
  auto first = start_intents(*log, {new_operation()});
  wait_for_standby_wait(flusher());
  const auto size = [this] { return value("SELECT next_index FROM holdfast.log_head"); };
  // One came, one is being flushed; then two are, and one is too few.
  auto second = start_intents(*log, {new_operation()});
  ASSERT_TRUE(testing::eventually([&] { return size() == "5"; }));
  auto third = start_intents(*log, {new_operation()});
  for (int i = 0; i < 50; ++i) ASSERT_EQ(size(), "5");
  auto fourth = start_intents(*log, {new_operation()});
  ASSERT_TRUE(testing::eventually([&] { return size() == "7"; }));
  EXPECT_EQ(value("SELECT count(DISTINCT xmin::text) FROM holdfast.log WHERE index >= 5"), "1");
  require_standby(false);
  for (auto* intents : {&first, &second, &third, &fourth}) EXPECT_TRUE(intents->front().get().ok());
}

// With two statements under way: that of an intent, which waits for the log's head, and behind it
// that of as many as are worth one.
class LogAheadTest : public LogFaultTest {
 protected:
  void SetUp() override {
    LogFaultTest::SetUp();
    open(log_options());
  }
  void open(const LogOptions& options) {
    log_.reset();
    log_ = open_log(options);
    begin_together(*log_, 3);
    begun_by_ = backend();
  }

  void send_two(const Record& first, const Record& second) {
    blocked_.emplace(database("postgres"));
    first_ = start(first);
    wait_until_blocked();
    second_.push_back(start(second));
    while (second_.size() < 8) second_.push_back(start(intent()));
    runner_.run(nothing());  // Runs after them: the second statement is sent, or never will be.
  }
  std::future<Result<Receipt>> start(const Record& intent) {
    return runner_.start(log_->append_intent(intent, request("")));
  }
  static Record intent() { return record(Kind::kIntent, new_operation()); }
  // The database refuses it.
  Record poison() {
    sql("postgres",
        "ALTER TABLE holdfast.log ADD CONSTRAINT word CHECK (position('poison'::bytea IN entry) = "
        "0)");
    Record poison = intent();
    poison.content["request"] = "poison";
    return poison;
  }
  void expect_in_log(const std::string& count_and_last_index) {
    EXPECT_EQ(value("SELECT count(*) || ' ' || max(index) FROM holdfast.log"),
              count_and_last_index);
    EXPECT_EQ(steps_back_in_time(), "0");
  }
  bool begun_anew() {
    return testing::eventually([&] { return log_->health().ready && backend() != begun_by_; });
  }

  std::unique_ptr<LogPostgres> log_;
  std::string begun_by_;
  std::optional<Blocked> blocked_;
  std::future<Result<Receipt>> first_;
  std::vector<std::future<Result<Receipt>>> second_;
};

TEST_F(LogAheadTest, fault_killed_backend_leaves_no_trace_of_either_statement) {
  const Record again = intent();
  send_two(intent(), again);
  sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
  EXPECT_EQ(first_.get().error().code, ErrorCode::kInDoubt);
  // Sent with the first one: what only waits would be tried again.
  for (auto& each : second_) EXPECT_EQ(each.get().error().code, ErrorCode::kInDoubt);
  blocked_->release();
  ASSERT_TRUE(begun_anew());
  expect_in_log("3 2");
  ASSERT_TRUE(start(again).get().ok());
}

// They commit after their client has given up, or do not; nobody sends, and nothing stays open.
TEST_F(LogAheadTest, fault_two_statements_that_nobody_answers_are_ended_as_not_sent) {
  LogOptions options = log_options();
  options.append_timeout = 1500ms;
  open(options);  // What the first log began is ended as unknown.
  send_two(intent(), intent());
  EXPECT_EQ(first_.get().error().code, ErrorCode::kInDoubt);
  for (auto& each : second_) EXPECT_EQ(each.get().error().code, ErrorCode::kInDoubt);
  blocked_->release();
  ASSERT_TRUE(testing::eventually([&] { return log_->health().ready; }));
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "3") << "the second log's";
  EXPECT_EQ(value("SELECT count(*) FILTER (WHERE kind = 'intent') - count(*) FILTER (WHERE kind = "
                  "'outcome') FROM holdfast.log"),
            "3");
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(LogAheadTest, fault_what_was_sent_behind_a_refused_entry_is_appended) {
  send_two(poison(), intent());
  blocked_->release();
  EXPECT_EQ(first_.get().error().code, ErrorCode::kInternal);
  for (auto& each : second_) EXPECT_TRUE(each.get().ok());
  expect_in_log("11 10");
  EXPECT_EQ(backend(), begun_by_);
}

// The same where it fails for a reason that is none of its data, and everything begins anew.
TEST_F(LogAheadTest, fault_what_was_sent_behind_a_cancelled_statement_is_appended) {
  const Record second = intent();
  send_two(intent(), second);
  sql("postgres", "SELECT pg_cancel_backend(" + backend() + ")");
  EXPECT_EQ(first_.get().error().code, ErrorCode::kUnavailable);
  blocked_->release();
  for (auto& each : second_) EXPECT_TRUE(each.get().ok());
  ASSERT_TRUE(begun_anew());
  ASSERT_TRUE(runner_.run(log_->append_outcome(record(Kind::kOutcome, second.operation_id))).ok());
  expect_in_log("12 11");
}

TEST_F(LogAheadTest, fault_neighbours_of_a_refused_entry_are_appended_after_what_was_sent) {
  send_two(intent(), poison());
  blocked_->release();
  EXPECT_TRUE(first_.get().ok());
  EXPECT_EQ(second_.front().get().error().code, ErrorCode::kInternal);
  for (std::size_t i = 1; i < second_.size(); ++i) EXPECT_TRUE(second_[i].get().ok());
  expect_in_log("11 10");
  EXPECT_EQ(backend(), begun_by_);
}

// Who hears neither answer would append the first one again, behind what is later.
TEST_F(LogFaultTest, fault_no_batch_is_appended_without_the_one_before_it) {
  SocketWatchdog watchdog;
  const Writer writer{.id = make_uuid_v4(), .role = WriterRole::kProxy};
  const auto opened = AppendConnection::open(
      {.database = database("holdfast_proxy"), .writer = writer, .deadline = 60s}, watchdog);
  ASSERT_TRUE(opened.ok());
  AppendConnection& appends = **opened;
  const auto send = [&] {
    Result<Entry> entry = make_entry(record(Kind::kDecision, new_operation()),
                                     make_uuid_v7(system_clock().now()), writer);
    entry->set_time(system_clock().now());
    const Entry* batch = &*entry;
    appends.send({&batch, 1}, Commit::kWritten);
  };
  send();
  EXPECT_TRUE(appends.receive().ok());
  Blocked blocked(database("postgres"));
  send();
  wait_until_blocked();
  send();
  sql("postgres", "SELECT pg_cancel_backend(" + backend() + ")");
  EXPECT_EQ(appends.receive().error().code, ErrorCode::kUnavailable);
  send();  // Behind one that was not tried.
  EXPECT_EQ(appends.receive().error().code, ErrorCode::kRefused);
  EXPECT_EQ(appends.receive().error().code, ErrorCode::kRefused);
  blocked.release();
  send();
  send();
  EXPECT_TRUE(appends.receive().ok());
  EXPECT_TRUE(appends.receive().ok());
  EXPECT_EQ(value("SELECT count(*) || ' ' || max(index) FROM holdfast.log"), "3 2");
}

// The lease is renewed by a commit like any other.
TEST_F(LogFaultTest, fault_cancelled_wait_of_a_renewal_puts_no_record_in_doubt) {
  LogOptions options = log_options();
  options.append_timeout = 60s;
  options.lease = 1s;
  auto log = open_log(options);
  const std::string before = backend();
  sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'missing'");
  sql("postgres", "SELECT pg_reload_conf()");
  wait_for_standby_wait(before);
  sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''");
  sql("postgres", "SELECT pg_cancel_backend(" + before + ")");
  sql("postgres", "SELECT pg_reload_conf()");
  begin(*log);
  EXPECT_EQ(backend(), before);
}

TEST_F(LogFaultTest, fault_lease_that_cannot_be_renewed_at_once_keeps_the_log_away) {
  sql("postgres", "REVOKE EXECUTE ON FUNCTION holdfast.renew_lease FROM holdfast_proxy");
  auto opened = LogPostgres::open(log_options());
  ASSERT_TRUE(opened.ok());
  LogPostgres& log = **opened;
  ASSERT_TRUE(testing::eventually([&] {
    return log.health().reason.find("permission denied") != std::string::npos;
  })) << log.health().reason;
  sql("postgres", "GRANT EXECUTE ON FUNCTION holdfast.renew_lease TO holdfast_proxy");
  ASSERT_TRUE(ready(log));
  begin(log);
}

TEST_F(LogFaultTest, fault_lost_connection_of_the_flushes_is_noticed_while_idle) {
  auto log = open_log();
  const std::string lost = flusher();
  ASSERT_NE(lost, backend());
  sql("postgres", "SELECT pg_terminate_backend(" + lost + ")");
  ASSERT_TRUE(testing::eventually([&] { return flusher() != lost && flusher() != backend(); }));
  ASSERT_TRUE(ready(*log));
  begin_together(*log, 3);
}

// Where the address of the database leads to one server now and to another one then, the disk of
// the second says nothing about what the first has committed.
TEST_F(LogFaultTest, fault_flushes_go_to_the_server_of_the_appends) {
  SocketWatchdog watchdog;
  const auto appends =
      AppendConnection::open({.database = database("holdfast_proxy"),
                              .writer = {.id = make_uuid_v4(), .role = WriterRole::kProxy}},
                             watchdog);
  ASSERT_TRUE(appends.ok());
  Backend there = (*appends)->backend();
  EXPECT_TRUE(WalFlush::open(database("holdfast_proxy"), 60s, there).ok());
  there.pid += 100'000'000;
  auto refused = WalFlush::open(database("holdfast_proxy"), 60s, there);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  there = (*appends)->backend();
  there.server_start = "2001-01-01 00:00:00Z";
  refused = WalFlush::open(database("holdfast_proxy"), 60s, there);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("more than one server"), std::string::npos);
}

TEST_F(LogFaultTest, fault_outcome_committed_in_doubt_is_not_recorded_twice) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  require_standby(true);
  auto outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, operation)));
  wait_for_standby_wait(backend());
  sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
  const Result<RecordRef> spooled = outcome.get();
  require_standby(false);
  ASSERT_TRUE(spooled.ok());
  EXPECT_EQ(spooled->index, -1);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(kinds(), "intent,outcome");
}

TEST_F(LogFaultTest, fault_outcome_settled_during_an_outage_becomes_a_reconciliation) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  // The proxy alone cannot reach the database.
  maintenance("ALTER ROLE holdfast_proxy NOLOGIN");
  sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
  const auto spooled = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_TRUE(spooled.ok()) << spooled.error().message;
  expire_leases();
  Settler settler({.database = database("holdfast_audit"), .writer = {}});
  const Result<std::size_t> settled = settler.settle_expired();
  maintenance("ALTER ROLE holdfast_proxy LOGIN");
  ASSERT_TRUE(settled.ok()) << settled.error().message;
  EXPECT_EQ(*settled, 1U);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(operation), "unknown");
  EXPECT_EQ(kinds(), "intent,outcome,reconciliation");
}

TEST_F(LogFaultTest, fault_late_outcome_is_recorded_though_nobody_knows_who_ended_its_operation) {
  auto log = open_log();
  for (const bool indexed : {false, true}) {
    const Uuid operation = begin(*log);
    spool_outcome(*log, operation);
    settle_and_forget();
    if (indexed) index_search();
    let_in(*log);
    EXPECT_EQ(outcomes_of(operation), "unknown");
    EXPECT_EQ(last_result(), "executed");
  }
  EXPECT_EQ(kinds(), "intent,outcome,reconciliation,intent,outcome,reconciliation");
}

TEST_F(LogFaultTest, fault_outcome_of_an_operation_that_was_forgotten_is_recorded) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  spool_outcome(*log, operation);
  sql("postgres", "DELETE FROM holdfast.open_operations");
  let_in(*log);
  EXPECT_EQ(kinds(), "intent,reconciliation");
  EXPECT_EQ(last_result(), "executed");
}

TEST_F(LogFaultTest, fault_outcome_committed_in_doubt_is_found_among_what_is_indexed) {
  auto log = open_patient_log();
  const Uuid operation = begin(*log);
  require_standby(true);
  auto outcome = runner_.start(log->append_outcome(record(Kind::kOutcome, operation)));
  wait_for_standby_wait(backend());
  sql("postgres", "SELECT pg_terminate_backend(" + backend() + ")");
  EXPECT_EQ(outcome.get()->index, -1);
  // Whoever comes back raises the epoch first, and that waits for the standby.
  index_search();
  EXPECT_EQ(value("SELECT indexed FROM holdfast.search_index_state"), "2");
  EXPECT_EQ(log->health().spooled, 1U);
  require_standby(false);
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(kinds(), "intent,outcome");
}

TEST_F(LogFaultTest, fault_what_was_not_sent_is_recorded_of_an_operation_that_others_ended) {
  auto log = open_patient_log();
  begin_together(*log, 3);
  auto intent = begin_unflushed(*log);
  maintenance("ALTER ROLE holdfast_proxy NOLOGIN");
  const std::string pid = flusher();
  sql("postgres", "SELECT pg_terminate_backend(" + pid + ")");
  signal(pid, SIGCONT);
  EXPECT_EQ(intent.get().error().code, ErrorCode::kInDoubt);
  settle_and_forget();
  let_in(*log);
  EXPECT_EQ(kinds(), "intent,intent,intent,intent,outcome,outcome,outcome,outcome,reconciliation");
  EXPECT_EQ(last_result(), "not_executed");
}

TEST_F(LogFaultTest, fault_no_partition_refuses_intents_and_keeps_outcomes) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  sql("postgres", "UPDATE holdfast.log_head SET next_index = partitions_end");
  const auto intent =
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")));
  ASSERT_FALSE(intent.ok());
  EXPECT_EQ(intent.error().code, ErrorCode::kUnavailable);
  const auto outcome = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->index, -1);
  sql("holdfast_audit", "SELECT holdfast.ensure_partitions()");
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(operation), "executed");
}

TEST_F(LogFaultTest, fault_database_restart_is_survived) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  control("restart");
  ASSERT_TRUE(testing::eventually([&] {
    return runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")))
        .ok();
  }));
  const auto outcome = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcomes_of(operation), "executed");
}

TEST_F(LogFaultTest, fault_epoch_raised_by_a_stranger_is_won_back) {
  auto log = open_log();
  sql("holdfast_proxy",
      "SELECT holdfast.raise_epoch('" + to_string(log->writer().id) + "', '60 seconds')");
  const auto fenced =
      runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")));
  ASSERT_FALSE(fenced.ok());
  EXPECT_EQ(fenced.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(ready(*log));
  begin(*log);
}

TEST_F(LogFaultTest, fault_lease_that_ran_out_is_renewed_before_the_next_intent) {
  auto log = open_log();
  expire_leases();
  EXPECT_TRUE(testing::eventually([&] {
    return runner_.run(log->append_intent(record(Kind::kIntent, new_operation()), request("")))
        .ok();
  }));
  EXPECT_EQ(value("SELECT lease_until > clock_timestamp() FROM holdfast.writers"), "t");
}

TEST_F(LogFaultTest, fault_full_disk_under_the_spool_is_no_success) {
  auto log = open_log();
  const Uuid operation = begin(*log);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, SIG_IGN);
  control("stop");
  const rlimit full{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  const auto outcome = runner_.run(log->append_outcome(record(Kind::kOutcome, operation)));
  setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_FALSE(outcome.ok());
  control("start");
  // It was durable nowhere, but it is still known.
  ASSERT_TRUE(ready(*log));
  EXPECT_EQ(outcomes_of(operation), "executed");
}

}  // namespace
}  // namespace holdfast::audit
