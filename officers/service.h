// `holdfast audit` as one object: the audit log it records readings in, the record source, the
// background tasks and the HTTP server, started together and stopped in the right order.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "audit/conninfo.h"
#include "audit/log_postgres.h"
#include "audit/queries_postgres.h"
#include "base/result.h"
#include "http/server.h"
#include "officers/api.h"
#include "officers/loops.h"
#include "officers/tokens.h"

namespace holdfast::officers {

struct ServiceOptions {
  http::ServerOptions server;
  audit::Database database;  // As holdfast_audit.
  std::chrono::milliseconds lease{15'000};
  std::chrono::milliseconds append_timeout{5'000};
  Tokens tokens;
};

class Service {
 public:
  // Serves when it returns. Does not wait for the database: until that can be reached, /readyz
  // answers 503 and says why. Errors: those of http::Server::start and audit::LogPostgres::open.
  static Result<std::unique_ptr<Service>> start(ServiceOptions options);

  // Closes what is still open at once.
  ~Service();

  std::uint16_t port() const { return server_->port(); }

  // Stops accepting and lets requests in flight finish. False: some were left at `timeout`.
  bool drain(std::chrono::milliseconds timeout);

 private:
  explicit Service(Tokens tokens) : tokens_(std::move(tokens)) {}
  void start_loops(const ServiceOptions& options);
  std::vector<std::string> loop_problems() const;

  const Tokens tokens_;
  std::unique_ptr<audit::LogPostgres> log_;
  std::unique_ptr<audit::PostgresRecordSource> records_;
  std::vector<std::unique_ptr<Loop>> loops_;  // Complete before the server starts.
  std::unique_ptr<http::Server> server_;
};

}  // namespace holdfast::officers
