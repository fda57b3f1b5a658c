// Ends, as unknown, what processes left open that do not live any more: `holdfast audit` calls it
// every few seconds. Also makes log partitions ahead of need.
//
// Blocks its thread, each call at most about the append timeout. For one thread. Several processes
// may do this at once; an operation is ended by exactly one of them.
#pragma once

#include <cstddef>
#include <memory>

#include "audit/append_connection_postgres.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

class Settler {
 public:
  // Connects when first needed. `options.writer` is made by the settler itself.
  explicit Settler(AppendConnection::Options options, const Clock& clock = system_clock());
  ~Settler();

  // Settles at most kBatchMax operations whose writer's lease has run out on the database's clock;
  // returns how many. kUnavailable or kInDoubt: call again later, nothing is done twice.
  Result<std::size_t> settle_expired();

  // Makes sure that a whole spare partition follows the one in use.
  Status ensure_partitions();

 private:
  struct Reader;
  Status connect();
  Result<std::size_t> append_unknown();

  const AppendConnection::Options options_;
  RisingTimes times_;
  SocketWatchdog watchdog_;
  std::unique_ptr<AppendConnection> connection_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace holdfast::audit
