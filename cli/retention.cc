// The end of old records and of what is sealed of a person: drops partitions of the log and erases
// keys, as a database role of its own.
#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>

#include "audit/retention_postgres.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "cli/operator_name.h"
#include "cli/text_table.h"
#include "officers/access.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

using audit::PlannedPartition;
using nlohmann::json;

struct RetentionOptions {
  std::string format = "table";
  std::string name;    // Of who is to be erased,
  std::string reason;  // and why.
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
  const Result<std::int64_t> forgotten = retention.forget();
  if (!forgotten.ok()) return fail(forgotten.error());
  return kDone;
}

json shown(const audit::PlannedErasure& erasure) {
  json item = {{"subjects", erasure.subjects},
               {"names", erasure.names},
               {"documents", erasure.documents},
               {"obstacle", nullptr}};
  if (!erasure.obstacle.empty()) item["obstacle"] = erasure.obstacle;
  return item;
}

void print_subject(const audit::PlannedErasure& erasure) {
  std::cout << erasure.documents << " sealed documents, of whom records know as\n";
  for (const std::string& name : erasure.names)
    std::cout << "  " << officers::printable(name) << "\n";
  std::cout << (erasure.obstacle.empty() ? "may be erased" : "stays: " + erasure.obstacle) << "\n";
}

// Plans the erasure and lets `act` go on with it.
int with_erasure(const Invocation& invocation, const RetentionOptions& options,
                 const std::function<int(audit::Retention&, const audit::PlannedErasure&)>& act) {
  const auto config = load_config(invocation, config::Role::kErasure);
  if (!config) return kUsageError;
  const auto database = load_database(config->retention.database);
  if (!database) return kUsageError;
  audit::Retention retention(*database);
  const Result<audit::PlannedErasure> erasure = retention.plan_erasure(options.name);
  if (!erasure.ok()) return fail(erasure.error());
  if (erasure->subjects.empty()) {
    print_error("nothing is sealed under that name");
    return kFoundProblem;
  }
  return act(retention, *erasure);
}

int run_subject(const Invocation& invocation, const RetentionOptions& options) {
  return with_erasure(invocation, options,
                      [&options](audit::Retention&, const audit::PlannedErasure& erasure) {
                        if (options.format == "table") {
                          print_subject(erasure);
                        } else {
                          std::cout << shown(erasure).dump() << "\n";
                        }
                        return kDone;
                      });
}

int run_erase(const Invocation& invocation, const RetentionOptions& options) {
  const std::string wrong =
      officers::text_problem(options.reason, "reason", officers::Needed::kYes);
  if (!wrong.empty()) {
    print_error("--reason: " + wrong);
    return kUsageError;
  }
  return with_erasure(
      invocation, options,
      [&options](audit::Retention& retention, const audit::PlannedErasure& erasure) {
        const Result<std::int64_t> record =
            retention.erase(erasure, options.reason, operator_name());
        if (!record.ok()) return fail(record.error());
        if (options.format == "table") {
          std::cout << "erased " << erasure.documents << " sealed documents, record " << *record
                    << "\n";
        } else {
          std::cout << json{{"documents", erasure.documents},
                            {"record", *record},
                            {"subjects", erasure.subjects}}
                           .dump()
                    << "\n";
        }
        return kDone;
      });
}

std::pair<CLI::App*, std::shared_ptr<RetentionOptions>> add_action(
    CLI::App* group, Invocation& invocation, const std::string& name, const std::string& about,
    int (*run)(const Invocation&, const RetentionOptions&)) {
  auto options = std::make_shared<RetentionOptions>();
  CLI::App* command = group->add_subcommand(name, about);
  add_format(command, options->format);
  runs(command, invocation, options, run);
  return {command, options};
}

void add_erasure(CLI::App* group, Invocation& invocation) {
  const auto add_name = [](CLI::App* command, RetentionOptions& options) {
    command
        ->add_option("name", options.name,
                     "Any name of the person: user principal name, address, object id.")
        ->required();
  };
  const auto [subject, shown_options] = add_action(
      group, invocation, "subject",
      "Show of whom a name would erase the sealed values, and what is against it.", run_subject);
  add_name(subject, *shown_options);
  const auto [erase, options] = add_action(
      group, invocation, "erase", "Erase the sealed values of a person, for good.", run_erase);
  add_name(erase, *options);
  erase->add_option("--reason", options->reason, "Why, for the record, which stays: no names.")
      ->required();
}

}  // namespace

void add_retention(CLI::App& app, Invocation& invocation) {
  CLI::App* group =
      app.add_subcommand("retention", "Drop records that have become old, and erase people.");
  group->require_subcommand(1);
  add_action(group, invocation, "status", "Show what would be dropped, what stays, and why.",
             run_retention_status);
  add_action(group, invocation, "run",
             "Drop the partitions whose newest record is past retention.age.", run_drop);
  add_erasure(group, invocation);
  group->footer(  // After the subcommands, which would inherit it.
      R"(Hashes, tiles and checkpoints stay: `holdfast verify` and every proof go on as before.
Connects as the role holdfast_retention (retention.database). What may go is judged by the database:
see docs/retention.md for all that keeps a partition, a legal hold (`holdfast holds`) among it, and
docs/erasure.md for what can be erased (audit_log.personal_data: sealed).

Examples:
  holdfast retention status
  holdfast retention run                       from a monthly job
  holdfast retention subject leaver@contoso.com
  holdfast retention erase leaver@contoso.com --reason DSR-2041)");
}

}  // namespace holdfast::cli
