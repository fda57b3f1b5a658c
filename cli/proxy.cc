#include "proxy/service.h"

#include <algorithm>
#include <fstream>
#include <tuple>

#include "approval/approvals_postgres.h"
#include "approval/rule_store.h"
#include "approval/rule_watcher.h"
#include "audit/log_metrics.h"
#include "audit/log_postgres.h"
#include "base/log.h"
#include "base/loop.h"
#include "cli/load.h"
#include "cli/serve.h"

namespace holdfast::cli {
namespace {

constexpr std::chrono::milliseconds kFollowInterval{200};

http::ClientCertificates client_certificates(config::ClientCertificates mode) {
  switch (mode) {
    case config::ClientCertificates::kNone:
      return http::ClientCertificates::kNone;
    case config::ClientCertificates::kOptional:
      return http::ClientCertificates::kOptional;
    case config::ClientCertificates::kRequired:
      break;
  }
  return http::ClientCertificates::kRequired;
}

// nullopt: callers are known by their tokens.
std::optional<identity::CertificateApps> certificate_apps(const config::Identity& identity) {
  if (identity.mode != config::IdentityMode::kMtls) return std::nullopt;
  std::vector<identity::CertificateApps::Entry> entries;
  entries.reserve(identity.certificates.size());
  for (const config::CertificateApp& app : identity.certificates) {
    entries.push_back({.name = app.name, .tenant_id = app.tenant_id, .app_id = app.app_id});
  }
  return identity::CertificateApps(std::move(entries));
}

http::ServerOptions server_options(const config::Proxy& proxy) {
  return {
      .address = proxy.listen.host,
      .port = proxy.listen.port,
      .threads = proxy.threads,
      .tls = {.certificate_file = proxy.tls.certificate_file,
              .key_file = proxy.tls.key_file,
              .client_certificates = client_certificates(proxy.tls.client_certificates),
              .client_ca_file = proxy.tls.client_ca_file},
      .connections_max = static_cast<std::size_t>(proxy.limits.connections),
      .connections_per_address_max = static_cast<std::size_t>(proxy.limits.connections_per_address),
      .requests_in_flight_max = static_cast<std::size_t>(proxy.limits.requests_in_flight),
      .header_bytes_max = proxy.limits.header_bytes,
      .header_count_max = static_cast<std::size_t>(proxy.limits.header_count),
      .target_bytes_max = proxy.limits.target_bytes,
      .body_bytes_max = proxy.limits.body_bytes,
      .queued_answer_bytes_max = proxy.limits.queued_answer_bytes,
      .transfer_bytes_per_second_min = proxy.limits.transfer_bytes_per_second,
      .handshake_timeout = proxy.timeouts.handshake,
      .header_timeout = proxy.timeouts.header,
      .body_timeout = proxy.timeouts.body,
      .idle_timeout = proxy.timeouts.idle,
      .write_timeout = proxy.timeouts.write};
}

// One worker's share of what all have together; at least one.
std::size_t share_of(int all, int workers) {
  return static_cast<std::size_t>(std::max(1, all / std::max(1, workers)));
}

http::ClientOptions client_options(const config::Upstream& upstream, int workers) {
  return {.origin = upstream.origin,
          .ca_file = upstream.ca_file,
          .egress_proxy = upstream.egress_proxy,
          .connect_timeout = upstream.connect_timeout,
          .response_timeout = upstream.response_timeout,
          .idle_timeout = upstream.idle_timeout,
          .pool_idle_max = upstream.pool_idle_max,
          .idle_connections_max = share_of(upstream.idle_connections, workers),
          .connections_max = share_of(upstream.connections, workers),
          .guarded_connections_max = share_of(upstream.guarded_connections, workers),
          .connections_per_address_max = share_of(upstream.connections_per_address, workers)};
}

// For a connection that is being made to fail, and an outcome to reach the database or the spool.
std::chrono::milliseconds settle_timeout(const config::Config& config) {
  return config.upstream.connect_timeout + 2 * config.audit_log.append_timeout +
         std::chrono::seconds(1);
}

proxy::ServiceOptions service_options(const config::Config& config) {
  const config::ProxyLimits& limits = config.proxy.limits;
  const config::Identity& identity = config.identity;
  return {.server = server_options(config.proxy),
          .upstream = client_options(config.upstream, config.proxy.threads),
          .trusted_proxies = networks_of(config.proxy.trusted_proxies),
          .proxy_protocol = config.proxy.proxy_protocol == config::ProxyProtocol::kV2,
          .metrics_from = networks_of(config.proxy.metrics_from),
          .guarded_in_flight_max = static_cast<std::size_t>(limits.guarded_in_flight),
          .buffered_body_bytes_max = limits.buffered_body_bytes,
          .buffered_bodies_bytes_max = limits.buffered_bodies_bytes,
          .guarded_answer_timeout = config.upstream.guarded_answer_timeout,
          .certificates = certificate_apps(identity),
          .probe_rates = {.failed_per_minute_and_address = identity.failed_probes_per_address,
                          .failed_per_minute = identity.failed_probes},
          .probe_timeout = identity.probe_timeout,
          .facts_timeout = config.rules.facts_timeout,
          .mailbox_names_age_max = identity.mailbox_cache,
          .settle_timeout = settle_timeout(config),
          .audit_url = config.audit.public_url,
          .public_origin = config.proxy.public_origin};
}

audit::LogOptions log_options(const config::Config& config, const audit::Database& database) {
  return {.database = database,
          .role = audit::WriterRole::kProxy,
          .spool_dir = config.proxy.spool_dir,
          .lease = config.audit_log.lease,
          .append_timeout = config.audit_log.append_timeout,
          .personal_data = config.audit_log.personal_data == config::PersonalData::kSealed
                               ? audit::PersonalData::kSealed
                               : audit::PersonalData::kClear};
}

// Only calls that are not plainly allowed ask anything.
audit::RecordSourceOptions approval_queries(const config::Config& config,
                                            const audit::Database& database) {
  return {.access = {.database = database, .statement_timeout = config.audit_log.append_timeout},
          .connections = 2,
          .waiting_max = 1000,
          .answer_timeout = config.audit_log.append_timeout};
}

approval::RuleWatcherOptions watcher_options(const config::Config& config, const Uuid& writer) {
  return {.path = config.rules.file,
          .writer = writer,
          .people =
              config.rules.two_people ? approval::PeopleNeeded::kTwo : approval::PeopleNeeded::kOne,
          .interval = config.rules.watch_interval};
}

int serve(const config::Config& config) {
  approval::RuleStore rules;
  const sigset_t signals = block_role_signals();
  const std::optional<audit::Database> database = load_database(config.proxy.database);
  if (!database) return kUsageError;
  Result<std::unique_ptr<audit::LogPostgres>> log =
      audit::LogPostgres::open(log_options(config, *database));
  if (!log.ok()) {
    print_error(log.error().message);
    return kUsageError;
  }
  Metrics metrics;
  audit::expose_health(**log, metrics);
  metrics.gauge_from("holdfast_rules_files_ok",
                     "1 while the rule file and its lists are read as they are; 0: they are not, "
                     "and the rules in force stay.",
                     {}, [&rules] { return rules.files_are_well() ? 1.0 : 0.0; });
  std::optional<std::string> credentials = load_egress_credentials(config.upstream);
  if (!credentials) return kUsageError;
  proxy::ServiceOptions options = service_options(config);
  options.upstream.egress_credentials = *std::move(credentials);
  audit::QueryWorkers queries(approval_queries(config, *database));
  approval::ApprovedCalls approved(system_clock());
  approval::PostgresApprovalSource approvals(queries, &approved);
  Result<std::unique_ptr<proxy::Service>> service =
      proxy::Service::start(std::move(options), **log, rules, approvals, metrics, system_clock());
  if (!service.ok()) {
    print_error(service.error().message);
    return kUsageError;
  }
  bool accounted = false;
  {
    approval::Generations generations(
        {.database = *database, .statement_timeout = config.audit_log.append_timeout});
    approval::RuleWatcher watcher(rules, **log, generations,
                                  watcher_options(config, (*log)->writer().id), system_clock());
    approval::ApprovalFollower follower(
        {.database = *database, .statement_timeout = config.audit_log.append_timeout}, approved);
    const Loop following({.name = "following approvals",
                          .interval = kFollowInterval,
                          .step = [&follower] { return follower.step(); },
                          .interrupt = [&follower] { follower.interrupt(); }});
    const auto reload = [&] {
      std::ignore = watcher.reload();
      log_tls_reload(config.proxy.tls, (*service)->reload_tls());
    };
    serve_until_ended(signals, "proxy", config.proxy.listen, (*service)->port(), reload);
    // Until nobody is served any more the rules go on changing: a call that is decided by rules
    // which are over is refused.
    (*service)->announce_drain();
    is_told_to_hurry(signals, config.proxy.drain_delay, reload);
    accounted = (*service)->drain(config.proxy.drain_timeout, [&signals] {
      return is_told_to_hurry(signals, std::chrono::milliseconds(0));
    });
  }
  // The log answers every append it still holds before the workers that wait for it go.
  (*log)->stop();
  queries.stop();
  service->reset();
  if (!accounted) log_error("calls in flight have no outcome; the next start settles them");
  log_info("stopped", {{"role", "proxy"}});
  return accounted ? kDone : kFoundProblem;
}

int run_proxy(const Invocation& invocation) {
  const std::optional<config::Config> config = load_config(invocation, config::Role::kProxy);
  if (!config) return kUsageError;
  // Broken files are a mistake of whoever starts this, whatever is in force.
  const Result<approval::RuleSet> rules =
      approval::load_rules(config->rules.file, system_clock().now());
  if (!rules.ok()) {
    print_error(rules.error().message);
    return kUsageError;
  }
  return serve(*config);
}

}  // namespace

void add_proxy(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("proxy", "Serve client apps until SIGTERM.");
  command->footer(
      "SIGHUP reads the rules and the TLS files again; a file that does not load changes nothing.");
  runs(command, invocation, run_proxy);
}

}  // namespace holdfast::cli
