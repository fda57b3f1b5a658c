#include "audit/queries_session_postgres.h"

#include <sys/socket.h>

namespace holdfast::audit {
namespace {

// libpqxx would open a new connection by itself, without the settings and with another socket.
void stay_closed(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // libpqxx 7 never does that.
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

}  // namespace

Status DatabaseSession::run(const Work& work) {
  const bool fresh = connection_ == nullptr;
  bool broken = false;
  Status status = attempt(work, broken);
  if (broken && !fresh && when_broken_ == WhenBroken::kTryAgain) status = attempt(work, broken);
  return status;
}

Status DatabaseSession::attempt(const Work& work, bool& broken) {
  broken = false;
  try {
    open();
    work(*connection_);
    return {};
  } catch (const pqxx::broken_connection& problem) {
    broken = true;
    close();
    return error(ErrorCode::kUnavailable, problem.what());
  } catch (const pqxx::sql_error& problem) {
    const std::string& state = problem.sqlstate();
    if (state == "57014") return error(ErrorCode::kTimeout, problem.what());
    // Shutting down, crashed, starting up, too many connections.
    broken = state.starts_with("57P") || state.starts_with("08") || !connection_ ||
             !connection_->is_open();
    if (broken) close();
    const bool away = broken || state.starts_with("53");
    return error(away ? ErrorCode::kUnavailable : ErrorCode::kInternal, problem.what());
  } catch (const std::exception& problem) {
    close();
    return error(ErrorCode::kInternal, problem.what());
  }
}

Error DatabaseSession::error(ErrorCode code, const char* what) const {
  return {.code = code, .message = "database: " + safe_message(what, access_.database)};
}

void DatabaseSession::open() {
  {
    MutexLock lock(mutex_);
    if (interrupted_) throw pqxx::broken_connection("stopping");
  }
  if (connection_) return;
  auto connection = std::make_unique<pqxx::connection>(conninfo(access_.database));
  stay_closed(*connection);
  {
    MutexLock lock(mutex_);
    if (interrupted_) throw pqxx::broken_connection("stopping");
    socket_ = connection->sock();
  }
  connection_ = std::move(connection);
  pqxx::nontransaction setup(*connection_);
  setup.exec("SET search_path = pg_catalog, pg_temp");
  // The planner cannot know how few records are not derived yet; compiling for more takes a second.
  setup.exec("SET jit = off");
  setup.exec("SET statement_timeout = " + std::to_string(access_.statement_timeout.count()));
}

std::string DatabaseSession::prepared(const std::string& statement) {
  if (const auto known = prepared_.find(statement); known != prepared_.end()) return known->second;
  std::string name = "q" + std::to_string(prepared_.size());
  connection_->prepare(name, statement);
  prepared_.emplace(statement, name);
  return name;
}

void DatabaseSession::close() {
  {
    MutexLock lock(mutex_);
    socket_ = -1;
  }
  prepared_.clear();
  connection_.reset();
}

void DatabaseSession::interrupt() {
  MutexLock lock(mutex_);
  interrupted_ = true;
  // Waits in libpq end with an error at once, even if the server hangs.
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

}  // namespace holdfast::audit
