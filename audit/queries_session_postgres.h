// One PostgreSQL connection of one thread: opened when first used, opened again after it broke, and
// interruptible from another thread.
//
// For reading and for calls that may be repeated, a statement that fails because an idle connection
// had died is sent once more on a new one; with kReport it never is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "audit/queries_postgres.h"
#include "base/mutex.h"
#include "base/result.h"

namespace holdfast::audit {

class DatabaseSession {
 public:
  using Work = std::function<void(pqxx::connection&)>;
  enum class WhenBroken { kTryAgain, kReport };

  explicit DatabaseSession(DatabaseAccess access, WhenBroken when_broken = WhenBroken::kTryAgain)
      : access_(std::move(access)), when_broken_(when_broken) {}
  DatabaseSession(const DatabaseSession&) = delete;
  DatabaseSession& operator=(const DatabaseSession&) = delete;

  // Runs `work` on the connection. kUnavailable: no database; kTimeout: the statement timed out;
  // kInternal: the database refused the statement.
  Status run(const Work& work);

  // Within `work`: the name under which the statement is prepared on this connection. For texts
  // that do not vary; the server keeps them until the connection ends.
  std::string prepared(const std::string& statement);

  // Ends the connection, and with it what the server keeps for it; run() opens another.
  void close();

  // From any thread: breaks off what runs and fails what comes, for good.
  void interrupt();

 private:
  Status attempt(const Work& work, bool& broken);
  Error error(ErrorCode code, const char* what) const;
  void open();

  const DatabaseAccess access_;
  const WhenBroken when_broken_;
  std::unique_ptr<pqxx::connection> connection_;
  std::map<std::string, std::string> prepared_;  // Names by statement.
  Mutex mutex_;
  int socket_ HOLDFAST_GUARDED_BY(mutex_) = -1;  // Of the open connection.
  bool interrupted_ HOLDFAST_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::audit
