// Approvals in PostgreSQL, read by the threads of a QueryWorkers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "approval/approval_source.h"
#include "approval/approved_calls.h"
#include "audit/append_connection_postgres.h"
#include "audit/query_workers_postgres.h"
#include "base/clock.h"

namespace holdfast::approval {

class PostgresApprovalSource final : public ApprovalSource {
 public:
  // Both must outlive it. nullptr: nothing is at hand.
  explicit PostgresApprovalSource(audit::QueryWorkers& workers, ApprovedCalls* approved = nullptr)
      : workers_(workers), approved_(approved) {}

  Task<Result<std::optional<Approval>>> find(Uuid code) override;
  Task<Result<std::optional<Approval>>> newest(Sha256 binding) override;
  Task<Result<std::optional<Approval>>> rejection(std::string operation,
                                                  std::string requester) override;
  std::optional<ApprovedCall> at_hand(const Sha256& binding) override;
  Task<Result<std::vector<Approval>>> list(ApprovalFilter filter) override;
  Task<Result<nlohmann::json>> context(Uuid code) override;

 private:
  audit::QueryWorkers& workers_;
  ApprovedCalls* approved_;
};

// Follows what people approve from now on, on a connection of its own, and has it at hand. For one
// thread, but for interrupt().
class ApprovalFollower {
 public:
  // `approved` must outlive it.
  ApprovalFollower(audit::DatabaseAccess access, ApprovedCalls& approved);
  ~ApprovalFollower();

  // Reads on, as far as there is room. Blocks. True: there may be more at once.
  Result<bool> step();
  void interrupt();  // From any thread: breaks off what runs and fails what comes, for good.

 private:
  ApprovedCalls& approved_;
  std::unique_ptr<audit::DatabaseSession> session_;
  std::optional<std::int64_t>
      position_;  // In the history of approvals: what is behind it was read.
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
