#include "cli/serve.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::cli {

sigset_t block_role_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void serve_until_ended(const sigset_t& signals, std::string_view role,
                       const config::Endpoint& listen, std::uint16_t port,
                       const std::function<void()>& on_hangup) {
  log_info("listening", {{"role", role}, {"address", listen.host}, {"port", port}});
  for (;;) {
    int received = 0;
    sigwait(&signals, &received);
    if (received != SIGHUP) {
      log_info("draining", {{"role", role}, {"signal", received}});
      return;
    }
    on_hangup();
  }
}

void log_tls_reload(const config::Tls& tls, const Status& reloaded) {
  if (!reloaded.ok()) {
    log_error("TLS files not reloaded, the old ones stay", {{"reason", reloaded.error().message}});
  } else if (!tls.certificate_file.empty()) {
    log_info("TLS files reloaded", {{"certificate_file", tls.certificate_file}});
  }
}

bool is_told_to_hurry(const sigset_t& signals, std::chrono::milliseconds patience,
                      const std::function<void()>& on_hangup) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::max<std::chrono::nanoseconds>(
        deadline - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec wait{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    const int received = sigtimedwait(&signals, nullptr, &wait);
    if (received == SIGTERM || received == SIGINT) return true;
    if (received == SIGHUP) on_hangup();
    if (received < 0 && errno == EAGAIN) return false;
  }
}

std::vector<approval::Network> networks_of(const std::vector<std::string>& blocks) {
  std::vector<approval::Network> networks;
  networks.reserve(blocks.size());
  // The configuration has checked them.
  for (const std::string& block : blocks) networks.push_back(*approval::parse_network(block));
  return networks;
}

}  // namespace holdfast::cli
