// The rules in force, and their replacement while calls are being decided.
//
//   RuleStore store(path, *load_rules(path, clock.now()));
//   Decision d = decide(store.current(), facts);      // any thread
//   Status s = store.reload(clock.now());             // on a signal or a timer
//
// A reload takes effect whole or not at all: a file that does not load leaves the old rules in
// force. Nothing is kept on disk.
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

  // Reads the rule file and its lists again. On failure: load_rules' error, and nothing changed.
  // Two reloads at once are each correct; the one that finishes last stays.
  Status reload(WallTime now);

 private:
  const std::string path_;
  mutable Mutex mutex_;
  RuleSet rules_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::approval
