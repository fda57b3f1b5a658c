#include "approval/build_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "approval/condition_builder.h"
#include "approval/requirements.h"
#include "base/encoding.h"
#include "graph/mailbox_key.h"

namespace holdfast::approval {
namespace {

constexpr std::chrono::hours kLimitPerMax{31 * 24};

using config::YamlDocument;
using nlohmann::json;

Effect effect_of(const json& rule) {
  if (rule["effect"] == "allow") return Effect::kAllow;
  if (rule["effect"] == "break_glass") return Effect::kBreakGlass;
  return rule["effect"] == "require_approval" ? Effect::kRequireApproval : Effect::kDeny;
}

std::optional<std::chrono::seconds> optional_duration(const json& map, const char* key) {
  if (!map.contains(key)) return std::nullopt;
  return parse_duration(map[key].get<std::string>());
}

// Who may approve, by the name that the file gives them.
using Approvers = std::map<std::string, std::string>;

Approvers read_approvers(const json& document) {
  Approvers approvers;
  if (!document.contains("approvers")) return approvers;
  for (const auto& [name, item] : document["approvers"].items()) {
    approvers[name] = ascii_lower(item["group"].get<std::string>());
  }
  return approvers;
}

// A rule that names nobody leaves it to any one approver.
std::vector<ApprovalStage> read_stages(const json& rule, const std::string& pointer,
                                       const Approvers& approvers, Problems& problems) {
  std::vector<ApprovalStage> stages;
  const json approve = rule.value("approve", json::object());
  const json written = approve.value("stages", json::array());
  for (std::size_t i = 0; i < written.size(); ++i) {
    const std::string from = written[i]["from"].get<std::string>();
    const auto found = approvers.find(from);
    const std::string place = pointer + "/approve/stages/" + std::to_string(i) + "/from";
    if (found == approvers.end()) {
      problems.add(place, "unknown approvers \"" + from + "\"");
      continue;
    }
    const auto named_again = [&](const ApprovalStage& stage) {
      return stage.group == found->second;
    };
    if (std::ranges::any_of(stages, named_again)) {
      problems.add(place, "the same people in two stages: give one stage a higher count");
    }
    stages.push_back({.from = from, .group = found->second, .count = written[i].value("count", 1)});
  }
  if (stages.empty()) stages.push_back({});
  return stages;
}

bool may_need_approval(const Rule& rule) {
  return rule.effect == Effect::kRequireApproval ||
         (rule.limit && rule.limit->over == Effect::kRequireApproval);
}

void read_requirements(const json& rule, const std::string& pointer, const Approvers& approvers,
                       Rule& result, Problems& problems) {
  if (result.effect == Effect::kRequireApproval) {
    result.approve.stages = read_stages(rule, pointer, approvers, problems);
  }
  const bool breaks_glass = result.effect == Effect::kBreakGlass;
  if (rule.contains("require") && !may_need_approval(result) && !breaks_glass) {
    problems.add(pointer + "/require",
                 "require is only for rules with effect: require_approval or break_glass");
  }
  if (rule.contains("approve") && !may_need_approval(result)) {
    problems.add(pointer + "/approve", "approve is only for rules with effect: require_approval");
  }
  if (rule.contains("review_within") && !breaks_glass) {
    problems.add(pointer + "/review_within",
                 "review_within is only for rules with effect: break_glass");
  }
  if (breaks_glass) {
    result.require.justification_min = 1;  // Never without a reason.
    result.review_within = optional_duration(rule, "review_within").value_or(kReviewWithin);
  }
  if (rule.contains("approve")) {
    result.approve.decide_within = optional_duration(rule["approve"], "decide_within");
    result.approve.use_within = optional_duration(rule["approve"], "use_within");
  }
  if (!rule.contains("require")) return;
  const json& require = rule["require"];
  result.require.justification_min =
      require.value("justification", result.require.justification_min);
  if (!require.contains("ticket")) return;
  const std::string pattern = require["ticket"].get<std::string>();
  if (const Status valid = check_ticket_pattern(pattern); !valid.ok()) {
    problems.add(pointer + "/require/ticket",
                 "\"" + pattern + "\" is not a regular expression (RE2): " + valid.error().message);
  }
  result.require.ticket_patterns.push_back(pattern);
}

void read_limit(const json& rule, const std::string& pointer, const Approvers& approvers,
                Rule& result, Problems& problems) {
  if (!rule.contains("limit")) return;
  const json& written = rule["limit"];
  const std::string place = pointer + "/limit";
  if (result.effect == Effect::kDeny || result.effect == Effect::kBreakGlass) {
    problems.add(place, "limit is for rules with effect: allow or require_approval");
    return;
  }
  Limit limit{.count = written["count"].get<int>(),
              .per = parse_duration(written["per"].get<std::string>())};
  const std::string by = written.value("by", "actor");
  if (by == "mailbox") limit.by = LimitBy::kMailbox;
  if (by == "rule") limit.by = LimitBy::kRule;
  if (written.contains("distinct_mailboxes")) {
    limit.distinct_mailboxes = written["distinct_mailboxes"].get<int>();
    if (limit.by == LimitBy::kMailbox) {
      problems.add(place + "/distinct_mailboxes", "by mailbox there is only one");
    }
  }
  if (written.value("over", "deny") == "require_approval") {
    limit.over = Effect::kRequireApproval;
    if (result.effect == Effect::kAllow) {
      result.approve.stages = read_stages(rule, pointer, approvers, problems);
    } else {
      problems.add(place + "/over", "this rule's calls need approval anyway");
    }
  }
  if (limit.per > kLimitPerMax) problems.add(place + "/per", "at most 31d");
  result.limit = limit;
}

Rule build_rule(const json& rule, const std::string& pointer, const Approvers& approvers,
                ConditionBuilder& conditions, Problems& problems) {
  Rule result;
  result.id = rule["id"].get<std::string>();
  result.title = rule.value("title", result.id);
  result.effect = effect_of(rule);
  if (rule.value("mode", "enforce") == "monitor") result.mode = Mode::kMonitor;
  if (rule.contains("when")) result.when = conditions.build(rule["when"], pointer + "/when");
  // A rule out of its time does not match, as if that were one of its conditions.
  if (auto valid = conditions.validity(rule, pointer)) result.when.push_back(*std::move(valid));
  if (rule.contains("unless")) {
    result.unless = conditions.build(rule["unless"], pointer + "/unless");
  }
  read_limit(rule, pointer, approvers, result, problems);
  read_requirements(rule, pointer, approvers, result, problems);
  return result;
}

}  // namespace

std::string Problems::text() const {
  std::string text;
  for (const std::string& line : lines_) text += (text.empty() ? "" : "\n") + line;
  return text;
}

BuiltRules build_rules(const YamlDocument& document, const ListReader& read, WallTime now,
                       Problems& problems) {
  BuiltRules built;
  RuleSetData& data = built.data;
  data.revision = document.value["revision"].get<std::string>();
  ConditionBuilder conditions(document, read, now, problems);
  std::map<std::string, std::string> first_pointer_of;
  const Approvers approvers = read_approvers(document.value);
  const json& rules = document.value["rules"];
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string pointer = "/rules/" + std::to_string(i);
    data.rules.push_back(build_rule(rules[i], pointer, approvers, conditions, problems));
    const std::string& id = data.rules.back().id;
    const auto [first, is_new] = first_pointer_of.emplace(id, pointer);
    if (!is_new) {
      problems.add(pointer + "/id",
                   "duplicate rule id \"" + id + "\" (also " + first->second + ")");
    }
  }
  data.asks_about_items = conditions.any_about_items();
  data.list_files = conditions.list_files();
  data.lists = conditions.take_lists();
  data.calendars = conditions.take_calendars();
  built.list_sources = conditions.take_sources();
  return built;
}

unsigned weekday_index(const std::string& name) {
  constexpr std::array<std::string_view, 7> kNames = {"mon", "tue", "wed", "thu",
                                                      "fri", "sat", "sun"};
  return static_cast<unsigned>(std::find(kNames.begin(), kNames.end(), name) - kNames.begin());
}

std::chrono::seconds parse_duration(const std::string& text) {
  const long count = std::stol(text);  // The schema allows six digits and a unit.
  switch (text.back()) {
    case 'm':
      return std::chrono::minutes(count);
    case 'h':
      return std::chrono::hours(count);
    case 'd':
      return std::chrono::hours(24 * count);
    default:
      return std::chrono::seconds(count);
  }
}

bool looks_like_domain(std::string_view name) {
  constexpr std::string_view kNoBreakSpace = "\xC2\xA0";
  if (name.find(kNoBreakSpace) != std::string_view::npos) return false;
  char before = '.';
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool in_label = byte >= 0x80 || std::isalnum(byte) != 0 || c == '-' || c == '_';
    if (!in_label && (c != '.' || before == '.')) return false;
    before = c;
  }
  return before != '.';
}

bool looks_like_mailbox(const std::string& name) {
  if (has_control_characters(name)) return false;
  const graph::MailboxKey key = graph::parse_mailbox_key(graph::smtp_address(name));
  if (key.kind != graph::MailboxKeyKind::kName) return true;
  const std::size_t at = key.id.find('@');
  return at != std::string::npos && at > 0 &&
         key.id.find_first_of(" \t<>,;") == std::string::npos &&
         looks_like_domain(std::string_view(key.id).substr(at + 1));
}

std::string normal_mailbox(const std::string& name) {
  const std::string address = graph::smtp_address(name);
  return graph::parse_mailbox_key(address.empty() ? name : address).id;
}

MailboxNames mailbox_named(std::vector<std::string> names) {
  for (std::string& name : names) name = normal_mailbox(name);
  return {std::move(names)};
}

}  // namespace holdfast::approval
