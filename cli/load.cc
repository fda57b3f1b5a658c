#include "cli/load.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

// A setting that was given as an option of the command is told as that.
std::string as_given(std::string message, const Invocation& invocation) {
  for (const auto& [key, flag] : invocation.flags) {
    const std::string setting = "--set " + key + ":";
    if (message.starts_with(setting)) message.replace(0, setting.size(), flag + ":");
  }
  return message;
}

}  // namespace

void print_error(const std::string& message) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    std::cerr << "holdfast: " << officers::printable(line) << "\n";
  }
}

std::optional<config::Config> load_config(const Invocation& invocation) {
  const auto config = config::load_config({.file = invocation.config_path,
                                           .environment = config::holdfast_environment(),
                                           .settings = invocation.settings});
  if (!config.ok()) {
    print_error(as_given(config.error().message, invocation));
    return std::nullopt;
  }
  set_log_level(config->logging.level);
  return *config;
}

std::optional<config::Config> load_config(const Invocation& invocation, config::Role role) {
  std::optional<config::Config> config = load_config(invocation);
  if (!config) return std::nullopt;
  const Status status = config::check_for(*config, role);
  if (status.ok()) return config;
  print_error(status.error().message);
  return std::nullopt;
}

std::optional<audit::Database> load_database(const config::Database& settings) {
  Result<audit::Database> database = audit::read_database(settings.url, settings.password_file);
  if (database.ok()) return *std::move(database);
  print_error(database.error().message);
  return std::nullopt;
}

std::optional<std::string> load_egress_credentials(const config::Upstream& upstream) {
  std::string credentials;
  if (upstream.egress_credentials_file.empty()) return credentials;
  std::ifstream file(upstream.egress_credentials_file);
  if (std::getline(file, credentials) && credentials.find(':') != std::string::npos) {
    return credentials;
  }
  print_error(upstream.egress_credentials_file + ": its first line must be user:password");
  return std::nullopt;
}

}  // namespace holdfast::cli
