#include "audit/unsettled_postgres.h"

#include "audit/entry.h"
#include "audit/queries_session_postgres.h"
#include "audit/queries_sql.h"

namespace holdfast::audit {
namespace {

std::vector<Unsettled> read_unsettled(pqxx::transaction_base& transaction,
                                      const UnsettledRange& range) {
  const pqxx::result rows = transaction.exec_params(
      // Each outcome by its index: joined, the log might be read from its beginning.
      "SELECT u.operation_id, u.outcome_index, (SELECT " + opened_entry_sql("l") +
          " FROM holdfast.log l WHERE l.index = u.outcome_index) "
          "FROM holdfast.unsettled u WHERE u.outcome_index >= $1::bigint "
          "AND u.seen <= clock_timestamp() - $2::bigint * interval '1 millisecond' "
          "ORDER BY u.outcome_index LIMIT $3::bigint",
      range.from, range.age.count(), range.at_most);
  std::vector<Unsettled> found;
  for (const pqxx::row& row : rows) {
    const Entry outcome{.bytes = pqxx::binarystring(row[2]).str()};
    found.push_back({.operation_id = parse_uuid(row[0].c_str()).value_or(Uuid{}),
                     .outcome_index = row[1].as<std::int64_t>(),
                     .content = content_of(outcome)});
  }
  return found;
}

}  // namespace

PostgresUnsettled::PostgresUnsettled(DatabaseAccess access)
    : session_(std::make_unique<DatabaseSession>(std::move(access),
                                                 DatabaseSession::WhenBroken::kReport)) {}

PostgresUnsettled::~PostgresUnsettled() = default;

Result<std::size_t> PostgresUnsettled::visit(const UnsettledRange& range, const Work& work) {
  std::size_t count = 0;
  const Status status = session_->run([&](pqxx::connection& connection) {
    pqxx::work transaction(connection);
    transaction.exec("SET LOCAL idle_in_transaction_session_timeout = '60s'");
    const bool alone = transaction
                           .exec1(
                               "SELECT pg_try_advisory_xact_lock("
                               "hashtextextended('holdfast.reconcile', 0))")[0]
                           .as<bool>();
    if (!alone) return;
    const std::vector<Unsettled> found = read_unsettled(transaction, range);
    if (!found.empty()) work(found);
    count = found.size();
  });
  if (!status.ok()) return status.error();
  return count;
}

void PostgresUnsettled::interrupt() {
  session_->interrupt();
}

}  // namespace holdfast::audit
