#include "approval/rule_index.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "approval/evaluate.h"

namespace holdfast::approval {
namespace {

// Folders are compared in three values even where both are known.
const NameTest* lookup_test(const Condition& condition) {
  const auto* test = std::get_if<NameTest>(&condition.test);
  return test != nullptr && test->fact != NamedFact::kFolder ? test : nullptr;
}

// A name for what a test asks, so that those that many rules share can be told.
std::string signature(const NameTest& test) {
  std::string text = std::to_string(static_cast<int>(test.fact));
  for (const std::string& value : test.values) text += '\n' + value;
  for (const std::size_t list : test.lists) text += "\n\n" + std::to_string(list);
  return text;
}

}  // namespace

RuleIndex::RuleIndex(const RuleSetData& data) {
  std::map<std::string, std::size_t> sharing;
  for (const Rule& rule : data.rules) {
    for (const Condition& condition : rule.when) {
      if (const NameTest* test = lookup_test(condition)) ++sharing[signature(*test)];
    }
  }
  for (std::uint32_t i = 0; i < data.rules.size(); ++i) {
    const NameTest* rarest = nullptr;
    std::size_t fewest = 0;
    for (const Condition& condition : data.rules[i].when) {
      const NameTest* test = lookup_test(condition);
      if (test == nullptr) continue;
      const std::size_t count = sharing[signature(*test)];
      if (rarest != nullptr && count >= fewest) continue;
      rarest = test;
      fewest = count;
    }
    if (rarest == nullptr) {
      always_.push_back(i);
    } else {
      add(*rarest, i);
    }
  }
  for (std::uint32_t i = 0; i < data.lists.size(); ++i) {
    for (const std::string& name : data.lists[i].content->names) lists_of_[name].push_back(i);
  }
}

void RuleIndex::add(const NameTest& test, std::uint32_t rule) {
  ByFact& fact = facts_[static_cast<std::size_t>(test.fact)];
  fact.all.push_back(rule);
  for (const std::string& value : test.values) fact.by_value[value].push_back(rule);
  for (const std::size_t list : test.lists) {
    auto found = std::ranges::find(fact.by_list, list, &std::pair<std::size_t, Positions>::first);
    if (found == fact.by_list.end()) {
      fact.by_list.emplace_back(list, Positions());
      found = fact.by_list.end() - 1;
    }
    found->second.push_back(rule);
  }
}

std::vector<std::uint32_t> RuleIndex::candidates(const RuleSetData& data,
                                                 const Facts& facts) const {
  Positions found = always_;
  const auto take = [&found](const Positions& more) {
    found.insert(found.end(), more.begin(), more.end());
  };
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    const ByFact& fact = facts_[i];
    if (fact.all.empty()) continue;
    const std::optional<std::vector<std::string>> names =
        names_of(static_cast<NamedFact>(i), facts);
    if (!names) {
      take(fact.all);
      continue;
    }
    for (const std::string& name : *names) {
      const auto rules = fact.by_value.find(name);
      if (rules != fact.by_value.end()) take(rules->second);
    }
    if (!fact.by_list.empty()) add_listed(fact, data, facts.now, *names, found);
  }
  std::ranges::sort(found);
  const auto repeats = std::ranges::unique(found);
  found.erase(repeats.begin(), repeats.end());
  return found;
}

void RuleIndex::add_listed(const ByFact& fact, const RuleSetData& data, WallTime now,
                           const std::vector<std::string>& names, Positions& found) const {
  Positions holding;
  for (const std::string& name : names) {
    const auto lists = lists_of_.find(name);
    if (lists != lists_of_.end()) {
      holding.insert(holding.end(), lists->second.begin(), lists->second.end());
    }
  }
  for (const auto& [list, rules] : fact.by_list) {
    if (is_stale(data.lists[list], now) ||
        std::ranges::find(holding, static_cast<std::uint32_t>(list)) != holding.end()) {
      found.insert(found.end(), rules.begin(), rules.end());
    }
  }
}

}  // namespace holdfast::approval
