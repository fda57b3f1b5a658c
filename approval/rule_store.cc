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

}  // namespace holdfast::approval
