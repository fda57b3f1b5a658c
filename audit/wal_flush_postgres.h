// Makes durable what other connections have committed without waiting for the disk.
//
// PostgreSQL writes one log of changes and flushes it in order. So a commit of our own that waits
// for the disk, and for the synchronous standbys, covers every commit that could be seen before it
// began: https://www.postgresql.org/docs/15/wal-async-commit.html
//
// For one thread. Calls block, but never longer than the deadline.
#pragma once

#include <chrono>
#include <memory>

#include "audit/conninfo.h"
#include "audit/flush_queue.h"
#include "audit/log_session_postgres.h"
#include "audit/socket_watchdog.h"
#include "base/result.h"

namespace holdfast::audit {

class WalFlush final : public Flush {
 public:
  // For what the session behind `writer` commits. kUnavailable: also where the database's address
  // leads to another server this time, whose disk would say nothing about the writer's commits.
  static Result<std::unique_ptr<WalFlush>> open(const Database& database,
                                                std::chrono::milliseconds deadline,
                                                const Backend& writer);

  Status flush() override;
  bool is_lost() const override { return session_.is_lost(); }

 private:
  WalFlush(Database database, std::chrono::milliseconds deadline);

  const Database database_;
  const std::chrono::milliseconds deadline_;
  SocketWatchdog watchdog_;
  LogSession session_;
};

// The statement, for a session that reads what others have committed and acts on it outside the
// database. It waits for the disk whatever the session's settings say; on a standby, which holds
// only what its primary had flushed, it does nothing.
inline constexpr const char* kFlushWal =
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', true), "
    "pg_catalog.pg_logical_emit_message(true, 'holdfast', '') "
    "WHERE NOT pg_catalog.pg_is_in_recovery()";

}  // namespace holdfast::audit
