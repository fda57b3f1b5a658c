// Unsettled operations as the database has derived them from the log (schema/0007_unsettled.sql).
#pragma once

#include <memory>

#include "audit/queries_postgres.h"
#include "audit/unsettled.h"

namespace holdfast::audit {

class DatabaseSession;

// Connects when first asked. A visit holds one transaction open while its work runs; the server
// ends it when this process is silent for a minute, so that a stopped one does not keep others out.
class PostgresUnsettled final : public UnsettledSource {
 public:
  explicit PostgresUnsettled(DatabaseAccess access);
  ~PostgresUnsettled() override;

  Result<std::size_t> visit(const UnsettledRange& range, const Work& work) override;
  void interrupt() override;

 private:
  const std::unique_ptr<DatabaseSession> session_;
};

}  // namespace holdfast::audit
