// Reviews in PostgreSQL: read by the threads of a QueryWorkers, and watched by a loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "approval/review_source.h"
#include "audit/queries_postgres.h"
#include "audit/query_workers_postgres.h"

namespace holdfast::approval {

class PostgresReviewSource final : public ReviewSource {
 public:
  // The workers must outlive it.
  explicit PostgresReviewSource(audit::QueryWorkers& workers) : workers_(workers) {}

  Task<Result<std::optional<Review>>> find(Uuid code) override;
  Task<Result<std::vector<Review>>> list(ReviewFilter filter) override;

 private:
  audit::QueryWorkers& workers_;
};

// Notes which reviews have become overdue, and knows how many are. Several processes may; each
// review is noted once. step() is for one thread, the rest for any.
class ReviewWatch {
 public:
  explicit ReviewWatch(audit::DatabaseAccess access);
  ~ReviewWatch();

  // Blocks; never more to do at once. Errors: kUnavailable, kTimeout, kInternal.
  Result<bool> step();
  void interrupt();  // For good.

  // As of the last step.
  std::int64_t overdue() const { return overdue_; }
  std::int64_t oldest_s() const { return oldest_s_; }  // Since the oldest became overdue.

 private:
  const std::unique_ptr<audit::DatabaseSession> session_;
  std::atomic<std::int64_t> overdue_{0};
  std::atomic<std::int64_t> oldest_s_{0};
};

}  // namespace holdfast::approval
