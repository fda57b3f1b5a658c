#include "approval/rule_store.h"

#include <utility>

namespace holdfast::approval {

RuleStore::RuleStore(std::string path, RuleSet initial)
    : path_(std::move(path)), rules_(std::move(initial)) {}

RuleSet RuleStore::current() const {
  MutexLock lock(mutex_);
  return rules_;
}

void RuleStore::replace(RuleSet rules) {
  MutexLock lock(mutex_);
  // The old rules end with the argument, after the lock.
  std::swap(rules_, rules);
}

Status RuleStore::reload(WallTime now) {
  Result<RuleSet> rules = load_rules(path_, now);
  if (!rules.ok()) return rules.error();
  replace(*std::move(rules));
  return {};
}

}  // namespace holdfast::approval
