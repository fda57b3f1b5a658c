// The records in PostgreSQL, read by worker threads of its own, because libpqxx blocks and event
// loops must not.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "audit/conninfo.h"
#include "audit/queries.h"

namespace holdfast::audit {

struct DatabaseAccess {
  Database database;
  std::chrono::milliseconds statement_timeout{10'000};
};

struct RecordSourceOptions {
  DatabaseAccess access;
  int connections = 4;
  std::size_t waiting_max = 64;  // Questions without a worker yet; further ones get kLimit.
  // From asking to the answer. Longer than the statement's own, which says more.
  std::chrono::milliseconds answer_timeout{15'000};
};

class QueryWorkers;

// Connects when first asked. Must outlive the coroutines that wait for it; stop() ends their wait.
class PostgresRecordSource final : public RecordSource {
 public:
  explicit PostgresRecordSource(RecordSourceOptions options);
  ~PostgresRecordSource() override;  // Stops.

  Task<Result<RecordPage>> search(RecordQuery query) override;
  Task<Result<FoundRecord>> get(std::variant<std::int64_t, Uuid> which) override;
  Task<Result<LogState>> state() override;

  // Breaks off what runs, answers all that waits with kUnavailable, and joins the workers. The
  // executors that questions came from must still exist.
  void stop();

  // For other questions to the same database, at most as long as this lives.
  QueryWorkers& workers() { return *workers_; }

 private:
  const RecordSourceOptions options_;
  std::unique_ptr<QueryWorkers> workers_;
};

// A statement that yields one number, for a thread that runs it again and again on a connection of
// its own, such as SELECT holdfast.derive_search(5000).
class DatabaseCall {
 public:
  DatabaseCall(DatabaseAccess access, std::string statement);
  ~DatabaseCall();

  // One thread at a time. Errors: kUnavailable, kTimeout, kInternal.
  Result<std::int64_t> run();
  void interrupt();  // From any thread: breaks off what runs and fails what comes, for good.

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::audit
