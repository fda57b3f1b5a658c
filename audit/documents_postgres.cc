#include "audit/documents_postgres.h"

#include <pqxx/pqxx>

#include "base/json.h"

namespace holdfast::audit {

Result<std::vector<nlohmann::json>> ask_documents(DatabaseSession& session,
                                                  const std::string& statement,
                                                  const SqlParameters& parameters) {
  pqxx::result rows;
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    rows = transaction.exec_params(statement, pqxx::prepare::make_dynamic_params(parameters));
  });
  if (!asked.ok()) return asked.error();
  std::vector<nlohmann::json> documents;
  documents.reserve(rows.size());
  for (const pqxx::row& row : rows) {
    Result<nlohmann::json> document = parse_json(row[0].c_str());
    if (!document.ok()) return Error{ErrorCode::kInternal, document.error().message};
    documents.push_back(*std::move(document));
  }
  return documents;
}

}  // namespace holdfast::audit
