// Which rules a call can be about at all, found without looking at each: a file may hold a thousand
// rules and lists of a hundred thousand names.
//
// Of every rule one condition is looked up by value: a rule whose condition plainly does not hold
// matches nothing and needs no look. Rules without such a condition are always looked at, as are
// those whose condition hangs on an unknown fact or on a list that is too old.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "approval/facts.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

class RuleIndex {
 public:
  // Of the rules and the lists' names; how old a list is is asked for anew each time.
  explicit RuleIndex(const RuleSetData& data);

  // Positions of the rules to look at, ascending. `data` is what the index was built of, but for
  // the lists' ages. Safe from any thread.
  std::vector<std::uint32_t> candidates(const RuleSetData& data, const Facts& facts) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Positions = std::vector<std::uint32_t>;
  using ByName = std::unordered_map<std::string, Positions, Hash, std::equal_to<>>;

  // The rules that are looked up by one fact.
  struct ByFact {
    ByName by_value;
    std::vector<std::pair<std::size_t, Positions>> by_list;  // A list's position, and its rules.
    Positions all;
  };

  void add(const NameTest& test, std::uint32_t rule);
  void add_listed(const ByFact& fact, const RuleSetData& data, WallTime now,
                  const std::vector<std::string>& names, Positions& found) const;

  std::array<ByFact, kNamedFacts> facts_;
  Positions always_;
  ByName lists_of_;  // The lists that hold a name.
};

}  // namespace holdfast::approval
