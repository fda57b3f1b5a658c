// A connection that writes for the log: it is never opened again by itself, its commits wait for
// the disk unless a statement says otherwise, and what the server says beside its results is heard.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "audit/conninfo.h"

namespace holdfast::audit {

// A server process, as long as its server runs.
struct Backend {
  std::string server_start;  // As the server writes it.
  int pid = 0;
};

// For one thread. Everything throws what libpqxx throws.
class LogSession {
 public:
  // Connects, for as long as the connection string says at most.
  explicit LogSession(const Database& database);
  ~LogSession();

  // The settings. To be called first, under a watchdog as every statement.
  void prepare();

  pqxx::connection_base& connection();
  // The same connection, for what libpqxx does not have. Owned by the session.
  pg_conn* handle();

  // The first warning since forget_warnings(); empty: none. A cancelled wait for a synchronous
  // standby reports success, and a warning.
  std::string warning() const;
  void forget_warnings();

  // The process behind this session, and whether another one is of the same server.
  Backend backend();
  bool is_beside(const Backend& other);

  // Whether the server has closed the connection, as far as this machine knows. Costs a poll().
  bool is_lost() const;

 private:
  class Connection;
  class Notices;

  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Notices> notices_;
};

}  // namespace holdfast::audit
