// One connection that appends to the log, at one epoch of its writer.
//
// Opening it raises the epoch, so that no earlier connection of the same writer can commit any
// more. Calls block, but never longer than the deadline: a database that hangs costs the
// connection. After any error but kInvalid and kRefused the connection is spent; open another.
//
// For one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/conninfo.h"
#include "audit/entry.h"
#include "audit/log_session_postgres.h"
#include "audit/socket_watchdog.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

inline constexpr std::size_t kBatchMax = 512;  // What the database takes in one statement.

// What a statement's commit waits for, holding the log's lock meanwhile. With kWritten that is
// nothing: others see the entries at once, and they are durable once a WalFlush that begins later
// has succeeded.
enum class Commit { kFlushed, kWritten };

// What became of one entry of a batch.
enum class Placement {
  kAppended,
  kLeaseExpired,  // An intent; renew the lease.
  kAlreadyOpen,   // An intent of an operation that is open.
  kSettled,       // An outcome of an operation that another process has ended.
  kClosed,        // An outcome of an operation that is not open, for whatever reason.
  kNotExpired,    // An outcome of another writer's operation, and that writer is alive.
  kOutdated,  // Not as the rules in force are: an intent of another generation, or their change.
  kLimit,     // An intent that would exceed a rule's limit.
  kApproval,  // The approval is not in the state that the entry's step needs.
  kToken,     // An officer's change, and the API token it was asked for with is over.
};

struct Placed {
  Placement placement = Placement::kAppended;
  std::int64_t index = -1;  // Only when kAppended.
  std::string rule{};       // Only when kLimit: the rule whose limit is spent.
};

// An intent without its terminal record.
struct OpenOperation {
  Uuid operation_id;
  std::string intent;  // The entry's bytes.
};

// An operation's terminal record.
struct LoggedOutcome {
  Uuid operation_id;
  std::string leaf_hash;
};

class AppendConnection {
 public:
  struct Options {
    Database database;
    Writer writer;
    std::chrono::milliseconds lease{15'000};
    std::chrono::milliseconds deadline{5'000};
  };

  // kUnavailable: nothing happened, but the epoch may have been raised.
  static Result<std::unique_ptr<AppendConnection>> open(const Options& options,
                                                        SocketWatchdog& watchdog);
  ~AppendConnection();

  // Sends a batch of at most kBatchMax entries, to be appended in one commit, and only if the batch
  // that was sent before it is: so what an unknown answer leaves open is in order. Until every
  // answer is received nothing else but this, has_answer() and receive() may be called.
  void send(std::span<const Entry* const> entries, Commit commit);

  // Whether receive() has something to return.
  bool has_answer();

  // What became of the batch that was sent first and not received yet; its deadline counts from
  // when it was sent and the one before it was received. On success what is kAppended is durable,
  // as far as `commit` said. kInvalid: the database refuses the data of some entry; nothing
  // happened. kRefused: the batch before it failed, so nothing happened; it may be sent again.
  // kUnavailable: nothing happened. kInDoubt: it may have been committed, or is and is not yet
  // durable everywhere.
  Result<std::vector<Placed>> receive();

  // Both.
  Result<std::vector<Placed>> append(std::span<const Entry* const> entries,
                                     Commit commit = Commit::kFlushed);

  // Has something to read when an answer has come. Belongs to the connection.
  int socket() const;

  struct Room {
    std::int64_t entries = 0;  // How many entries the log has partitions for.
    bool spare = false;        // A whole partition follows the one in use.
  };
  // `given`: no entry of this writer has a later time so far.
  Result<Room> renew_lease(WallTime given);

  // The latest time that an entry of this writer can have, as far as it was told to the database
  // when its lease was renewed; nullopt: it never was.
  Result<std::optional<WallTime>> time_reached();

  // The server's process behind this connection.
  const Backend& backend() const;

  // Whether the database has closed the connection, as far as this machine knows. Costs a poll().
  bool is_lost() const;

  // Operations that this writer has begun and not ended, oldest first.
  Result<std::vector<OpenOperation>> open_operations();

  // Terminal records that the log has of the operations of these entries. Where search is far
  // behind the log, it may not find an old one. Only for a proxy.
  Result<std::vector<LoggedOutcome>> outcomes_of(std::span<const Entry* const> entries);

 private:
  struct Session;
  explicit AppendConnection(Options options, SocketWatchdog& watchdog);
  SocketWatchdog::Guard watch_oldest();

  const Options options_;
  SocketWatchdog& watchdog_;
  std::unique_ptr<Session> session_;
};

}  // namespace holdfast::audit
