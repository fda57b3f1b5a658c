// Approvals in PostgreSQL, read by the threads of a QueryWorkers.
#pragma once

#include <chrono>
#include <memory>

#include "approval/approval_source.h"
#include "audit/append_connection_postgres.h"
#include "audit/queries_postgres.h"
#include "audit/query_workers_postgres.h"
#include "base/clock.h"

namespace holdfast::approval {

class PostgresApprovalSource final : public ApprovalSource {
 public:
  // The workers must outlive it.
  explicit PostgresApprovalSource(audit::QueryWorkers& workers) : workers_(workers) {}

  Task<Result<std::optional<Approval>>> find(Uuid code) override;
  Task<Result<std::optional<Approval>>> newest(Sha256 binding) override;
  Task<Result<std::vector<Approval>>> list(ApprovalFilter filter) override;
  Task<Result<nlohmann::json>> context(Uuid code) override;

 private:
  audit::QueryWorkers& workers_;
};

// Records that approvals have run out, as an audit writer of its own. Several processes may: each
// step is taken once. For one thread.
class ApprovalExpirer {
 public:
  // `options.writer` is made here.
  explicit ApprovalExpirer(audit::AppendConnection::Options options,
                           const Clock& clock = system_clock());
  ~ApprovalExpirer();

  // How many were recorded, at most a batch. Blocks. Errors: kUnavailable, kInDoubt.
  Result<std::size_t> expire_due();

 private:
  struct Reader;
  Status connect();
  Result<std::size_t> append_expiries();

  const audit::AppendConnection::Options options_;
  const Clock& clock_;
  RisingTimes times_;
  audit::SocketWatchdog watchdog_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<audit::AppendConnection> connection_;
};

}  // namespace holdfast::approval
