// Past calls decided again by a draft: reads records through the audit service, with the officer's
// own credential.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "approval/replay.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "cli/text_table.h"
#include "officers/record_table.h"
#include "officers/target.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr const char* kReplayPage = "1000";

struct ReplayOptions {
  AuditConnection connection;
  std::string format = "table";
  std::string from;
  std::string to;
  std::string file;
};

// The rule files of the generations that decided, each read once.
class PastRules {
 public:
  explicit PastRules(AuditClient& api) : api_(api) {}

  // nullptr: it is not to be had, and why has been printed.
  const approval::RuleSet* find(std::int64_t number) {
    const auto known = rules_.find(number);
    if (known != rules_.end()) return known->second ? &*known->second : nullptr;
    std::optional<approval::RuleSet>& rules = rules_[number];
    if (number < 1) return nullptr;
    const Answer answer = api_.get("/api/v1/rules/" + std::to_string(number));
    if (answer.exit != kDone) return nullptr;
    Result<approval::RuleSet> loaded = approval::load_rules_without_lists(
        answer.body.value("rules", ""), "generation " + std::to_string(number) + " of the rules");
    if (!loaded.ok()) {
      print_error(loaded.error().message);
      return nullptr;
    }
    rules = *std::move(loaded);
    return &*rules;
  }

 private:
  AuditClient& api_;
  std::map<std::int64_t, std::optional<approval::RuleSet>> rules_;
};

struct Summary {
  std::size_t calls = 0;
  std::size_t without_facts = 0;  // The rules were not asked, or it cannot be read.
  std::size_t partial = 0;
  std::map<std::int64_t, json> changed;        // By index.
  std::map<std::string, std::size_t> missing;  // Facts that were not recorded, and of how many.
  std::size_t of_unknown_rules = 0;
};

json ids_of(const std::vector<approval::RuleMatch>& matches) {
  json ids = json::array();
  for (const approval::RuleMatch& match : matches) ids.push_back(match.id);
  return ids;
}

void look_at(const json& record, const approval::RuleSet& rules, PastRules& past_rules,
             Summary& summary) {
  const std::optional<approval::PastCall> call = approval::past_call(record);
  if (!call) {
    ++(approval::is_partial(record) ? summary.partial : summary.without_facts);
    return;
  }
  ++summary.calls;
  const approval::RuleSet* then = past_rules.find(call->generation);
  if (then == nullptr) ++summary.of_unknown_rules;
  const approval::Replayed again = approval::replay(rules, *call, then);
  for (const std::string& fact : again.not_recorded) ++summary.missing[fact];
  if (again.changes.empty()) return;
  json change = {
      {"index", record.value("index", json())},
      {"id", record.value("id", json())},
      {"time", record.value("time", json())},
      {"actor", record.value("actor", json::object()).value("name", json())},
      {"operation", record.value("operation", json::object())},
      {"was", {{"effect", to_string(call->effect)}, {"rules", call->by}}},
      {"would_be",
       {{"effect", to_string(again.decision.effect)}, {"rules", ids_of(again.decision.by)}}},
      {"changes", again.changes},
      {"not_recorded", again.not_recorded}};
  const auto index = record.value("index", std::int64_t{-1});
  summary.changed.emplace(index, std::move(change));
}

// Looks at all records of that kind, page by page; the exit code.
int look_at_all(AuditClient& api, const ReplayOptions& options, const char* kind,
                const approval::RuleSet& rules, PastRules& past_rules, Summary& summary) {
  std::vector<audit::Parameter> parameters = {
      {"kind", kind}, {"from", options.from}, {"order", "asc"}, {"limit", kReplayPage}};
  if (!options.to.empty()) parameters.push_back({"to", options.to});
  std::string target = "/api/v1/records?" + officers::encode_query(parameters);
  while (!target.empty()) {
    const Answer page = api.get(target);
    if (page.exit != kDone) return page.exit;
    for (const json& record : page.body.value("value", std::vector<json>())) {
      look_at(record, rules, past_rules, summary);
    }
    target = next_page(page.body);
  }
  return kDone;
}

void print_changes(const Summary& summary) {
  std::vector<std::vector<std::string>> rows = {
      {"INDEX", "TIME", "ACTOR", "ACTION", "MAILBOX", "NOT RECORDED", "WHAT WOULD CHANGE"}};
  for (const auto& [index, change] : summary.changed) {
    const std::string missing = texts_of(change.at("not_recorded"), ", ");
    rows.push_back({std::to_string(index), text_of(change, "/time").substr(0, 19),
                    text_of(change, "/actor"), text_of(change, "/operation/action"),
                    mailbox_of(change), missing.empty() ? "-" : missing,
                    texts_of(change.at("changes"), "; ")});
  }
  if (!summary.changed.empty()) std::cout << text_table(rows);
}

void print_summary(const Summary& summary) {
  std::cerr << summary.changed.size() << " of " << summary.calls << " decisions would change.\n";
  for (const auto& [fact, count] : summary.missing) {
    std::cerr << "Not recorded, and so unknown here, which restricts: " << fact << " of " << count
              << (count == 1 ? " call.\n" : " calls.\n");
  }
  if (summary.of_unknown_rules > 0) {
    std::cerr << "Of " << summary.of_unknown_rules
              << " only the effect and its rules were compared: the rules of then are not known.\n";
  }
  if (summary.partial > 0) {
    std::cerr << "Not looked at: " << summary.partial
              << " whose records hold only a part of what the rules saw or said.\n";
  }
  if (summary.without_facts > 0) {
    std::cerr << "Not looked at: " << summary.without_facts
              << " refused before the rules were asked.\n";
  }
}

int run_replay(const Invocation& invocation, const ReplayOptions& options) {
  const auto settings = settings_of(invocation, options.connection);
  if (!settings) return kUsageError;
  const Result<approval::RuleSet> rules = approval::load_rules(options.file, system_clock().now());
  if (!rules.ok()) {
    print_error(rules.error().message);
    return kUsageError;
  }
  AuditClient api(*settings);
  PastRules past_rules(api);
  Summary summary;
  for (const char* kind : {"intent", "decision"}) {
    const int exit = look_at_all(api, options, kind, *rules, past_rules, summary);
    // 1 would say that decisions change.
    if (exit != kDone) return kUsageError;
  }
  if (options.format == "ndjson") {
    for (const auto& [index, change] : summary.changed) std::cout << change.dump() << "\n";
  } else {
    print_changes(summary);
  }
  print_summary(summary);
  return summary.changed.empty() ? kDone : kFoundProblem;
}

}  // namespace

void add_replay(CLI::App* group, Invocation& invocation) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command = group->add_subcommand(
      "replay", "Decide past calls again by a draft, and list each decision that would change.");
  add_connection(command, options->connection);
  add_format(command, options->format);
  command->add_option("--from", options->from, "From when on (RFC 3339).")
      ->required()
      ->type_name("TIME");
  command->add_option("--to", options->to, "Until when; without it, until now.")->type_name("TIME");
  command->add_option("file", options->file, "The draft.")->required()->type_name("FILE");
  command->footer(
      "Each call is decided by the facts in its record, at its own time; what the record does not "
      "have is\nunknown, and the output says so. Compared is what the rules say: the effect and "
      "its rules, who\napproves and how fast, what the caller brings, ways past that, and limits. "
      "Whether a limit was spent\nor an approval given is left out.\n"
      "Exit status: 0 nothing would change; 1 something would; 2 the draft does not load, or the "
      "records\ncannot be read.\n\n"
      "Example:\n  holdfast rules replay --from 2026-10-01T00:00:00Z draft.yaml");
  runs(command, invocation, options, run_replay);
}

}  // namespace holdfast::cli
