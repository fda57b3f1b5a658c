#include "approval/loosening.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "approval/approval.h"
#include "approval/rule_model.h"

namespace holdfast::approval {
namespace {

// How what is true afterwards lies to what was true before. kWider: wherever it was true it still
// is, and perhaps elsewhere too.
enum class Relation { kSame, kWider, kNarrower, kOther };

Relation both(Relation a, Relation b) {
  if (a == Relation::kSame) return b;
  return b == Relation::kSame || a == b ? a : Relation::kOther;
}

Relation opposite(Relation relation) {
  if (relation == Relation::kWider) return Relation::kNarrower;
  return relation == Relation::kNarrower ? Relation::kWider : relation;
}

bool is_wider_or_same(Relation relation) {
  return relation == Relation::kSame || relation == Relation::kWider;
}

bool is_narrower_or_same(Relation relation) {
  return relation == Relation::kSame || relation == Relation::kNarrower;
}

Relation relation(bool keeps_all, bool adds_nothing) {
  if (keeps_all) return adds_nothing ? Relation::kSame : Relation::kWider;
  return adds_nothing ? Relation::kNarrower : Relation::kOther;
}

template <class T>
std::vector<T> sorted(std::vector<T> values) {
  std::ranges::sort(values);
  const auto rest = std::ranges::unique(values);
  values.erase(rest.begin(), rest.end());
  return values;
}

template <class T>
Relation as_sets(const std::vector<T>& before, const std::vector<T>& after) {
  const std::vector<T> old_values = sorted(before);
  const std::vector<T> new_values = sorted(after);
  return relation(std::ranges::includes(new_values, old_values),
                  std::ranges::includes(old_values, new_values));
}

// Schedules have no order.
Relation as_sets(const std::vector<Schedule>& before, const std::vector<Schedule>& after) {
  const auto has_all = [](const std::vector<Schedule>& all, const std::vector<Schedule>& wanted) {
    return std::ranges::all_of(
        wanted, [&](const Schedule& one) { return std::ranges::find(all, one) != all.end(); });
  };
  return relation(has_all(after, before), has_all(before, after));
}

// Of ranges that are open where there is no bound.
template <class T>
Relation as_ranges(const std::optional<T>& from, const std::optional<T>& to,
                   const std::optional<T>& new_from, const std::optional<T>& new_to) {
  const auto starts_no_later = [](const std::optional<T>& a, const std::optional<T>& b) {
    return !a || (b && *a <= *b);
  };
  const auto ends_no_earlier = [](const std::optional<T>& a, const std::optional<T>& b) {
    return !a || (b && *a >= *b);
  };
  return relation(starts_no_later(new_from, from) && ends_no_earlier(new_to, to),
                  starts_no_later(from, new_from) && ends_no_earlier(to, new_to));
}

class Comparison {
 public:
  Comparison(const RuleSetData& before, const RuleSetData& after) : before_(before), after_(after) {
    for (const RuleList& list : before.lists) old_lists_[list.name] = &list;
    for (const RuleList& list : after.lists) {
      const auto old = old_lists_.find(list.name);
      if (old != old_lists_.end()) changes_[list.name] = change_of(*old->second, list);
    }
  }

  Relation conditions(const std::vector<Condition>& before,
                      const std::vector<Condition>& after) const {
    if (!has_each_key_once(before) || !has_each_key_once(after)) return Relation::kOther;
    Relation all = Relation::kSame;
    for (const Condition& old : before) {
      const auto now = std::ranges::find(after, old.key, &Condition::key);
      all = both(all, now == after.end() ? Relation::kWider : condition(old, *now));
    }
    for (const Condition& now : after) {
      const bool is_new = std::ranges::find(before, now.key, &Condition::key) == before.end();
      if (is_new) all = both(all, Relation::kNarrower);
    }
    return all;
  }

  const RuleSetData& after() const { return after_; }

 private:
  static bool has_each_key_once(const std::vector<Condition>& conditions) {
    return std::ranges::all_of(conditions, [&](const Condition& one) {
      return std::ranges::count(conditions, one.key, &Condition::key) == 1;
    });
  }

  static Relation change_of(const RuleList& before, const RuleList& after) {
    const auto& [names, exact, networks] = *before.content;
    const auto& [new_names, new_exact, new_networks] = *after.content;
    return both(as_sets(names, new_names),
                both(as_sets(exact, new_exact), as_sets(networks.sorted(), new_networks.sorted())));
  }

  std::vector<std::string> names(const RuleSetData& data,
                                 const std::vector<std::size_t>& lists) const {
    std::vector<std::string> found;
    found.reserve(lists.size());
    for (const std::size_t list : lists) found.push_back(data.lists[list].name);
    return found;
  }

  Relation lists(const std::vector<std::size_t>& before,
                 const std::vector<std::size_t>& after) const {
    const std::vector<std::string> old_names = names(before_, before);
    const std::vector<std::string> new_names = names(after_, after);
    Relation all = as_sets(old_names, new_names);
    for (const std::string& name : new_names) {
      const auto change = changes_.find(name);
      const bool is_in_both = std::ranges::find(old_names, name) != old_names.end();
      if (is_in_both && change != changes_.end()) all = both(all, change->second);
    }
    return all;
  }

  Relation condition(const Condition& before, const Condition& after) const {
    if (before.test.index() != after.test.index()) return Relation::kOther;
    return std::visit(
        [&]<class Test>(const Test& old) { return test(old, std::get<Test>(after.test)); },
        before.test);
  }

  Relation test(const NameTest& before, const NameTest& after) const {
    if (before.fact != after.fact) return Relation::kOther;
    return both(as_sets(before.values, after.values), lists(before.lists, after.lists));
  }
  Relation test(const AffectedTest& before, const AffectedTest& after) const {
    return both(as_sets(before.values, after.values), lists(before.lists, after.lists));
  }
  Relation test(const NetworkTest& before, const NetworkTest& after) const {
    return both(as_sets(before.networks, after.networks), lists(before.lists, after.lists));
  }
  static Relation test(const DomainTest& before, const DomainTest& after) {
    return as_sets(before.domains, after.domains);
  }
  static Relation test(const OwnMailboxTest& before, const OwnMailboxTest& after) {
    return before.own == after.own ? Relation::kSame : Relation::kOther;
  }
  static Relation test(const TimeTest& before, const TimeTest& after) {
    return as_sets(before.any_of, after.any_of);
  }
  static Relation test(const RangeTest& before, const RangeTest& after) {
    if (before.fact != after.fact) return Relation::kOther;
    return as_ranges(before.min, before.max, after.min, after.max);
  }
  static Relation test(const ValidityTest& before, const ValidityTest& after) {
    return as_ranges(before.from, before.to, after.from, after.to);
  }

  const RuleSetData& before_;
  const RuleSetData& after_;
  std::map<std::string, const RuleList*> old_lists_;
  std::map<std::string, Relation> changes_;  // Of lists that are in both.
};

// What calls the rule is about.
Relation calls(const Comparison& comparison, const Rule& before, const Rule& after) {
  Relation exempt = Relation::kSame;
  // Nothing exempts where there is no condition, instead of everything.
  if (before.unless.empty() != after.unless.empty()) {
    exempt = before.unless.empty() ? Relation::kWider : Relation::kNarrower;
  } else if (!before.unless.empty()) {
    exempt = comparison.conditions(before.unless, after.unless);
  }
  return both(comparison.conditions(before.when, after.when), opposite(exempt));
}

// Where other rules say nothing, the default holds; where they do, the shortest of all.
bool is_no_longer(const std::optional<std::chrono::seconds>& before,
                  const std::optional<std::chrono::seconds>& after, std::chrono::seconds none) {
  if (!after) return !before;
  return *after <= before.value_or(none);
}

// What an approval takes. (A member that is added does not compile here until it is judged.)
bool asks_no_less(const Rule& before, const Rule& after) {
  const auto& [justification, patterns] = before.require;
  const auto& [new_justification, new_patterns] = after.require;
  const auto& [stages, decide, use] = before.approve;
  const auto& [new_stages, new_decide, new_use] = after.approve;
  return new_justification >= justification && is_wider_or_same(as_sets(patterns, new_patterns)) &&
         covers(new_stages, stages) && is_no_longer(decide, new_decide, kDecideWithin) &&
         is_no_longer(use, new_use, kUseWithin);
}

// Whether a group is asked under another name than before: officers may be members by it.
bool renames_approvers(const Rule& before, const Rule& after) {
  return std::ranges::any_of(before.approve.stages, [&](const ApprovalStage& old) {
    return std::ranges::any_of(after.approve.stages, [&](const ApprovalStage& now) {
      return now.group == old.group && now.from != old.from;
    });
  });
}

bool limits_no_less(const Rule& before, const Rule& after) {
  if (!before.limit) return true;
  if (!after.limit) return false;
  const auto& [count, per, by, mailboxes, over] = *before.limit;
  const auto& [new_count, new_per, new_by, new_mailboxes, new_over] = *after.limit;
  const bool as_few = new_count <= count && new_per >= per && new_by == by &&
                      (!mailboxes || (new_mailboxes && *new_mailboxes <= *mailboxes));
  if (!as_few || new_over == Effect::kDeny) return as_few;
  return over == Effect::kRequireApproval && asks_no_less(before, after);
}

bool is_enforced(const Rule* rule) {
  return rule != nullptr && rule->mode == Mode::kEnforce;
}

bool can_be_too_old(const std::vector<std::size_t>& lists, const RuleSetData& data) {
  return std::ranges::any_of(
      lists, [&](std::size_t list) { return data.lists[list].max_age.has_value(); });
}

// Of every call the action and the time are known; of the other facts any can be unknown.
bool can_be_unknown(const Condition& condition, const RuleSetData& data) {
  if (std::holds_alternative<TimeTest>(condition.test)) return false;
  if (std::holds_alternative<ValidityTest>(condition.test)) return false;
  const auto* test = std::get_if<NameTest>(&condition.test);
  return test == nullptr || test->fact != NamedFact::kAction || can_be_too_old(test->lists, data);
}

bool can_be_in_doubt(const Rule& rule, const RuleSetData& data) {
  const auto any_unknown = [&](const std::vector<Condition>& conditions) {
    return std::ranges::any_of(conditions, [&](const auto& c) { return can_be_unknown(c, data); });
  };
  return any_unknown(rule.when) || any_unknown(rule.unless);
}

// What is looser of a rule that is enforced before and after; empty: nothing.
std::string looser(const Comparison& comparison, const Rule& before, const Rule& after) {
  // A member that is added does not compile here until it is judged.
  [[maybe_unused]] const auto& [id, title, effect, mode, when, unless, require, approve, limit,
                                review_within] = after;
  const Relation about = calls(comparison, before, after);
  if (effect < before.effect) return "it is not as strict as before";
  if (effect == Effect::kDeny) {
    return is_wider_or_same(about) ? "" : "it may deny fewer calls than before";
  }
  if (!limits_no_less(before, after)) return "its limit may let more calls pass than before";
  if (before.effect == Effect::kAllow && effect == Effect::kAllow) {
    // A limit restricts what other rules allow as well.
    const bool no_more = before.limit ? about == Relation::kSame : is_narrower_or_same(about);
    return no_more ? "" : "it may allow more calls than before, or count fewer";
  }
  if (about != Relation::kSame) return "it asks for approval of other calls than before";
  if (before.effect == Effect::kAllow) {
    // In doubt an allow rule does not match, and an approval rule does.
    const bool opens = can_be_in_doubt(after, comparison.after());
    return opens ? "it opens calls to approval where facts are not known" : "";
  }
  if (asks_no_less(before, after)) return "";
  return renames_approvers(before, after)
             ? "its approvers go by another name, and others may go by it too"
             : "an approval may take less, or last longer, than before";
}

bool opens_a_way(const Rule* rule) {
  return is_enforced(rule) && rule->effect == Effect::kBreakGlass;
}

// A break_glass rule that is about no other calls, asks no less and is reviewed no later.
bool breaks_no_more(const Comparison& comparison, const Rule& before, const Rule& after) {
  return is_narrower_or_same(calls(comparison, before, after)) && asks_no_less(before, after) &&
         after.review_within <= before.review_within;
}

std::string looser(const Comparison& comparison, const Rule* before, const Rule* after) {
  if (opens_a_way(after)) {
    // Whatever it was before does not hold any more.
    const bool no_more = opens_a_way(before) && breaks_no_more(comparison, *before, *after);
    return no_more ? "" : "it opens a way past approvals, or a wider one";
  }
  // A way past approvals that is gone restricted nothing.
  if (opens_a_way(before)) before = nullptr;
  if (is_enforced(before) && is_enforced(after)) return looser(comparison, *before, *after);
  if (is_enforced(before)) {
    const bool only_allowed = before->effect == Effect::kAllow && !before->limit;
    return only_allowed ? "" : "it does not restrict any more";
  }
  if (!is_enforced(after) || after->effect == Effect::kDeny) return "";
  return after->effect == Effect::kAllow ? "it allows calls" : "it opens calls to approval";
}

bool is_believed_longer(const RuleList& before, const RuleList& after) {
  return before.max_age && (!after.max_age || *after.max_age > *before.max_age);
}

}  // namespace

std::vector<std::string> loosenings(const RuleSet& before, const RuleSet& after) {
  const Comparison comparison(before.data(), after.data());
  std::map<std::string, std::pair<const Rule*, const Rule*>> rules;
  for (const Rule& rule : before.data().rules) rules[rule.id].first = &rule;
  for (const Rule& rule : after.data().rules) rules[rule.id].second = &rule;
  std::vector<std::string> sentences;
  for (const auto& [id, rule] : rules) {
    const std::string what = looser(comparison, rule.first, rule.second);
    if (!what.empty()) sentences.push_back("rule " + id + ": " + what);
  }
  for (const RuleList& list : after.data().lists) {
    const auto old = std::ranges::find(before.data().lists, list.name, &RuleList::name);
    if (old != before.data().lists.end() && is_believed_longer(*old, list)) {
      sentences.push_back("list " + list.name + ": it is believed for longer than before");
    }
  }
  return sentences;
}

}  // namespace holdfast::approval
