// A place where the appends of several writers meet.
#pragma once

#include "tests/integration/database.h"

namespace holdfast::testing {

// Keeps an object locked that appends take, so that they stand there together until it lets them
// go.
class HeldLock {
 public:
  // `lock`: the statement that takes it.
  HeldLock(const std::string& url, const std::string& lock)
      : connection_(url), lock_(connection_), looker_(url) {
    lock_.exec(lock);
  }
  // Whether so many appends came to wait for a lock, this one or each other's.
  bool is_met_by(int appends) {
    return eventually([&] {
      pqxx::nontransaction transaction(looker_);
      return transaction
                 .exec(
                     "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                     "wait_event_type = 'Lock' AND query LIKE '%holdfast.append_%'")
                 .front()[0]
                 .as<int>() == appends;
    });
  }
  void release() { lock_.commit(); }

 private:
  pqxx::connection connection_;
  pqxx::work lock_;
  pqxx::connection looker_;
};

// Where appends wait when they have done all but write.
constexpr const char* kLogHead = "SELECT FROM holdfast.log_head FOR UPDATE";
// Where they wait before they take a step of an approval.
constexpr const char* kApprovalSteps =
    "SELECT pg_advisory_xact_lock(hashtextextended('holdfast.approvals', 0))";

}  // namespace holdfast::testing
