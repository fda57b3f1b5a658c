// Keeps the rules in force: offers what this proxy's files have become, and follows the generation
// that is active in the database, which is the same for all replicas.
//
//   RuleWatcher watcher(store, log, generations, options, clock);   // looks from now on
//   watcher.reload();                                               // now: on SIGHUP
//
// Files are an offer when they are not what they were when this proxy last looked (it remembers in
// the database, over restarts), or, of a proxy that is new, when nobody has offered them before.
// What loosens nothing, and anything where one person is enough, is activated by the record that
// offers it; else it waits for an admin, but for the names that lists gained, which are activated
// first (tightened.h). Whatever this proxy's own files are, it decides by the bytes of the active
// generation.
//
// What does not load, and an offer that the audit log cannot take, changes nothing, is logged as an
// error once for each reason, and is tried again until it works: a list may arrive after the file
// that names it. A list that has become older than its max_age is logged as an error once; the
// rules already restrict by then.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "approval/generations_postgres.h"
#include "approval/rule_store.h"
#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::approval {

struct RuleWatcherOptions {
  std::string path;  // The rule file.
  Uuid writer;       // This proxy, over restarts.
  PeopleNeeded people = PeopleNeeded::kTwo;
  std::chrono::milliseconds interval{0};  // Between two looks at the files; 0: none by itself.
};

// Every method may be called from any thread.
class RuleWatcher {
 public:
  // Store, log, generations and clock must outlive the watcher, and nobody else may use the
  // generations.
  RuleWatcher(RuleStore& store, audit::AuditLog& log, Generations& generations,
              RuleWatcherOptions options, const Clock& clock);
  ~RuleWatcher();
  RuleWatcher(const RuleWatcher&) = delete;
  RuleWatcher& operator=(const RuleWatcher&) = delete;

  // Has the files read again, changed or not. The answer, which nobody need wait for, comes when a
  // record of what is new is durable; an error is what was logged.
  std::future<Status> reload();

 private:
  // All but reload() and the destructor are the thread's: it alone reads, asks and waits.
  void run();
  void look();
  void answer_reloads();
  Status read_again();
  Status read_files();
  Status offer(const RuleSet& own);
  // Lets what lists of `own` restrict take effect, where `own` itself has to wait. True: another
  // generation is active now.
  Result<bool> tighten(const RuleSet& own, const Generations::Standing& standing);
  void note_difference(const RuleSet& own, const Generations::Standing& standing);
  // Whether there is nothing to offer.
  bool is_known(const RuleSet& own, const Generations::Standing& standing) const;
  Result<Generation> load(std::int64_t number);
  void follow();
  Status take(const Generations::InForce& now);
  Status recover(const Generations::InForce& now);
  Status append(nlohmann::json change);
  void note_stale_lists();
  std::string look_of_all() const;

  RuleStore& store_;
  audit::AuditLog& log_;
  Generations& generations_;
  const RuleWatcherOptions options_;
  const Clock& clock_;
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  std::vector<std::promise<Status>> reloads_ HOLDFAST_GUARDED_BY(mutex_);  // Not answered yet.
  // Of the thread:
  std::vector<std::string> list_files_;   // That the own rules name.
  std::string seen_;                      // What the files looked like before the load.
  std::string failure_ = "not read yet";  // Empty: the last load worked.
  std::string follow_failure_;
  std::string recover_failure_;
  // Between the own files and what is in force: their generation, its state, the active one.
  std::tuple<std::int64_t, std::string, std::int64_t> difference_;
  Generations::InForce followed_;
  SteadyTime look_at_;
  std::set<std::string> stale_;
  std::thread thread_;
};

}  // namespace holdfast::approval
