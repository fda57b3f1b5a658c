// Which rules a call can be about at all, found without looking at each: a file may hold a thousand
// rules and lists of a hundred thousand names.
//
// A rule that has a condition which plainly does not hold matches nothing and needs no look.
// Conditions on names, domains, affected mailboxes and networks are looked up by value; all others,
// and those that hang on an unknown fact or on a list that is too old, are taken to hold.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "approval/fact_names.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

class RuleIndex {
 public:
  // Of the rules and the lists' names; how old a list is is asked for anew each time.
  explicit RuleIndex(const RuleSetData& data);

  // Positions of the rules to look at, ascending. `data` is what the index was built of, but for
  // the lists' ages. Safe from any thread.
  std::vector<std::uint32_t> candidates(const RuleSetData& data, const FactNames& call) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class Value>
  using ByText = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
  using Rules = std::vector<std::uint64_t>;  // One bit a rule.

  // The rules by what their first condition of one kind is.
  struct Lookup {
    ByText<Rules> by_value;
    std::vector<std::pair<std::size_t, Rules>> by_list;  // A list's position, and its rules.
    Rules others;                                        // Rules without such a condition.
    bool is_used = false;
  };

  // One for each fact that has names, and for domains, affected mailboxes and networks.
  static constexpr std::size_t kDomain = kNamedFacts;
  static constexpr std::size_t kAffected = kNamedFacts + 1;
  static constexpr std::size_t kNetwork = kNamedFacts + 2;

  void add(const Condition& condition, std::uint32_t rule);
  void add(std::size_t kind, const std::vector<std::string>& values,
           const std::vector<std::size_t>& lists, std::uint32_t rule);
  std::string text_of(const Network& network);
  Names texts_of(std::size_t kind, const FactNames& call) const;
  void add_listed(const Lookup& lookup, const RuleSetData& data, WallTime now,
                  const std::vector<std::string>& texts, Rules& found) const;

  std::array<Lookup, kNamedFacts + 3> lookups_;
  ByText<std::vector<std::uint32_t>> lists_of_;  // The lists that hold a name or a network.
  std::set<unsigned> prefix_bits_;               // Of all networks.
  Rules all_;
};

}  // namespace holdfast::approval
