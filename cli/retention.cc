// The end of old records: drops partitions of the log, as a database role of its own.
#include <algorithm>
#include <iostream>
#include <memory>

#include "audit/retention_postgres.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "cli/operator_name.h"
#include "cli/text_table.h"

namespace holdfast::cli {
namespace {

using audit::PlannedPartition;
using nlohmann::json;

struct RetentionOptions {
  std::string format = "table";
};

std::chrono::seconds age_of(const config::Config& config) {
  return std::chrono::ceil<std::chrono::seconds>(config.retention.age);
}

int fail(const Error& error) {
  print_error(error.message);
  return kFoundProblem;
}

json shown(const PlannedPartition& partition) {
  json item = {{"first", partition.range.first},
               {"until", partition.range.until},
               {"newest", nullptr},
               {"obstacle", nullptr}};
  if (!partition.newest.empty()) item["newest"] = partition.newest;
  if (!partition.obstacle.empty()) item["obstacle"] = partition.obstacle;
  return item;
}

std::string records_text(const audit::IndexRange& range) {
  return std::to_string(range.first) + " to " + std::to_string(range.until - 1);
}

void print_plan(const json& state, const std::vector<PlannedPartition>& plan) {
  std::vector<std::vector<std::string>> rows = {{"RECORDS", "NEWEST", "WHAT HAPPENS"}};
  for (const json& gone : state.value("dropped", json::array())) {
    const audit::IndexRange range{.first = gone.value("first", std::uint64_t{0}),
                                  .until = gone.value("until", std::uint64_t{1})};
    rows.push_back({records_text(range), "",
                    "dropped " + gone.value("at", "").substr(0, 19) + ", record " +
                        std::to_string(gone.value("record", std::int64_t{0}))});
  }
  for (const PlannedPartition& partition : plan) {
    rows.push_back(
        {records_text(partition.range), partition.newest.substr(0, 19),
         partition.obstacle.empty() ? "may be dropped" : "stays: " + partition.obstacle});
  }
  std::cout << text_table(rows);
}

int run_retention_status(const Invocation& invocation, const RetentionOptions& options) {
  const auto config = load_config(invocation, config::Role::kRetention);
  if (!config) return kUsageError;
  const auto database = load_database(config->retention.database);
  if (!database) return kUsageError;
  audit::Retention retention(*database);
  const Result<json> state = retention.state();
  if (!state.ok()) return fail(state.error());
  const auto plan = retention.plan(age_of(*config));
  if (!plan.ok()) return fail(plan.error());
  if (options.format == "table") {
    print_plan(*state, *plan);
    return kDone;
  }
  for (const PlannedPartition& partition : *plan) std::cout << shown(partition).dump() << "\n";
  return kDone;
}

int run_drop(const Invocation& invocation, const RetentionOptions& options) {
  const auto config = load_config(invocation, config::Role::kRetention);
  if (!config) return kUsageError;
  const auto database = load_database(config->retention.database);
  if (!database) return kUsageError;
  audit::Retention retention(*database);
  const audit::Retention::Terms terms{.age = age_of(*config), .by = operator_name()};
  const auto plan = retention.plan(terms.age);
  if (!plan.ok()) return fail(plan.error());
  std::size_t dropped = 0;
  for (const PlannedPartition& planned : *plan) {
    if (!planned.obstacle.empty()) continue;
    // As it stands now: what was dropped before it is in its record.
    const auto now = retention.plan(terms.age);
    if (!now.ok()) return fail(now.error());
    const auto partition = std::ranges::find(*now, planned.range, &PlannedPartition::range);
    if (partition == now->end()) continue;
    const Result<std::int64_t> record = retention.drop(*partition, terms);
    if (!record.ok()) return fail(record.error());
    ++dropped;
    if (options.format == "ndjson") {
      json item = shown(*partition);
      item["record"] = *record;
      std::cout << item.dump() << std::endl;
    } else {
      std::cout << "dropped the records " << records_text(partition->range) << ", record "
                << *record << std::endl;
    }
  }
  if (dropped == 0 && options.format == "table") std::cout << "nothing to do\n";
  return kDone;
}

void add_action(CLI::App* group, Invocation& invocation, const std::string& name,
                const std::string& about, int (*run)(const Invocation&, const RetentionOptions&)) {
  auto options = std::make_shared<RetentionOptions>();
  CLI::App* command = group->add_subcommand(name, about);
  add_format(command, options->format);
  runs(command, invocation, options, run);
}

}  // namespace

void add_retention(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("retention", "Drop records that have become old.");
  group->require_subcommand(1);
  add_action(group, invocation, "status", "Show what would be dropped, what stays, and why.",
             run_retention_status);
  add_action(group, invocation, "run",
             "Drop the partitions whose newest record is past retention.age.", run_drop);
  group->footer(  // After the subcommands, which would inherit it.
      R"(Hashes, tiles and checkpoints stay: `holdfast verify` and every proof go on as before.
Connects as the role holdfast_retention (retention.database). What may go is judged by the database:
see docs/retention.md for all that keeps a partition, a legal hold (`holdfast holds`) among it.

Examples:
  holdfast retention status
  holdfast retention run                       from a monthly job)");
}

}  // namespace holdfast::cli
