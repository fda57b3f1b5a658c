// What a call's facts are compared by: names in lower case and the address as bytes, each made once
// for the whole call, when a condition first asks for it.
//
// Of one call and one thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "approval/facts.h"
#include "approval/network.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

// nullopt: unknown. A known fact may have none.
using Names = std::optional<std::vector<std::string>>;

class FactNames {
 public:
  // `facts` outlive it.
  explicit FactNames(const Facts& facts) : facts_(facts) {}

  const Facts& facts() const { return facts_; }
  const Names& of(NamedFact fact) const;
  const Names& domains() const;  // Of the mailbox's addresses; unknown where it has none.
  const std::optional<IpAddress>& address() const;
  // Of all mailboxes that are known to lose data, and whether those are all and all have names.
  const std::vector<std::string>& affected() const;
  bool all_affected_known() const;

 private:
  const Facts& facts_;
  mutable std::array<std::optional<Names>, kNamedFacts> named_;
  mutable std::optional<Names> domains_;
  mutable std::optional<std::optional<IpAddress>> address_;
  mutable std::optional<std::vector<std::string>> affected_;
};

}  // namespace holdfast::approval
