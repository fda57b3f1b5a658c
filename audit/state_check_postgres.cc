// check_database_state(): see audit/log_reader_postgres.h.
#include <pqxx/pqxx>

#include "audit/damage_postgres.h"
#include "audit/log_reader_postgres.h"
#include "audit/queries_session_postgres.h"
#include "audit/state_check_sql.h"

namespace holdfast::audit {
namespace {

void run_check(pqxx::transaction_base& transaction, const std::string& sql, Faults& faults) {
  for (const pqxx::row& row : transaction.exec(sql)) {
    if (row[0].is_null()) {
      faults.add_general(row[1].c_str());
    } else {
      faults.add(row[0].as<std::uint64_t>(), row[1].c_str());
    }
  }
}

}  // namespace

Result<Faults> check_database_state(const DatabaseAccess& access) {
  Faults faults;
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  const Status status = session.run([&](pqxx::connection& connection) {
    pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> transaction(connection);
    for (const std::string& sql : state_checks()) {
      check_part(transaction, access.database, "the tables cannot be held against the records",
                 faults, [&](auto& part) { run_check(part, sql, faults); });
    }
  });
  if (!status.ok()) return status.error();
  return faults;
}

}  // namespace holdfast::audit
