// Keeps the rules in force up with their files.
//
//   RuleWatcher watcher(store, log, clock, std::chrono::seconds(5));   // looks from now on
//   watcher.reload();                                                  // now: on SIGHUP
//
// Other rules take effect once a `rules` record that names them is durable: where the audit log
// cannot take it, the old ones stay in force, and nothing is lost by waiting.
//
// What does not load changes nothing, is logged as an error once for each reason, and is tried
// again at every look until it loads: a list may arrive after the file that names it. A list that
// has become older than its max_age is logged as an error once; the rules already restrict by then.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "approval/rule_store.h"
#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::approval {

// Every method may be called from any thread.
class RuleWatcher {
 public:
  // Store, log and clock must outlive the watcher. `interval` 0: never looks by itself.
  RuleWatcher(RuleStore& store, audit::AuditLog& log, const Clock& clock,
              std::chrono::milliseconds interval);
  ~RuleWatcher();
  RuleWatcher(const RuleWatcher&) = delete;
  RuleWatcher& operator=(const RuleWatcher&) = delete;

  // Reads the files again, changed or not. The error is what was logged. Waits for the record,
  // about as long as an append may take.
  Status reload();

  // One look: reloads where a file has changed since the last load, or that load failed. Returns
  // whether other rules are in force now.
  bool look();

 private:
  Status reload_locked() HOLDFAST_REQUIRES(mutex_);
  Status take_in_force(RuleSet rules);
  void note_stale_lists() HOLDFAST_REQUIRES(mutex_);
  void run(std::chrono::milliseconds interval);

  RuleStore& store_;
  audit::AuditLog& log_;
  const Clock& clock_;
  Mutex mutex_;
  std::string seen_ HOLDFAST_GUARDED_BY(mutex_);     // What the files looked like before the load.
  std::string failure_ HOLDFAST_GUARDED_BY(mutex_);  // Why the last load failed; empty: it did not.
  std::set<std::string> stale_ HOLDFAST_GUARDED_BY(mutex_);
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  holdfast::Condition stopped_;
  std::thread thread_;
};

}  // namespace holdfast::approval
