// Settles operations whose outcome is unknown by evidence: asks Graph whether it still has the
// item, and records what it says. What Graph does not tell for certain stays open and is asked
// again, less and less often. One process at a time does this.
//
// The loop's thread calls step(); the rest is for any thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "audit/unsettled.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "http/client.h"
#include "identity/graph_credential.h"
#include "officers/finding.h"
#include "officers/task_runner.h"

namespace holdfast::officers {

struct ReconcileOptions {
  http::ClientOptions graph;
  std::chrono::milliseconds after{600'000};  // Younger unknowns are left alone.
  std::chrono::milliseconds question_timeout{10'000};
  // Between two questions about one operation: doubled each time, up to the second.
  std::chrono::milliseconds retry_min{60'000};
  std::chrono::milliseconds retry_max{3'600'000};
};

class Reconciler {
 public:
  // `log` and `clock` must outlive this.
  Reconciler(ReconcileOptions options, std::unique_ptr<audit::UnsettledSource> source,
             std::unique_ptr<identity::GraphCredential> credential, audit::AuditLog& log,
             const Clock& clock);

  // Looks at some operations; true: more are left. Errors: those of the database. What keeps Graph
  // from being asked is no error of a step, but the problem().
  Result<bool> step();

  void interrupt();

  // Why Graph could not be asked last time; empty: it could.
  std::string problem() const;

 private:
  struct Due {
    const audit::Unsettled* operation;
    Question question;
    std::optional<Finding> finding;
    WallTime asked_at;
  };
  struct Retry {
    SteadyTime at;
    std::chrono::milliseconds pause;
  };

  void settle(const std::vector<audit::Unsettled>& found);
  bool is_due(const audit::Unsettled& operation, SteadyTime now) const;
  void put_off(const audit::Unsettled& operation, SteadyTime now);
  Task<void> ask(std::vector<Due>& due);
  void record(const Due& due);
  void note_problem(std::string why);

  const ReconcileOptions options_;
  audit::AuditLog& log_;
  const Clock& clock_;

  // The loop's thread's own.
  const std::unique_ptr<audit::UnsettledSource> source_;
  const std::unique_ptr<identity::GraphCredential> credential_;
  std::int64_t next_ = 0;  // Where the next visit begins.
  std::map<Uuid, Retry> retries_;

  TaskRunner runner_;
  mutable Mutex mutex_;
  std::string problem_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::officers
