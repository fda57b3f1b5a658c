#include "approval/explain.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <regex>

#include "approval/build_rules.h"
#include "approval/network.h"
#include "base/encoding.h"
#include "base/uuid.h"
#include "cli/load.h"
#include "graph/classify.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

using approval::Explanation;
using approval::Facts;
using approval::RuleOutcome;
using graph::Classification;
using graph::MailboxKind;
using graph::RequestClass;
using identity::ActorKind;
using nlohmann::json;
using officers::printable;

struct ExplainOptions {
  std::string method;
  std::string target;
  std::string rules;
  std::string body;
  std::string user;
  std::string app;
  std::string kind;
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  std::vector<std::string> mailbox;
  std::string own_mailbox;
  std::string folder;
  std::string source_ip;
  std::vector<std::string> affected;
  std::string message_age;
  std::vector<std::string> senders;
  std::vector<std::string> recipients;
  std::vector<std::string> categories;
  std::optional<std::int64_t> size_bytes;
  std::string at;
  std::string format = "text";
};

std::optional<std::string> given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

ActorKind actor_kind(const ExplainOptions& options) {
  if (options.kind == "user") return ActorKind::kUser;
  if (options.kind == "app") return ActorKind::kApp;
  if (options.kind == "unknown") return ActorKind::kUnknown;
  if (!options.user.empty() || !options.own_mailbox.empty()) return ActorKind::kUser;
  return options.app.empty() ? ActorKind::kUnknown : ActorKind::kApp;
}

// The names of the addressed mailbox, as far as the command line and the path tell. Nothing is
// looked up: the path's own key stands for the mailbox where it is a name at all.
std::optional<approval::MailboxNames> mailbox_names(const ExplainOptions& options,
                                                    const graph::Operation& operation) {
  if (!options.mailbox.empty()) return approval::mailbox_named(options.mailbox);
  const std::string& key = operation.mailbox.key;
  const bool is_name = key.find('@') != std::string::npos || parse_uuid(key).has_value();
  if (operation.mailbox.kind != MailboxKind::kUser || operation.may_be_shared || !is_name) {
    return std::nullopt;
  }
  return approval::mailbox_named({key});
}

std::optional<bool> own_mailbox(const ExplainOptions& options, const Facts& facts,
                                const graph::Operation& operation) {
  if (!options.own_mailbox.empty()) return options.own_mailbox == "true";
  if (operation.may_be_shared) return std::nullopt;
  if (operation.mailbox.kind == MailboxKind::kMe) return true;
  if (!facts.user || !facts.mailbox) return std::nullopt;
  const std::vector<std::string>& names = facts.mailbox->names;
  const auto same = [&](const std::string& name) { return ascii_iequals(name, *facts.user); };
  if (std::any_of(names.begin(), names.end(), same)) return true;
  // Only another object id says that it is somebody else's.
  const auto is_id = [](const std::string& name) { return parse_uuid(name).has_value(); };
  if (std::any_of(names.begin(), names.end(), is_id)) return false;
  return std::nullopt;
}

approval::ItemFacts item_facts(const ExplainOptions& options) {
  const auto several = [](const std::vector<std::string>& names) {
    return names.empty() ? std::nullopt : std::optional(names);
  };
  approval::ItemFacts item{.message_age = std::nullopt,
                           .sender = several(options.senders),
                           .recipients = several(options.recipients),
                           .categories = several(options.categories),
                           .size_bytes = options.size_bytes};
  if (!options.message_age.empty()) {
    item.message_age = approval::parse_duration(options.message_age);
  }
  return item;
}

Facts facts_of(const ExplainOptions& options, const graph::Operation& operation, WallTime now) {
  Facts facts;
  facts.action = operation.action;
  facts.resource = operation.resource;
  facts.actor_kind = actor_kind(options);
  facts.user = given(options.user);
  facts.app = given(options.app);
  if (!options.groups.empty()) facts.groups = options.groups;
  if (!options.roles.empty()) facts.roles = options.roles;
  facts.mailbox = mailbox_names(options, operation);
  facts.own_mailbox = own_mailbox(options, facts, operation);
  facts.folder = options.folder.empty() ? operation.folder : options.folder;
  facts.source_ip = given(options.source_ip);
  facts.now = now;
  facts.affected = approval::affected_by_path(facts);
  if (!options.affected.empty()) {
    facts.affected = {.known = {}, .complete = true};
    for (const std::string& name : options.affected) {
      facts.affected.known.push_back(approval::mailbox_named({name}));
    }
  }
  facts.item = item_facts(options);
  return facts;
}

json classification_json(const Classification& classification) {
  json value{{"class", graph::to_string(classification.request_class)},
             {"reason", classification.reason}};
  if (const auto& operation = classification.operation) {
    value["action"] = operation->action;
    value["resource"] = operation->resource;
    value["mailbox"] = {{"kind", graph::to_string(operation->mailbox.kind)},
                        {"key", operation->mailbox.key}};
  }
  return value;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + printable(part);
  return text;
}

void print_conditions(const std::vector<approval::ConditionOutcome>& outcomes,
                      std::string_view heading) {
  for (const approval::ConditionOutcome& outcome : outcomes) {
    std::cout << "      " << std::left << std::setw(7) << heading << std::setw(9)
              << approval::to_string(outcome.truth) << outcome.condition << ": wants "
              << printable(outcome.wants) << "; is " << printable(outcome.value) << "\n";
  }
}

void print_rule(const RuleOutcome& rule) {
  const std::string mode = rule.mode == approval::Mode::kMonitor ? " (monitor)" : "";
  std::cout << "  " << std::left << std::setw(32) << printable(rule.id) << std::setw(17)
            << approval::to_string(rule.effect) << (rule.result.matched ? "matched" : "not matched")
            << mode << "\n      " << printable(rule.title) << "\n";
  if (rule.when.empty()) std::cout << "      when   true     every call\n";
  print_conditions(rule.when, "when");
  print_conditions(rule.unless, "unless");
  if (!rule.result.unknown_facts.empty()) {
    std::cout << "      hangs on unknown facts: " << joined(rule.result.unknown_facts) << "\n";
  }
}

void print_requirements(const approval::Requirements& require, std::string_view indent = "  ") {
  if (require.justification_min > 0) {
    std::cout << indent << "needs a justification of at least " << require.justification_min
              << " characters\n";
  }
  for (const std::string& pattern : require.ticket_patterns) {
    std::cout << indent << "needs a ticket matching " << printable(pattern) << "\n";
  }
}

// A way past the approval that the call needs.
void print_break_glass(const approval::BreakGlass& way) {
  std::cout << "  or at once by breaking the glass, by " << printable(way.rule.id)
            << "; to be reviewed in " << way.review_within.count() << " s\n";
  print_requirements(way.require, "    ");
}

void print_limit(const approval::TakenLimit& taken) {
  const approval::Limit& limit = taken.limit;
  const bool each = limit.by != approval::LimitBy::kRule;
  std::cout << "  within the limit of " << printable(taken.rule.id) << ": " << limit.count
            << " calls";
  if (limit.distinct_mailboxes) {
    std::cout << " on " << *limit.distinct_mailboxes << " mailboxes";
  }
  std::cout << " in " << limit.per.count() << " s"
            << (each ? " for each " + std::string(to_string(limit.by)) : "")
            << "; beyond it: " << to_string(limit.over) << "\n";
}

void print_text(const Explanation& explanation, const graph::Operation& operation,
                const approval::RuleSet& rules) {
  const approval::Decision& decision = explanation.decision;
  std::vector<std::string> by;
  by.reserve(decision.by.size());
  for (const approval::RuleMatch& match : decision.by) by.push_back(match.id);
  std::cout << "guarded: " << operation.action << " of " << operation.resource << "\n"
            << approval::to_string(decision.effect)
            << (by.empty() ? " by default: no rule allows it" : " by " + joined(by)) << "\n";
  print_requirements(decision.require);
  for (const approval::TakenLimit& taken : decision.limits) print_limit(taken);
  if (decision.effect == approval::Effect::kRequireApproval) {
    for (const approval::BreakGlass& way : decision.break_glass) print_break_glass(way);
  }
  std::cout << "\nrules (revision " << printable(rules.revision()) << ", sha256 " << rules.sha256()
            << ")\n";
  for (const RuleOutcome& rule : explanation.rules) print_rule(rule);
  std::cout << "\nwhat would change the answer\n";
  if (explanation.changes.empty()) {
    std::cout << "  nothing that was tried: no rule more, nor a looser one without the stricter\n";
  }
  for (const approval::Change& change : explanation.changes) {
    std::cout << "  " << approval::to_string(change.effect);
    if (!change.matching.empty()) std::cout << ", by " << joined(change.matching);
    if (!change.not_matching.empty()) {
      std::cout << (change.matching.empty() ? ", without " : " and without ")
                << joined(change.not_matching);
    }
    std::cout << ", if:\n";
    for (const std::string& need : change.needs) std::cout << "      " << printable(need) << "\n";
  }
}

std::optional<std::string> rules_path(const Invocation& invocation, const ExplainOptions& options) {
  if (!options.rules.empty()) return options.rules;
  const auto config = load_config(invocation, config::Role::kCheck);
  return config ? std::optional(config->rules.file) : std::nullopt;
}

int run_explain(const Invocation& invocation, const ExplainOptions& options) {
  WallTime now = system_clock().now();
  if (!options.at.empty()) {
    const Result<WallTime> at = parse_rfc3339(options.at);
    if (!at.ok()) {
      print_error("--at: " + at.error().message);
      return kUsageError;
    }
    now = *at;
  }
  const std::optional<std::string> path = rules_path(invocation, options);
  if (!path) return kUsageError;
  const Result<approval::RuleSet> rules = approval::load_rules(*path, system_clock().now());
  if (!rules.ok()) {
    print_error(rules.error().message);
    return kFoundProblem;
  }
  graph::RequestView request;
  request.method = options.method;
  request.target = options.target;
  if (!options.body.empty()) request.body = options.body;
  const Classification classification = graph::classify(request);
  const bool guarded = classification.request_class == RequestClass::kGuarded;
  json output{{"classification", classification_json(classification)},
              {"rules_revision", rules->revision()},
              {"rules_sha256", rules->sha256()}};
  if (!guarded) {
    if (options.format == "json") {
      std::cout << output.dump() << "\n";
    } else {
      std::cout << graph::to_string(classification.request_class) << ": the rules are not asked. "
                << printable(classification.reason) << "\n";
    }
    return kDone;
  }
  const Explanation explanation =
      approval::explain(*rules, facts_of(options, *classification.operation, now));
  if (options.format == "json") {
    output.update(approval::to_json(explanation));
    std::cout << output.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
  } else {
    print_text(explanation, *classification.operation, *rules);
  }
  return kDone;
}

// As conditions name mailboxes.
std::string mailbox_problem(const std::string& name) {
  if (ascii_iequals(name, "me")) {
    return "me is whoever calls: name a mailbox, or say --own-mailbox true";
  }
  return approval::looks_like_mailbox(name) ? "" : "neither a mail address nor an object id";
}

std::string ip_problem(const std::string& text) {
  return approval::parse_ip(text) ? "" : "not an IP address";
}

void add_item_options(CLI::App& command, ExplainOptions& options) {
  command
      .add_option("--affected-mailbox", options.affected,
                  "A mailbox that loses data; repeated for all of them. Without it: the mailbox "
                  "itself, and for a recall others that are unknown.")
      ->check(mailbox_problem)
      ->allow_extra_args(false);
  command
      .add_option("--message-age", options.message_age, "Age of the message, such as 90m or 3d.")
      ->check([](const std::string& text) {
        static const std::regex duration("[1-9][0-9]{0,5}[smhd]");
        return std::regex_match(text, duration) ? std::string() : "not a duration such as 90m";
      });
  command.add_option("--sender", options.senders, "Address of the sender; may be repeated.")
      ->allow_extra_args(false);
  command.add_option("--recipient", options.recipients, "A recipient; repeated for all of them.")
      ->allow_extra_args(false);
  command.add_option("--category", options.categories, "A category; repeated for all of them.")
      ->allow_extra_args(false);
  command.add_option("--size", options.size_bytes, "Size of the item in bytes.");
}

}  // namespace

void add_explain(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "explain", "Show what the rules make of a call, why, and what would change the answer.");
  const auto options = std::make_shared<ExplainOptions>();
  command->add_option("METHOD", options->method)->required();
  command->add_option("TARGET", options->target, "Path and query.")->required();
  command->add_option("--rules", options->rules, "Rule file, instead of the configuration's.")
      ->type_name("FILE");
  command->add_option("--body", options->body, "The request's body, where its class hangs on it.");
  command->add_option("--actor-user", options->user, "Object id of the calling user.");
  command->add_option("--actor-app", options->app, "Id of the calling application.");
  command
      ->add_option("--actor-kind", options->kind,
                   "Without it: user where a user is given, app where only an app is.")
      ->check(CLI::IsMember({"user", "app", "unknown"}));
  command
      ->add_option("--group", options->groups,
                   "A group the user is in, which no call tells of; may be repeated.")
      ->allow_extra_args(false);
  command->add_option("--role", options->roles, "A role of the caller; may be repeated.")
      ->allow_extra_args(false);
  command
      ->add_option("--mailbox", options->mailbox,
                   "A name of the mailbox (address, object id); may be repeated. Without it: "
                   "the path's own key.")
      ->check(mailbox_problem)
      ->allow_extra_args(false);
  command
      ->add_option("--own-mailbox", options->own_mailbox,
                   "Whether the mailbox is the calling user's. Without it: what the path tells.")
      ->check(CLI::IsMember({"true", "false"}));
  command->add_option("--folder", options->folder, "Folder; without it: the path's.");
  add_item_options(*command, *options);
  command->add_option("--source-ip", options->source_ip, "Address the call comes from.")
      ->check(ip_problem);
  command->add_option("--at", options->at, "Time of the call (RFC 3339); without it: now.");
  command->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->footer("Facts that are not given are unknown, and unknown facts restrict.");
  runs(command, invocation, options, run_explain);
}

}  // namespace holdfast::cli
