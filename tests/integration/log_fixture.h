// A log on a database of its own, and ways to look at what it wrote.
#pragma once

#include "audit/settle_postgres.h"
#include "tests/integration/database.h"

namespace holdfast::testing {

class LogTest : public DatabaseTest {
 protected:
  audit::LogOptions log_options() const {
    return {.database = database("holdfast_proxy"),
            .spool_dir = spool_.path(),
            .retry_interval = std::chrono::milliseconds(20)};
  }

  std::unique_ptr<audit::LogPostgres> open_log() { return open_log(log_options()); }
  std::unique_ptr<audit::LogPostgres> open_log(const audit::LogOptions& options,
                                               const Clock& clock = system_clock()) {
    auto log = audit::LogPostgres::open(options, clock);
    EXPECT_TRUE(log.ok()) << log.error().message;
    EXPECT_TRUE(eventually([&log] { return (*log)->health().ready; })) << (*log)->health().reason;
    return *std::move(log);
  }

  static audit::OutboundRequest request(std::string body) { return {.body = std::move(body)}; }

  // An intent that is committed.
  Uuid begin(audit::LogPostgres& log) {
    const Uuid operation = new_operation();
    const auto receipt =
        runner_.run(log.append_intent(record(audit::Kind::kIntent, operation), request("")));
    EXPECT_TRUE(receipt.ok()) << receipt.error().message;
    return operation;
  }

  // The same, and its outcome.
  void begin_and_end(audit::LogPostgres& log) {
    const Uuid operation = begin(log);
    const auto ended = runner_.run(log.append_outcome(record(audit::Kind::kOutcome, operation)));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
  }

  // The kinds in the log, in order.
  std::string kinds() const {
    return value("SELECT string_agg(kind, ',' ORDER BY index) FROM holdfast.log");
  }
  // The results of an operation's terminal records, in order.
  std::string outcomes_of(const Uuid& operation) const {
    return value(
        "SELECT string_agg(convert_from(entry, 'UTF8')::json #>> '{outcome,result}', ',' "
        "ORDER BY index) FROM holdfast.log WHERE kind = 'outcome' AND "
        "convert_from(entry, 'UTF8')::json ->> 'operation_id' = '" +
        to_string(operation) + "'");
  }
  // How often an entry is earlier than the one before it of its writer.
  std::string steps_back_in_time() const {
    return value(
        "SELECT count(*) FROM (SELECT e ->> 'time' < lag(e ->> 'time') OVER "
        "(PARTITION BY e #>> '{writer,id}' ORDER BY index) AS back FROM holdfast.log, "
        "LATERAL (SELECT convert_from(entry, 'UTF8')::json AS e) d) t WHERE back");
  }
  void expire_leases() const {
    sql("postgres",
        "UPDATE holdfast.writers SET lease_until = clock_timestamp() "
        "WHERE role = 'proxy'");
  }
  // The server process that serves the log's connection.
  std::string backend() const {
    return value(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'holdfast_proxy' "
        "AND datname = current_database() ORDER BY backend_start LIMIT 1");
  }

  TemporaryDirectory spool_;
  Runner runner_;
};

}  // namespace holdfast::testing
