#include "audit/conninfo.h"
#include "audit/log_key.h"
#include "base/encoding.h"
#include "base/log.h"
#include "cli/load.h"
#include "cli/serve.h"
#include "officers/service.h"

namespace holdfast::cli {
namespace {

// How this process gets to Graph.
http::ClientOptions graph_client(const config::Upstream& upstream, const std::string& credentials) {
  return {.origin = upstream.origin,
          .ca_file = upstream.ca_file,
          .egress_proxy = upstream.egress_proxy,
          .egress_credentials = credentials,
          .connect_timeout = upstream.connect_timeout};
}

// Null: Graph is not asked.
std::unique_ptr<identity::GraphCredential> graph_credential(const config::GraphAccess& access,
                                                            const http::ClientOptions& graph) {
  if (!access.is_given()) return nullptr;
  if (!access.token_file.empty()) return std::make_unique<identity::TokenFile>(access.token_file);
  http::ClientOptions authority = graph;
  authority.origin = access.authority;
  return std::make_unique<identity::ClientCredentials>(
      std::move(authority),
      identity::ClientCredentials::Application{.tenant = access.tenant,
                                               .client_id = access.client_id,
                                               .secret_file = access.client_secret_file,
                                               .scope = graph.origin + "/.default"});
}

// Null: officers have API tokens only.
std::unique_ptr<identity::SignInVerifier> sign_in_verifier(const config::SignIn& sign_in) {
  if (sign_in.issuer.empty()) return nullptr;
  return std::make_unique<identity::SignInVerifier>(
      identity::Issuer{.issuer = sign_in.issuer,
                       .audience = sign_in.audience,
                       .tenant = ascii_lower(sign_in.tenant)},
      std::make_unique<identity::HttpKeySource>(sign_in.keys_url, sign_in.ca_file), system_clock());
}

officers::ServiceOptions service_options(const config::Config& config, audit::Database database,
                                         officers::Tokens tokens,
                                         std::vector<audit::NoteSigner> signers,
                                         const http::ClientOptions& graph) {
  const config::Audit& audit = config.audit;
  officers::ServiceOptions options;
  options.server.address = audit.listen.host;
  options.server.port = audit.listen.port;
  options.server.threads = audit.threads;
  options.server.connections_max = static_cast<std::size_t>(audit.limits.connections);
  options.server.connections_per_address_max =
      static_cast<std::size_t>(audit.limits.connections_per_address);
  options.server.requests_in_flight_max = static_cast<std::size_t>(audit.limits.requests_in_flight);
  options.server.tls.certificate_file = audit.tls.certificate_file;
  options.server.tls.key_file = audit.tls.key_file;
  options.database = std::move(database);
  options.lease = config.audit_log.lease;
  options.append_timeout = config.audit_log.append_timeout;
  options.tokens = std::move(tokens);
  options.sign_in = sign_in_verifier(audit.sign_in);
  options.origin = audit.log.origin;
  options.signers = std::move(signers);
  options.checkpoint_file = audit.log.checkpoint_file;
  options.partition_records = static_cast<std::uint64_t>(audit.log.partition_records);
  options.credential = graph_credential(audit.reconcile.access, graph);
  options.reconcile.graph = graph;
  options.reconcile.after = audit.reconcile.after;
  options.hold_credential = graph_credential(audit.hold_sync.access, graph);
  options.hold_sync = {.graph = graph,
                       .list_file = audit.hold_sync.list_file,
                       .holds = audit.hold_sync.holds,
                       .interval = audit.hold_sync.interval};
  options.anchors = audit.anchors;
  options.webhooks = audit.webhooks;
  options.notice_links = {.audit = audit.public_url, .proxy = config.proxy.public_origin};
  options.entry_readers = audit.log.entries == config::EntryReaders::kAnyone
                              ? officers::EntryReaders::kAnyone
                              : officers::EntryReaders::kOfficers;
  if (audit.allow_token_approvals) {
    options.token_approvals = approval::TokenApprovals::kAllowed;
  }
  options.metrics_from = networks_of(audit.metrics_from);
  return options;
}

int run_audit(const Invocation& invocation) {
  const auto config = load_config(invocation, config::Role::kAudit);
  if (!config) return kUsageError;
  Result<officers::Tokens> tokens = officers::Tokens::load(config->audit.tokens_file);
  if (!tokens.ok()) {
    print_error(tokens.error().message);
    return kUsageError;
  }
  std::optional<audit::Database> database = load_database(config->audit.database);
  if (!database) return kUsageError;
  Result<std::vector<audit::NoteSigner>> signers = std::vector<audit::NoteSigner>();
  if (!config->audit.log.key_files.empty()) {
    signers = audit::load_log_keys(config->audit.log.key_files, config->audit.log.origin);
  }
  if (!signers.ok()) {
    print_error(signers.error().message);
    return kUsageError;
  }
  if (signers->empty()) log_warning("no audit.log.key_files: this process does not sign the log");
  const bool asks_graph =
      config->audit.reconcile.access.is_given() || config->audit.hold_sync.access.is_given();
  std::optional<std::string> egress = std::string();
  if (asks_graph) egress = load_egress_credentials(config->upstream);
  if (!egress) return kUsageError;
  const sigset_t signals = block_role_signals();
  auto service = officers::Service::start(service_options(*config, *std::move(database),
                                                          *std::move(tokens), *std::move(signers),
                                                          graph_client(config->upstream, *egress)));
  if (!service.ok()) {
    print_error(service.error().message);
    return kUsageError;
  }
  serve_until_ended(signals, "audit", config->audit.listen, (*service)->port(),
                    [&] { log_tls_reload(config->audit.tls, (*service)->reload_tls()); });
  const bool complete = (*service)->drain(config->audit.drain_timeout);
  if (!complete) log_warning("requests were still running at the end of the drain timeout");
  (*service).reset();
  log_info("stopped", {{"role", "audit"}});
  return kDone;
}

}  // namespace

void add_audit(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("audit", "Serve compliance officers until SIGTERM.");
  command->footer("SIGHUP reads the TLS files again; one that cannot be used changes nothing.");
  runs(command, invocation, run_audit);
}

}  // namespace holdfast::cli
