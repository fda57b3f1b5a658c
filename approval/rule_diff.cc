#include "approval/rule_diff.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "approval/rule_model.h"

namespace holdfast::approval {
namespace {

constexpr std::size_t kNamesShown = 5;

using Sentences = std::vector<std::string>;

std::string joined(const Sentences& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::string in_words(Effect effect) {
  switch (effect) {
    case Effect::kAllow:
      return "allows";
    case Effect::kRequireApproval:
      return "asks for approval of";
    case Effect::kBreakGlass:
      return "lets break the glass for";
    case Effect::kDeny:
      break;
  }
  return "denies";
}

std::string in_words(const Condition& condition) {
  return condition.key + " is " + condition.wants;
}

std::string in_words(const std::vector<Condition>& conditions) {
  Sentences all;
  for (const Condition& condition : conditions) all.push_back(in_words(condition));
  return joined(all, " and ");
}

std::string in_words(std::chrono::seconds time) {
  const long seconds = time.count();
  if (seconds % 86400 == 0) return std::to_string(seconds / 86400) + "d";
  if (seconds % 3600 == 0) return std::to_string(seconds / 3600) + "h";
  if (seconds % 60 == 0) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds) + "s";
}

std::string in_words(const std::optional<std::chrono::seconds>& time) {
  return time ? in_words(*time) : "the default";
}

std::string in_words(const std::optional<Limit>& limit) {
  if (!limit) return "no limit";
  std::string text = std::to_string(limit->count) + " calls";
  if (limit->distinct_mailboxes) {
    text += " on " + std::to_string(*limit->distinct_mailboxes) + " mailboxes";
  }
  text += " in " + in_words(limit->per);
  if (limit->by != LimitBy::kRule) text += " for each " + std::string(to_string(limit->by));
  return text + (limit->over == Effect::kDeny ? ", none beyond" : ", with approval beyond");
}

std::string in_words(const std::vector<ApprovalStage>& stages) {
  Sentences all;
  for (const ApprovalStage& stage : stages) {
    all.push_back(std::to_string(stage.count) + " of " +
                  (stage.from.empty() ? "any approvers" : stage.from + " (" + stage.group + ")"));
  }
  return all.empty() ? "nobody" : joined(all, " and ");
}

std::string in_words(const Requirements& require) {
  std::string text = std::to_string(require.justification_min) + " characters of justification";
  if (require.ticket_patterns.empty()) return text;
  return text + " and a ticket of " + joined(require.ticket_patterns, " and ");
}

std::string in_words(const std::vector<BreakGlass>& ways) {
  Sentences all;
  for (const BreakGlass& way : ways) {
    all.push_back(way.rule.id + " with " + in_words(way.require) + ", to be reviewed within " +
                  in_words(way.review_within));
  }
  return joined(all, "; ");
}

std::string in_words(const std::vector<TakenLimit>& limits) {
  Sentences all;
  for (const TakenLimit& taken : limits) {
    all.push_back(taken.rule.id + " with " + in_words(std::optional(taken.limit)));
    if (taken.limit.over == Effect::kDeny) continue;
    all.back() += " by " + in_words(taken.approve.stages) + " and " + in_words(taken.require);
  }
  return joined(all, "; ");
}

std::string in_words(const std::vector<RuleMatch>& matches) {
  Sentences ids;
  ids.reserve(matches.size());
  for (const RuleMatch& match : matches) ids.push_back(match.id);
  return joined(ids, ", ");
}

std::string in_words(const Rule& rule) {
  std::string text = in_words(rule.effect);
  text += rule.when.empty() ? " every call" : " calls where " + in_words(rule.when);
  if (!rule.unless.empty()) text += ", unless " + in_words(rule.unless);
  if (rule.limit) text += ", within " + in_words(rule.limit);
  if (rule.effect == Effect::kBreakGlass) {
    text += ", to be reviewed within " + in_words(rule.review_within);
  }
  if (rule.mode == Mode::kMonitor) text += " (monitored only)";
  return text;
}

// The one of that key, which a rule has once at most; nullptr: there is none.
const Condition* with_key(const std::vector<Condition>& all, const std::string& key) {
  const auto found = std::ranges::find(all, key, &Condition::key);
  return found == all.end() ? nullptr : &*found;
}

void differ(const std::string& what, const std::string& was, const std::string& is,
            Sentences& sentences) {
  const auto shown = [](const std::string& text) { return text.empty() ? "none" : text; };
  if (was != is) sentences.push_back(what + " is " + shown(is) + "; it was " + shown(was));
}

class RuleChanges {
 public:
  RuleChanges(const Rule& before, const Rule& after) : before_(before), after_(after) {}

  Sentences take() && {
    if (before_.effect != after_.effect) {
      add("now " + in_words(after_.effect) + " calls; it " + in_words(before_.effect) +
          " them before");
    }
    if (before_.mode != after_.mode) {
      add(after_.mode == Mode::kMonitor ? "is only monitored now, and has no effect"
                                        : "takes effect now; it was only monitored before");
    }
    compare(before_.when, after_.when,
            {.added = "holds only where", .changed = "holds where", .gone = "no longer asks that"});
    compare(before_.unless, after_.unless,
            {.added = "exempts only where",
             .changed = "exempts where",
             .gone = "no longer exempts by"});
    differ("its limit", in_words(before_.limit), in_words(after_.limit));
    differ("who approves", in_words(before_.approve.stages), in_words(after_.approve.stages));
    differ("the time to decide", in_words(before_.approve.decide_within),
           in_words(after_.approve.decide_within));
    differ("the time to use an approval", in_words(before_.approve.use_within),
           in_words(after_.approve.use_within));
    differ("the time to review", in_words(before_.review_within), in_words(after_.review_within));
    differ("the shortest justification", std::to_string(before_.require.justification_min),
           std::to_string(after_.require.justification_min));
    differ("the ticket's pattern", joined(before_.require.ticket_patterns, " "),
           joined(after_.require.ticket_patterns, " "));
    differ("its title", before_.title, after_.title);
    return std::move(sentences_);
  }

 private:
  void add(const std::string& what) { sentences_.push_back("rule " + after_.id + ": " + what); }

  void differ(const std::string& what, const std::string& was, const std::string& is) {
    approval::differ("rule " + after_.id + ": " + what, was, is, sentences_);
  }

  struct Verbs {
    std::string added;
    std::string changed;
    std::string gone;
  };

  // By their words, which say all but what lists and calendars are: changes of those are told once,
  // not for each rule.
  void compare(const std::vector<Condition>& before, const std::vector<Condition>& after,
               const Verbs& verbs) {
    for (const Condition& condition : after) {
      const Condition* old = with_key(before, condition.key);
      if (old == nullptr) {
        add(verbs.added + " " + in_words(condition) + ", which is new");
      } else if (old->wants != condition.wants) {
        add(verbs.changed + " " + in_words(condition) + "; it was " + old->wants);
      }
    }
    for (const Condition& condition : before) {
      if (with_key(after, condition.key) == nullptr) add(verbs.gone + " " + in_words(condition));
    }
  }

  const Rule& before_;
  const Rule& after_;
  Sentences sentences_;
};

template <class T, class Name>
std::map<std::string, const T*> by_name(const std::vector<T>& all, const Name& name) {
  std::map<std::string, const T*> named;
  for (const T& one : all) named[name(one)] = &one;
  return named;
}

// In words: "2 entries (a@x.com, b@x.com)".
std::string counted(const Sentences& names) {
  Sentences shown(names.begin(),
                  names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesShown)));
  if (names.size() > kNamesShown) shown.emplace_back("…");
  return std::to_string(names.size()) + (names.size() == 1 ? " entry" : " entries") + " (" +
         joined(shown, ", ") + ")";
}

// A list that no rule names has no entries here, like an empty one.
void compare_entries(const std::string& list, const Sentences& before, const Sentences& after,
                     Sentences& sentences) {
  if (after.empty() && !before.empty()) {
    sentences.push_back("list " + list + ": nothing is compared with it any more; it had " +
                        counted(before));
    return;
  }
  if (before.empty() && !after.empty()) {
    sentences.push_back("list " + list + ": calls are compared with it now, " + counted(after));
    return;
  }
  Sentences added;
  Sentences removed;
  std::ranges::set_difference(after, before, std::back_inserter(added));
  std::ranges::set_difference(before, after, std::back_inserter(removed));
  if (!added.empty()) sentences.push_back("list " + list + ": gained " + counted(added));
  if (!removed.empty()) sentences.push_back("list " + list + ": lost " + counted(removed));
}

// As rules compare with them; networks by their number only would hide an exchange.
Sentences entries_of(const RuleList& list) {
  Sentences entries = list.content->names;
  entries.insert(entries.end(), list.content->exact.begin(), list.content->exact.end());
  for (const Network& network : list.content->networks.sorted())
    entries.push_back(to_string(network));
  std::ranges::sort(entries);
  return entries;
}

// Where its entries stand, and how long they count.
void compare_sources(const RuleList& before, const RuleList& after, Sentences& sentences) {
  const auto place = [](const RuleList& list) {
    return list.file.empty() ? "the rule file itself" : "the file " + list.file;
  };
  const auto time = [](const RuleList& list) {
    return list.max_age ? in_words(*list.max_age) : "unlimited";
  };
  if (before.file != after.file) {
    sentences.push_back("list " + after.name + ": its entries are in " + place(after) +
                        " now; they were in " + place(before));
  }
  if (before.max_age != after.max_age) {
    sentences.push_back("list " + after.name + ": the time that its file is believed is " +
                        time(after) + "; it was " + time(before));
  }
}

void compare_lists(const RuleSetData& before, const RuleSetData& after, Sentences& sentences) {
  const auto name = [](const RuleList& list) { return list.name; };
  const auto old_lists = by_name(before.lists, name);
  const auto new_lists = by_name(after.lists, name);
  for (const auto& [id, list] : new_lists) {
    const auto old = old_lists.find(id);
    const Sentences entries = entries_of(*list);
    if (old == old_lists.end()) {
      sentences.push_back("list " + id + " is new: " + counted(entries));
    } else {
      compare_sources(*old->second, *list, sentences);
      compare_entries(id, entries_of(*old->second), entries, sentences);
    }
  }
  for (const auto& [id, list] : old_lists) {
    if (!new_lists.contains(id)) sentences.push_back("list " + id + " is gone");
  }
}

void compare_calendars(const RuleSetData& before, const RuleSetData& after, Sentences& sentences) {
  for (const auto& [name, schedule] : after.calendars) {
    const auto old = before.calendars.find(name);
    if (old == before.calendars.end()) {
      sentences.push_back("calendar " + name + " is new: " + to_string(schedule));
    } else {
      differ("calendar " + name, to_string(old->second), to_string(schedule), sentences);
    }
  }
  for (const auto& [name, schedule] : before.calendars) {
    if (after.calendars.contains(name)) continue;
    sentences.push_back("calendar " + name + " is gone: it was " + to_string(schedule));
  }
}

}  // namespace

std::vector<std::string> describe_changes(const RuleSet& before, const RuleSet& after) {
  Sentences sentences;
  const auto name = [](const Rule& rule) { return rule.id; };
  const auto old_rules = by_name(before.data().rules, name);
  const auto new_rules = by_name(after.data().rules, name);
  for (const auto& [id, rule] : new_rules) {
    const auto old = old_rules.find(id);
    if (old == old_rules.end()) {
      sentences.push_back("rule " + id + " is new: it " + in_words(*rule));
      continue;
    }
    Sentences changes = RuleChanges(*old->second, *rule).take();
    std::ranges::move(changes, std::back_inserter(sentences));
  }
  for (const auto& [id, rule] : old_rules) {
    if (!new_rules.contains(id)) {
      sentences.push_back("rule " + id + " is gone: it " + in_words(*rule) + " before");
    }
  }
  compare_lists(before.data(), after.data(), sentences);
  compare_calendars(before.data(), after.data(), sentences);
  return sentences;
}

std::vector<std::string> describe_changes(const Decision& before, const Decision& after) {
  Sentences sentences;
  const auto compare = [&](const std::string& what, const std::string& was, const std::string& is) {
    differ(what, was, is, sentences);
  };
  compare("the effect", std::string(to_string(before.effect)),
          std::string(to_string(after.effect)));
  compare("what decides", in_words(before.by), in_words(after.by));
  if (before.effect != after.effect || after.effect == Effect::kDeny) return sentences;
  compare("the limit", in_words(before.limits), in_words(after.limits));
  if (after.effect != Effect::kRequireApproval) return sentences;
  const ApprovalTerms& old_terms = before.approve;
  const ApprovalTerms& terms = after.approve;
  compare("who approves", in_words(old_terms.stages), in_words(terms.stages));
  compare("the time to decide", in_words(old_terms.decide_within.value_or(kDecideWithin)),
          in_words(terms.decide_within.value_or(kDecideWithin)));
  compare("the time to use an approval", in_words(old_terms.use_within.value_or(kUseWithin)),
          in_words(terms.use_within.value_or(kUseWithin)));
  compare("what the caller brings", in_words(before.require), in_words(after.require));
  compare("who may break the glass", in_words(before.break_glass), in_words(after.break_glass));
  return sentences;
}

}  // namespace holdfast::approval
