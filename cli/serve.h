// What the two long-running roles have in common: their signals, their log lines, their lists of
// networks.
#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/network.h"
#include "config/config.h"

namespace holdfast::cli {

// SIGTERM, SIGINT and SIGHUP: blocked in every thread started after this, to be waited for. To be
// called before the first thread starts.
sigset_t block_role_signals();

// Logs that the role is listening and waits until SIGTERM or SIGINT; SIGHUP calls `on_hangup`.
void serve_until_ended(const sigset_t& signals, std::string_view role,
                       const config::Endpoint& listen, std::uint16_t port,
                       const std::function<void()>& on_hangup);

// Whether another SIGTERM or SIGINT comes within `patience`; SIGHUP calls `on_hangup`.
bool is_told_to_hurry(
    const sigset_t& signals, std::chrono::milliseconds patience,
    const std::function<void()>& on_hangup = [] {});

// Says what became of a reload of a role's certificate, where it has one.
void log_tls_reload(const config::Tls& tls, const Status& reloaded);
// The networks of a list that the configuration has checked.
std::vector<approval::Network> networks_of(const std::vector<std::string>& blocks);

}  // namespace holdfast::cli
