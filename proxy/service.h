// The data plane as a running service: a server whose workers each have a pipeline, an upstream
// client and a connection pool of their own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "approval/network.h"
#include "approval/rule_store.h"
#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "http/server.h"
#include "proxy/refusal_budget.h"

namespace holdfast::proxy {

struct ServiceOptions {
  http::ServerOptions server;
  http::ClientOptions upstream;
  std::vector<approval::Network> trusted_proxies;  // See proxy/source_address.h.
  std::size_t buffered_body_bytes_max = 4 * 1024 * 1024;
  std::chrono::milliseconds probe_timeout{10'000};  // Each of Holdfast's own questions to Graph.
  std::chrono::milliseconds mailbox_names_age_max{600'000};
  RefusalRates refusal_rates;
};

class Service {
 public:
  // Listens when it returns; errors are those of http::Server::start. The log, the rules and the
  // clock must outlive the service.
  static Result<std::unique_ptr<Service>> start(ServiceOptions options, audit::AuditLog& log,
                                                const approval::RuleStore& rules,
                                                const Clock& clock);

  // Closes what is still open; a guarded call in flight is left to be settled as unknown.
  ~Service();

  std::uint16_t port() const;

  // Stops accepting, lets what is in flight finish, and records the refusals counted so far.
  // Returns true when nothing was left before `timeout`. Call once, from the thread that started
  // it.
  bool drain(std::chrono::milliseconds timeout);

 private:
  struct Shared;
  Service(std::unique_ptr<Shared> shared, std::unique_ptr<http::Server> server);

  std::unique_ptr<Shared> shared_;
  std::unique_ptr<http::Server> server_;  // Uses shared_, so it goes first.
};

}  // namespace holdfast::proxy
