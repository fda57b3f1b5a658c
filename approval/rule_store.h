// The rules in force, and their replacement while calls are being decided.
//
//   RuleStore store(path, *load_rules(path, clock.now()));
//   Decision d = decide(store.current(), facts);      // any thread
//   store.replace(*load_rules(path, clock.now()));    // rule_watcher.h does
//
// Rules are replaced whole. Nothing is kept on disk.
#pragma once

#include <string>

#include "approval/rules.h"
#include "base/mutex.h"

namespace holdfast::approval {

// Every method may be called from any thread.
class RuleStore {
 public:
  RuleStore(std::string path, RuleSet initial);

  const std::string& path() const { return path_; }

  // A snapshot; it stays valid and unchanged for as long as it is held. Costs a shared_ptr copy.
  RuleSet current() const;

  void replace(RuleSet rules);

 private:
  const std::string path_;
  mutable Mutex mutex_;
  RuleSet rules_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::approval
