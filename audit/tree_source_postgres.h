// The tree in PostgreSQL, as it is served.
#pragma once

#include "audit/queries_postgres.h"
#include "audit/tree_source.h"

namespace holdfast::audit {

// Asks through a record source's workers, which must outlive it.
class PostgresTreeSource final : public TreeSource {
 public:
  explicit PostgresTreeSource(QueryWorkers& workers) : workers_(workers) {}

  Task<Result<TreeState>> state() override;
  Task<Result<std::string>> tile(TileId id) override;
  Task<Result<std::string>> bundle(TilePosition position) override;
  Task<Result<std::string>> proof(std::variant<std::int64_t, Uuid> which) override;
  Task<Result<std::vector<Evidence>>> evidence(std::uint64_t file) override;

 private:
  QueryWorkers& workers_;
};

}  // namespace holdfast::audit
