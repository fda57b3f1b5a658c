#include "audit/log_session_postgres.h"

#include <poll.h>

namespace holdfast::audit {

// libpqxx 6 does not hand out libpq's handle, but has whoever connects make it.
class LogSession::Connection final : public pqxx::connection_base {
 public:
  explicit Connection(const std::string& options) : connection_base(connect_), connect_(options) {
    init();
  }
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  pg_conn* handle() const { return connect_.handle; }

 private:
  struct Connect final : pqxx::connect_direct {
    using connect_direct::connect_direct;
    pg_conn* do_startconnect(pg_conn* original) override {
      return handle = connect_direct::do_startconnect(original);
    }
    pg_conn* handle = nullptr;
  };

  Connect connect_;
};

// Remembers what the server says beside its results.
class LogSession::Notices final : public pqxx::errorhandler {
 public:
  explicit Notices(pqxx::connection_base& connection) : pqxx::errorhandler(connection) {}

  bool operator()(const char message[]) noexcept override {
    try {
      if (first_.empty()) first_ = message;
    } catch (const std::exception&) {
      lost_ = true;
    }
    return false;
  }

  void forget() {
    first_.clear();
    lost_ = false;
  }

  std::string first() const { return lost_ && first_.empty() ? "a warning" : first_; }

 private:
  std::string first_;
  bool lost_ = false;
};

LogSession::LogSession(const Database& database)
    : connection_(std::make_unique<Connection>(conninfo(database))),
      notices_(std::make_unique<Notices>(*connection_)) {
  // Deprecated without a replacement in this version: a silent reconnect would lose the epoch.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection_->inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

LogSession::~LogSession() = default;

pqxx::connection_base& LogSession::connection() {
  return *connection_;
}

pg_conn* LogSession::handle() {
  return connection_->handle();
}

void LogSession::prepare() {
  pqxx::nontransaction transaction(*connection_);
  // Whatever the role's or the server's settings say: a commit waits for the disk, and a warning
  // about one that did not is heard.
  transaction.exec("SET synchronous_commit = on; SET client_min_messages = warning");
}

std::string LogSession::warning() const {
  return notices_->first();
}

void LogSession::forget_warnings() {
  notices_->forget();
}

Backend LogSession::backend() {
  pqxx::nontransaction transaction(*connection_);
  return {.server_start = transaction.exec1("SELECT pg_postmaster_start_time()")[0].c_str(),
          .pid = connection_->backendpid()};
}

bool LogSession::is_beside(const Backend& other) {
  pqxx::nontransaction transaction(*connection_);
  return transaction
      .exec_params1(
          "SELECT pg_postmaster_start_time() = $1::timestamptz "
          "AND EXISTS (SELECT FROM pg_stat_activity WHERE pid = $2::integer)",
          other.server_start, other.pid)[0]
      .as<bool>();
}

bool LogSession::is_lost() const {
  pollfd state{.fd = connection_->sock(), .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0;
}

}  // namespace holdfast::audit
