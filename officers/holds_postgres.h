// Legal holds in PostgreSQL (schema/0012_retention.sql), read by the threads of a QueryWorkers.
#pragma once

#include "audit/query_workers_postgres.h"
#include "officers/holds.h"

namespace holdfast::officers {

class PostgresHoldSource final : public HoldSource {
 public:
  // The workers must outlive it.
  explicit PostgresHoldSource(audit::QueryWorkers& workers) : workers_(workers) {}

  Task<Result<std::optional<Hold>>> find(Uuid id) override;
  Task<Result<std::vector<Hold>>> list(WhichHolds which) override;

 private:
  audit::QueryWorkers& workers_;
};

}  // namespace holdfast::officers
