// Loading the configuration, as every subcommand that needs one does it.
#pragma once

#include <optional>
#include <string>

#include "audit/conninfo.h"
#include "cli/command.h"
#include "config/config.h"

namespace holdfast::cli {

// The configuration for a role, all its keys checked, with the log level applied. nullopt: the
// reason is on standard error; leave with kUsageError.
std::optional<config::Config> load_config(const Invocation& invocation, config::Role role);

// The same without asking what a role needs.
std::optional<config::Config> load_config(const Invocation& invocation);

// The database that a section of the configuration names, with its password. nullopt as above.
std::optional<audit::Database> load_database(const config::Database& settings);

// user:password for upstream.egress_proxy; empty where none are wanted. nullopt as above.
std::optional<std::string> load_egress_credentials(const config::Upstream& upstream);

// Prints "holdfast: <message>" on standard error, once for each line of the message.
void print_error(const std::string& message);

}  // namespace holdfast::cli
