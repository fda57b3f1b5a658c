#include <pthread.h>
#include <csignal>
#include <fstream>

#include "base/log.h"
#include "cli/load.h"
#include "officers/service.h"

namespace holdfast::cli {
namespace {

// Signals that end the role, blocked in every thread started after this, to be waited for.
sigset_t block_ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

officers::ServiceOptions service_options(const config::Config& config, officers::Tokens tokens) {
  const config::Audit& audit = config.audit;
  officers::ServiceOptions options;
  options.server.address = audit.listen.host;
  options.server.port = audit.listen.port;
  options.server.threads = audit.threads;
  options.server.tls_certificate_file = audit.tls.certificate_file;
  options.server.tls_key_file = audit.tls.key_file;
  options.database.url = audit.database.url;
  if (!audit.database.password_file.empty()) {
    options.database.password = first_line(audit.database.password_file);
  }
  options.lease = config.audit_log.lease;
  options.append_timeout = config.audit_log.append_timeout;
  options.tokens = std::move(tokens);
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
  const sigset_t signals = block_ending_signals();
  auto service = officers::Service::start(service_options(*config, *std::move(tokens)));
  if (!service.ok()) {
    print_error(service.error().message);
    return kUsageError;
  }
  log_info("listening", {{"role", "audit"},
                         {"address", config->audit.listen.host},
                         {"port", (*service)->port()},
                         {"tls", !config->audit.tls.certificate_file.empty()}});
  int received = 0;
  sigwait(&signals, &received);
  log_info("draining", {{"role", "audit"}, {"signal", received}});
  const bool complete = (*service)->drain(config->audit.drain_timeout);
  if (!complete) log_warning("requests were still running at the end of the drain timeout");
  (*service).reset();
  log_info("stopped", {{"role", "audit"}});
  return kDone;
}

}  // namespace

void add_audit(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("audit", "Serve compliance officers until SIGTERM.");
  command->callback(
      [&invocation] { invocation.run = [&invocation] { return run_audit(invocation); }; });
}

}  // namespace holdfast::cli
