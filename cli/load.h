// Loading the configuration, as every subcommand that needs one does it.
#pragma once

#include <optional>

#include "cli/command.h"
#include "config/config.h"

namespace holdfast::cli {

// The configuration for a role, all its keys checked, with the log level applied. nullopt: the
// reason is on standard error; leave with kUsageError.
std::optional<config::Config> load_config(const Invocation& invocation, config::Role role);

// The same without asking what a role needs.
std::optional<config::Config> load_config(const Invocation& invocation);

// Prints "holdfast: <message>" on standard error, once for each line of the message.
void print_error(const std::string& message);

}  // namespace holdfast::cli
