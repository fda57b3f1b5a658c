// The data plane as a running service: a server whose workers each have a pipeline, an upstream
// client and a connection pool of their own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "approval/approval_source.h"
#include "approval/network.h"
#include "approval/rule_store.h"
#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "http/client.h"
#include "http/server.h"
#include "identity/certificate_apps.h"
#include "identity/probe_budget.h"
#include "proxy/refusal_budget.h"

namespace holdfast::proxy {

struct ServiceOptions {
  http::ServerOptions server;
  http::ClientOptions upstream;
  std::vector<approval::Network> trusted_proxies;  // See proxy/source_address.h.
  bool proxy_protocol = false;  // The trusted ones send PROXY headers, see http/server.h.
  std::vector<approval::Network> metrics_from;  // Who /holdfast/metrics is for.
  std::size_t guarded_in_flight_max = 1'024;
  std::size_t buffered_body_bytes_max = 4 * 1024 * 1024;
  std::size_t buffered_bodies_bytes_max = 256 * 1024 * 1024;
  std::chrono::milliseconds guarded_answer_timeout{30'000};
  // With it callers are the apps that their client certificates stand for; without, Graph is asked.
  std::optional<identity::CertificateApps> certificates;
  identity::ProbeRates probe_rates;
  std::chrono::milliseconds probe_timeout{10'000};  // Each of Holdfast's own questions to Graph.
  std::chrono::milliseconds facts_timeout{5'000};   // See proxy/preimage.h.
  std::chrono::milliseconds mailbox_names_age_max{600'000};
  RefusalRates refusal_rates;
  // How long outcomes may take to be recorded once the calls have been ended that a drain waited
  // for.
  std::chrono::milliseconds settle_timeout{20'000};
  std::string audit_url;  // See PipelineParts.
  // Where clients find the proxy, for links in answers; empty: wherever a request was sent to.
  std::string public_origin;
};

class Service {
 public:
  // Listens when it returns; errors are those of http::Server::start. The log, the rules, the
  // approvals, the metrics and the clock must outlive the service.
  static Result<std::unique_ptr<Service>> start(ServiceOptions options, audit::AuditLog& log,
                                                approval::RuleStore& rules,
                                                approval::ApprovalSource& approvals,
                                                Metrics& metrics, const Clock& clock);

  // Closes what is still open; a guarded call in flight is left to be settled as unknown.
  ~Service();

  std::uint16_t port() const;

  // See http::Server::reload_tls.
  Status reload_tls();

  // From here on readyz says 503 and that it is draining; everything is still served.
  void announce_drain();

  // Stops accepting and lets what is in flight finish. What has not after `timeout`, or once
  // `is_urgent`, which is asked many times a second, says true, is ended: guarded calls that were
  // sent are recorded and answered as unknown. Records the refusals counted so far. Returns true
  // when every call that was begun has its outcome. Call once, from the thread that started it.
  bool drain(std::chrono::milliseconds timeout, const std::function<bool()>& is_urgent);

 private:
  struct Shared;
  Service(std::unique_ptr<Shared> shared, std::unique_ptr<http::Server> server,
          std::chrono::milliseconds settle_timeout);

  std::unique_ptr<Shared> shared_;
  std::unique_ptr<http::Server> server_;  // Uses shared_, so it goes first.
  const std::chrono::milliseconds settle_timeout_;
};

}  // namespace holdfast::proxy
