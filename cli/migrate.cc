#include <iostream>
#include <memory>

#include "audit/migrate_postgres.h"
#include "audit/retention_postgres.h"
#include "cli/load.h"
#include "cli/operator_name.h"

namespace holdfast::cli {
namespace {

int run_status(const audit::Database& database) {
  const auto statuses = audit::migration_status(database, audit::migrations());
  if (!statuses.ok()) {
    print_error(statuses.error().message);
    return kFoundProblem;
  }
  int code = kDone;
  for (const audit::MigrationStatus& status : *statuses) {
    std::cout << status.name << "  " << audit::to_string(status.state) << "\n";
    if (status.state != audit::MigrationState::kApplied) code = kFoundProblem;
  }
  return code;
}

// Only what the configuration speaks of is set, so that an upgrade without it changes nothing.
Result<bool> set_retention(const audit::Database& database, const config::Config& config) {
  if (!config.origins.contains("migrate.retention.floor")) return false;
  const config::RetentionTerms& terms = config.migrate.retention;
  audit::RetentionPolicy policy{.floor_s = std::nullopt, .anchored = terms.anchored};
  if (terms.floor.count() > 0) {
    policy.floor_s = std::chrono::ceil<std::chrono::seconds>(terms.floor).count();
  }
  return audit::set_retention_policy(database, policy, operator_name());
}

int run_migrate(const Invocation& invocation, bool only_status) {
  const std::optional<config::Config> config = load_config(invocation, config::Role::kMigrate);
  if (!config) return kUsageError;
  const std::optional<audit::Database> database = load_database(config->migrate.database);
  if (!database) return kUsageError;
  if (only_status) return run_status(*database);
  const auto applied = audit::migrate(*database, audit::migrations());
  if (!applied.ok()) {
    print_error(applied.error().message);
    return kFoundProblem;
  }
  for (const std::string& name : *applied) std::cout << name << "  applied\n";
  const Result<bool> set = set_retention(*database, *config);
  if (!set.ok()) {
    print_error(set.error().message);
    return kFoundProblem;
  }
  if (*set) std::cout << "retention  set and recorded\n";
  if (applied->empty() && !*set) std::cout << "nothing to do\n";
  return kDone;
}

}  // namespace

void add_migrate(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("migrate", "Bring the database to the tables of this version.");
  const auto only_status = std::make_shared<bool>(false);
  command->add_flag("--status", *only_status,
                    "Only show what is applied; exit status 1 unless all is.");
  command->footer(
      "Connects as a database administrator (migrate.database), not as a role of its own.");
  runs(command, invocation, only_status, run_migrate);
}

}  // namespace holdfast::cli
