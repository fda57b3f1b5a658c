// Retention in the database (schema/0012_retention.sql): what may go, dropping it, and the floor
// that the database's owner sets.
//
// Each blocks its thread, for minutes where partitions are large. Errors besides those named:
// kUnavailable (no database; or not now, try again), kTimeout, kInternal.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "audit/conninfo.h"
#include "audit/retention.h"
#include "base/clock.h"
#include "base/uuid.h"

namespace holdfast::audit {

class DatabaseSession;
struct Entry;

// As the role holdfast_retention, which can do nothing else. For one thread.
class Retention {
 public:
  struct Terms {
    std::chrono::seconds age;  // How old the newest record of a partition must be.
    std::string by;            // Who asks, for the record.
  };

  explicit Retention(const Database& database, const Clock& clock = system_clock());
  ~Retention();

  // What the owner allows, and what is gone: `floor_s`, `anchored`, `dropped`.
  Result<nlohmann::json> state();

  // Oldest first, also those that stay.
  Result<std::vector<PlannedPartition>> plan(std::chrono::seconds age);

  // Drops the partition and appends the record of it, both or neither; returns the record's index.
  // kRefused: it may not go, and why. Where the connection breaks, it may have been dropped: plan
  // again and see.
  Result<std::int64_t> drop(const PlannedPartition& partition, const Terms& terms);

  // Whom that name would erase.
  Result<PlannedErasure> plan_erasure(const std::string& name);

  // Erases them and appends the record of it, both or neither; returns the record's index.
  // kRefused: it must not be, and why. Where the connection breaks, it may have been done: plan
  // again and see.
  Result<std::int64_t> erase(const PlannedErasure& erasure, const std::string& reason,
                             const std::string& by);

  // Forgets people of whom nothing is left; returns how many.
  Result<std::int64_t> forget();

 private:
  Result<std::int64_t> append_by(const char* statement, const Result<Entry>& entry);

  const Database database_;
  const Clock& clock_;
  const Uuid writer_;  // Of this run.
  std::unique_ptr<DatabaseSession> session_;
};

// As an administrator of the database: sets what retention may do and records it, where it is not
// so already. True: it was changed.
Result<bool> set_retention_policy(const Database& administrator, const RetentionPolicy& policy,
                                  const std::string& by, const Clock& clock = system_clock());

}  // namespace holdfast::audit
