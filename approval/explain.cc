#include "approval/explain.h"

#include <algorithm>
#include <optional>

namespace holdfast::approval {
namespace {

using nlohmann::json;

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::string shown(const std::optional<std::string>& value) {
  return value && !value->empty() ? *value : "unknown";
}

std::string shown(const std::optional<std::vector<std::string>>& values) {
  if (!values) return "unknown";
  return values->empty() ? "none" : join(*values, ", ");
}

std::string shown_mailbox(const Facts& facts) {
  if (!facts.mailbox || facts.mailbox->names.empty()) return "unknown";
  return join(facts.mailbox->names, ", ");
}

std::string shown_name(NamedFact fact, const Facts& facts) {
  switch (fact) {
    case NamedFact::kAction:
      return shown(std::optional(facts.action));
    case NamedFact::kResource:
      return shown(std::optional(facts.resource));
    case NamedFact::kUser:
      return facts.actor_kind == identity::ActorKind::kApp ? "none" : shown(facts.user);
    case NamedFact::kApp:
      return shown(facts.app);
    case NamedFact::kGroup:
      return shown(facts.groups);
    case NamedFact::kRole:
      return shown(facts.roles);
    case NamedFact::kKind:
      return std::string(identity::to_string(facts.actor_kind));
    case NamedFact::kMailbox:
      return shown_mailbox(facts);
    case NamedFact::kFolder:
      return shown(facts.folder);
    case NamedFact::kSender:
      return shown(facts.item.sender);
    case NamedFact::kRecipients:
      return shown(facts.item.recipients);
    case NamedFact::kCategories:
      return shown(facts.item.categories);
  }
  return "unknown";
}

std::string shown_affected(const Facts& facts) {
  std::vector<std::string> mailboxes;
  mailboxes.reserve(facts.affected.known.size() + 1);
  for (const MailboxNames& mailbox : facts.affected.known) {
    mailboxes.push_back(mailbox.names.empty() ? "unknown" : join(mailbox.names, ", "));
  }
  if (!facts.affected.complete) {
    mailboxes.emplace_back(mailboxes.empty() ? "unknown" : "others unknown");
  }
  return mailboxes.empty() ? "none" : join(mailboxes, "; ");
}

std::string shown_measure(MeasuredFact fact, const Facts& facts) {
  const ItemFacts& item = facts.item;
  if (fact == MeasuredFact::kSize) {
    return item.size_bytes ? std::to_string(*item.size_bytes) + " bytes" : "unknown";
  }
  return item.message_age ? std::to_string(item.message_age->count()) + "s" : "unknown";
}

std::string shown_own(const Facts& facts) {
  if (facts.actor_kind == identity::ActorKind::kApp) return "false";
  return facts.own_mailbox ? (*facts.own_mailbox ? "true" : "false") : "unknown";
}

std::string shown_now(const Facts& facts) {
  return facts.now == WallTime{} ? "unknown" : to_rfc3339(facts.now);
}

// What the fact a test is about is, in words.
struct FactText {
  const Facts& facts;
  std::string operator()(const NameTest& test) const { return shown_name(test.fact, facts); }
  std::string operator()(const DomainTest&) const { return shown_mailbox(facts); }
  std::string operator()(const AffectedTest&) const { return shown_affected(facts); }
  std::string operator()(const OwnMailboxTest&) const { return shown_own(facts); }
  std::string operator()(const RangeTest& test) const { return shown_measure(test.fact, facts); }
  std::string operator()(const NetworkTest&) const { return shown(facts.source_ip); }
  std::string operator()(const TimeTest&) const { return shown_now(facts); }
  std::string operator()(const ValidityTest&) const { return shown_now(facts); }
};

std::vector<ConditionOutcome> outcomes_of(const std::vector<Condition>& conditions,
                                          const RuleSetData& data, const Facts& facts) {
  const FactNames call(facts);
  std::vector<ConditionOutcome> outcomes;
  for (const Condition& condition : conditions) {
    const ConditionResult result = evaluate(condition, data, call);
    std::string value = std::visit(FactText{facts}, condition.test);
    if (result.unknown_fact.starts_with("list ")) value += ", " + result.unknown_fact + " too old";
    outcomes.push_back({condition.key, condition.wants, std::move(value), result.truth});
  }
  return outcomes;
}

RuleMatch match_of(const RuleOutcome& rule) {
  return {rule.id, rule.title, rule.effect, rule.result.unknown_facts};
}

// The answer if, of the enforced rules, exactly those matched that do now and `accepts` accepts,
// and `also`.
template <class Accepts>
Effect effect_where(const std::vector<RuleOutcome>& rules, const RuleOutcome* also,
                    const Accepts& accepts) {
  std::vector<RuleMatch> matched;
  for (const RuleOutcome& rule : rules) {
    if (rule.mode == Mode::kMonitor || &rule == also) continue;
    if (rule.result.matched && accepts(rule)) matched.push_back(match_of(rule));
  }
  if (also != nullptr) matched.push_back(match_of(*also));
  return strictest_effect(matched);
}

std::string need(const ConditionOutcome& outcome, bool holds) {
  return outcome.condition + (holds ? " is " : " is not ") + outcome.wants + " (now " +
         outcome.value + ")";
}

// Makes the rule match: every condition in the way has to hold, and the exemption must not.
std::vector<std::string> needs_to_match(const RuleOutcome& rule) {
  std::vector<std::string> needs;
  const bool unknown_is_enough =
      rule.effect == Effect::kDeny || rule.effect == Effect::kRequireApproval;
  for (const ConditionOutcome& outcome : rule.when) {
    const bool in_the_way =
        outcome.truth == Truth::kFalse || (outcome.truth == Truth::kUnknown && !unknown_is_enough);
    if (in_the_way) needs.push_back(need(outcome, true));
  }
  const bool exempt = rule.result.unless == Truth::kTrue ||
                      (rule.result.unless == Truth::kUnknown && !unknown_is_enough);
  if (!exempt) return needs;
  std::vector<std::string> any;
  for (const ConditionOutcome& outcome : rule.unless) {
    if (outcome.truth != Truth::kFalse) any.push_back(need(outcome, false));
  }
  needs.push_back(join(any, ", or "));
  return needs;
}

// Whether all of `wanted` is asked for in `asked` too, in the same words.
bool asks_all(const std::vector<ConditionOutcome>& asked,
              const std::vector<ConditionOutcome>& wanted) {
  return std::ranges::all_of(wanted, [&](const ConditionOutcome& one) {
    return std::ranges::any_of(asked, [&](const ConditionOutcome& other) {
      return other.condition == one.condition && other.wants == one.wants;
    });
  });
}

// Makes the rule not match: any one condition failing does, or the exemption holding. Empty when
// nothing can: the rule is about every call, or `kept`, which is to match, would go with it.
std::string need_to_miss(const RuleOutcome& rule, const RuleOutcome* kept = nullptr) {
  std::vector<std::string> any;
  any.reserve(rule.when.size());
  for (const ConditionOutcome& outcome : rule.when) {
    if (kept == nullptr || !asks_all(kept->when, {outcome})) any.push_back(need(outcome, false));
  }
  std::vector<std::string> exemption;
  for (const ConditionOutcome& outcome : rule.unless) {
    if (outcome.truth != Truth::kTrue) exemption.push_back(need(outcome, true));
  }
  const bool exempts_both =
      kept != nullptr && !kept->unless.empty() && asks_all(rule.unless, kept->unless);
  if (!exemption.empty() && !exempts_both) any.push_back(join(exemption, " and "));
  return join(any, ", or ");
}

bool takes_part(const RuleOutcome& rule) {
  return rule.mode == Mode::kEnforce && rule.effect != Effect::kBreakGlass;
}

// Makes the rule decide: it matches, and nothing stricter does. nullopt: no way to that.
std::optional<Change> change_to(const RuleOutcome& rule, const std::vector<RuleOutcome>& rules) {
  Change change{rule.effect, {}, {}, {}};
  if (!rule.result.matched) {
    change.matching.push_back(rule.id);
    change.needs = needs_to_match(rule);
  }
  for (const RuleOutcome& other : rules) {
    if (!takes_part(other) || !other.result.matched || other.effect <= rule.effect) continue;
    change.not_matching.push_back(other.id);
    change.needs.push_back(need_to_miss(other, &rule));
    if (change.needs.back().empty()) return std::nullopt;
  }
  return change;
}

// What takes several rules at once, for an answer looser than `left`, which fewer bring about.
void add_joint_changes(const std::vector<RuleOutcome>& rules, Effect left,
                       std::vector<Change>& changes) {
  for (const bool matched : {true, false}) {
    for (const RuleOutcome& rule : rules) {
      if (!takes_part(rule) || rule.result.matched != matched || rule.effect >= left) continue;
      const std::optional<Change> change = change_to(rule, rules);
      if (!change) continue;
      changes.push_back(*change);
      if (matched) left = rule.effect;
    }
  }
}

std::vector<Change> changes_of(const Explanation& explanation) {
  std::vector<Change> changes;
  const std::vector<RuleOutcome>& rules = explanation.rules;
  const Effect effect = explanation.decision.effect;
  Change without;
  bool possible = true;
  for (const RuleOutcome& rule : rules) {
    if (rule.mode == Mode::kMonitor) continue;
    if (rule.result.matched && rule.effect == effect) {
      without.not_matching.push_back(rule.id);
      without.needs.push_back(need_to_miss(rule));
      possible = possible && !without.needs.back().empty();
      continue;
    }
    const Effect with = effect_where(rules, &rule, [](const RuleOutcome&) { return true; });
    if (with != effect) changes.push_back({with, {rule.id}, {}, needs_to_match(rule)});
  }
  if (!possible || without.not_matching.empty()) return changes;
  without.effect = effect_where(rules, nullptr,
                                [&](const RuleOutcome& other) { return other.effect != effect; });
  if (without.effect != effect) changes.push_back(without);
  add_joint_changes(rules, std::min(effect, without.effect), changes);
  return changes;
}

json to_json(const std::vector<ConditionOutcome>& outcomes) {
  json list = json::array();
  for (const ConditionOutcome& outcome : outcomes) {
    list.push_back({{"condition", outcome.condition},
                    {"wants", outcome.wants},
                    {"value", outcome.value},
                    {"truth", to_string(outcome.truth)}});
  }
  return list;
}

json to_json(const RuleOutcome& rule) {
  return {{"id", rule.id},
          {"title", rule.title},
          {"effect", to_string(rule.effect)},
          {"mode", rule.mode == Mode::kMonitor ? "monitor" : "enforce"},
          {"matched", rule.result.matched},
          {"when", to_json(rule.when)},
          {"unless", to_json(rule.unless)},
          {"unknown_facts", rule.result.unknown_facts}};
}

json to_json(const TakenLimit& taken) {
  json content = {{"rule", taken.rule.id},
                  {"count", taken.limit.count},
                  {"per_seconds", taken.limit.per.count()},
                  {"by", to_string(taken.limit.by)},
                  {"over", to_string(taken.limit.over)}};
  if (taken.limit.distinct_mailboxes) {
    content["distinct_mailboxes"] = *taken.limit.distinct_mailboxes;
  }
  return content;
}

json to_json(const Requirements& require) {
  return {{"justification", require.justification_min}, {"ticket", require.ticket_patterns}};
}

json to_json(const BreakGlass& way) {
  return {{"rule", way.rule.id},
          {"require", to_json(way.require)},
          {"review_within_seconds", way.review_within.count()}};
}

json seconds_or_null(const std::optional<std::chrono::seconds>& term) {
  return term ? json(term->count()) : json(nullptr);
}

}  // namespace

Explanation explain(const RuleSet& rules, const Facts& facts) {
  const RuleSetData& data = rules.data();
  Explanation explanation;
  explanation.decision = decide(rules, facts);
  for (const Rule& rule : data.rules) {
    explanation.rules.push_back(
        {rule.id, rule.title, rule.effect, rule.mode, evaluate(rule, data, FactNames(facts)),
         outcomes_of(rule.when, data, facts), outcomes_of(rule.unless, data, facts)});
  }
  std::sort(explanation.rules.begin(), explanation.rules.end(),
            [](const RuleOutcome& a, const RuleOutcome& b) { return a.id < b.id; });
  explanation.changes = changes_of(explanation);
  return explanation;
}

json to_json(const Explanation& explanation) {
  const Decision& decision = explanation.decision;
  json by = json::array();
  for (const RuleMatch& match : decision.by) by.push_back(match.id);
  json rules = json::array();
  for (const RuleOutcome& rule : explanation.rules) rules.push_back(to_json(rule));
  json limits = json::array();
  for (const TakenLimit& taken : decision.limits) limits.push_back(to_json(taken));
  json ways = json::array();
  for (const BreakGlass& way : decision.break_glass) ways.push_back(to_json(way));
  json changes = json::array();
  for (const Change& change : explanation.changes) {
    changes.push_back({{"effect", to_string(change.effect)},
                       {"matching", change.matching},
                       {"not_matching", change.not_matching},
                       {"needs", change.needs}});
  }
  return {{"effect", to_string(decision.effect)},
          {"by", std::move(by)},
          {"require", to_json(decision.require)},
          {"approve",
           {{"decide_within_seconds", seconds_or_null(decision.approve.decide_within)},
            {"use_within_seconds", seconds_or_null(decision.approve.use_within)}}},
          {"limits", std::move(limits)},
          {"break_glass", std::move(ways)},
          {"rules", std::move(rules)},
          {"changes", std::move(changes)}};
}

}  // namespace holdfast::approval
