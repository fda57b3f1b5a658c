// Officers' tokens in PostgreSQL (schema/0008_tokens.sql), read by the threads of a QueryWorkers.
#pragma once

#include "audit/query_workers_postgres.h"
#include "officers/token_source.h"

namespace holdfast::officers {

class PostgresTokenSource final : public TokenSource {
 public:
  // The workers must outlive it.
  explicit PostgresTokenSource(audit::QueryWorkers& workers) : workers_(workers) {}

  Task<Result<std::optional<StoredToken>>> use(Sha256 digest) override;
  Task<Result<std::optional<StoredToken>>> find(Uuid id) override;
  Task<Result<std::vector<StoredToken>>> list(WhichTokens which) override;

 private:
  audit::QueryWorkers& workers_;
};

}  // namespace holdfast::officers
