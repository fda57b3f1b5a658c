#include "approval/decide.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "approval/evaluate.h"
#include "approval/rule_index.h"
#include "approval/rule_model.h"

namespace holdfast::approval {
namespace {

void shorten(std::optional<std::chrono::seconds>& term,
             const std::optional<std::chrono::seconds>& other) {
  if (other && (!term || *other < *term)) term = other;
}

// All that either asks for; where both ask the same people, the more of them. One group under two
// names may be other people: officers may be members by either.
void add_stages(std::vector<ApprovalStage>& all, const std::vector<ApprovalStage>& more) {
  for (const ApprovalStage& stage : more) {
    const auto same = std::ranges::find_if(all, [&](const ApprovalStage& known) {
      return known.group == stage.group && known.from == stage.from;
    });
    if (same == all.end()) {
      all.push_back(stage);
    } else {
      same->count = std::max(same->count, stage.count);
    }
  }
}

void add_terms(ApprovalTerms& all, const ApprovalTerms& more) {
  add_stages(all.stages, more.stages);
  shorten(all.decide_within, more.decide_within);
  shorten(all.use_within, more.use_within);
}

void add_papers(Requirements& all, const Requirements& more) {
  all.justification_min = std::max(all.justification_min, more.justification_min);
  all.ticket_patterns.insert(all.ticket_patterns.end(), more.ticket_patterns.begin(),
                             more.ticket_patterns.end());
}

// What the rule asks for of the call.
void add_requirements(Decision& decision, const RuleMatch& rule, const Requirements& require,
                      const ApprovalTerms& approve) {
  add_papers(decision.require, require);
  add_terms(decision.approve, approve);
  if (!rule.unknown_facts.empty()) return;
  add_papers(decision.plain_require, require);
  add_terms(decision.plain_approve, approve);
}

void sort_each_once(std::vector<std::string>& texts) {
  std::ranges::sort(texts);
  const auto repeats = std::ranges::unique(texts);
  texts.erase(repeats.begin(), repeats.end());
}

void sort_by_id(std::vector<RuleMatch>& matches) {
  std::sort(matches.begin(), matches.end(),
            [](const RuleMatch& a, const RuleMatch& b) { return a.id < b.id; });
}

bool may_be_about(const RuleResult& result) {
  return result.when != Truth::kFalse && result.unless != Truth::kTrue;
}

// One spelling for what several rules asked for.
void settle_stages(std::vector<ApprovalStage>& stages) {
  // One approval by anybody is among those that named people give.
  if (stages.size() > 1) std::erase_if(stages, [](const auto& s) { return s.group.empty(); });
  std::ranges::sort(stages, {}, &ApprovalStage::from);
}

void settle_requirements(Decision& decision) {
  sort_each_once(decision.require.ticket_patterns);
  sort_each_once(decision.plain_require.ticket_patterns);
  settle_stages(decision.approve.stages);
  settle_stages(decision.plain_approve.stages);
}

// An approval opens what is beyond limits that ask for one, and nothing that is denied takes any.
void settle_limits(Decision& decision) {
  std::erase_if(decision.limits, [&](const TakenLimit& taken) {
    return decision.effect == Effect::kDeny || (decision.effect == Effect::kRequireApproval &&
                                                taken.limit.over == Effect::kRequireApproval);
  });
  std::ranges::sort(decision.limits, {},
                    [](const TakenLimit& taken) -> const std::string& { return taken.rule.id; });
}

// Whether some rule opens the call for sure, with an approval or without.
bool is_plainly_open(const std::vector<RuleMatch>& matched) {
  return std::ranges::any_of(matched, [](const RuleMatch& match) {
    return (match.effect == Effect::kAllow || match.effect == Effect::kRequireApproval) &&
           match.unknown_facts.empty();
  });
}

// Nothing opens what is denied, and nobody goes past people who are asked because of a doubt.
void settle_break_glass(Decision& decision) {
  if (decision.effect == Effect::kDeny || !is_plainly_open(decision.matched)) {
    decision.break_glass.clear();
  }
  std::ranges::sort(decision.break_glass, {},
                    [](const BreakGlass& way) -> const std::string& { return way.rule.id; });
}

// An enforced rule that matched.
void add_match(Decision& decision, const Rule& rule, RuleMatch match) {
  if (rule.effect == Effect::kRequireApproval) {
    add_requirements(decision, match, rule.require, rule.approve);
  }
  if (rule.effect == Effect::kBreakGlass) {
    decision.break_glass.push_back({match, rule.require, rule.review_within});
  }
  decision.matched.push_back(std::move(match));
}

// What all that was added comes to.
void conclude(Decision& decision) {
  sort_by_id(decision.matched);
  sort_by_id(decision.monitored);
  sort_each_once(decision.in_doubt);

  decision.effect = strictest_effect(decision.matched);
  std::copy_if(decision.matched.begin(), decision.matched.end(), std::back_inserter(decision.by),
               [&](const RuleMatch& match) { return match.effect == decision.effect; });

  settle_break_glass(decision);
  settle_limits(decision);
  settle_requirements(decision);
}

// Every rule but those that plainly do not match.
template <class Visit>
void visit_rules(const RuleSetData& data, const FactNames& call, const Visit& visit) {
  if (data.index == nullptr) {
    for (const Rule& rule : data.rules) visit(rule);
    return;
  }
  for (const std::uint32_t position : data.index->candidates(data, call)) {
    visit(data.rules[position]);
  }
}

bool is_item_fact(std::string_view fact) {
  static constexpr std::array<std::string_view, 7> kFacts = {
      "affected_mailboxes", "categories", "folder", "message_age", "recipients", "sender", "size"};
  return std::ranges::find(kFacts, fact) != kFacts.end();
}

}  // namespace

Effect strictest_effect(const std::vector<RuleMatch>& matched) {
  // Effects are declared from the loosest to the strictest.
  Effect strictest = Effect::kAllow;
  bool spoken = false;
  for (const RuleMatch& match : matched) {
    if (match.effect == Effect::kBreakGlass) continue;
    strictest = std::max(strictest, match.effect);
    spoken = true;
  }
  return spoken ? strictest : Effect::kDeny;
}

std::vector<std::string> item_facts_in_doubt(const RuleSet& rules, const Facts& facts) {
  std::vector<std::string> in_doubt;
  if (!rules.data().asks_about_items) return in_doubt;
  const FactNames call(facts);
  visit_rules(rules.data(), call, [&](const Rule& rule) {
    for (std::string& fact : evaluate(rule, rules.data(), call).unknown_facts) {
      if (is_item_fact(fact)) in_doubt.push_back(std::move(fact));
    }
  });
  sort_each_once(in_doubt);
  return in_doubt;
}

Decision decide(const RuleSet& rules, const Facts& facts) {
  Decision decision;
  const FactNames call(facts);
  visit_rules(rules.data(), call, [&](const Rule& rule) {
    RuleResult result = evaluate(rule, rules.data(), call);
    const bool takes_limit = rule.limit && rule.mode == Mode::kEnforce && may_be_about(result);
    // A way past approvals decides nothing.
    if (rule.mode == Mode::kEnforce && rule.effect != Effect::kBreakGlass) {
      decision.in_doubt.insert(decision.in_doubt.end(), result.unknown_facts.begin(),
                               result.unknown_facts.end());
    }
    if (!result.matched && !takes_limit) return;
    RuleMatch match{rule.id, rule.title, rule.effect, std::move(result.unknown_facts)};
    // Not knowing whether a rule is about a call frees the call from no limit.
    if (takes_limit) {
      decision.limits.push_back({match, *rule.limit, rule.require, rule.approve});
    }
    if (!result.matched) return;
    if (rule.mode == Mode::kMonitor) {
      decision.monitored.push_back(std::move(match));
      return;
    }
    add_match(decision, rule, std::move(match));
  });
  conclude(decision);
  return decision;
}

Decision decision_by(const RuleSet& rules, std::vector<RuleMatch> matched,
                     const std::vector<std::string>& limited_by) {
  std::map<std::string_view, const Rule*> by_id;
  for (const Rule& rule : rules.data().rules) by_id[rule.id] = &rule;
  Decision decision;
  for (RuleMatch& match : matched) {
    if (const auto rule = by_id.find(match.id); rule != by_id.end()) {
      add_match(decision, *rule->second, std::move(match));
    }
  }
  for (const std::string& id : limited_by) {
    const auto found = by_id.find(id);
    if (found == by_id.end() || !found->second->limit) continue;
    const Rule& rule = *found->second;
    decision.limits.push_back(
        {{rule.id, rule.title, rule.effect, {}}, *rule.limit, rule.require, rule.approve});
  }
  conclude(decision);
  return decision;
}

Decision over_limit(Decision decision, const TakenLimit& spent) {
  const TakenLimit limit = spent;  // It may be one of those that go.
  decision.effect = Effect::kRequireApproval;
  decision.by = {limit.rule};
  decision.spent.push_back(limit);
  add_requirements(decision, limit.rule, limit.require, limit.approve);
  settle_limits(decision);
  settle_requirements(decision);
  return decision;
}

}  // namespace holdfast::approval
