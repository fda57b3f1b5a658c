#include "audit/documents_postgres.h"

#include <pqxx/pqxx>

namespace holdfast::audit {

Result<std::vector<nlohmann::json>> ask_documents(DatabaseSession& session,
                                                  const std::string& statement,
                                                  const SqlParameters& parameters) {
  pqxx::result rows;
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    rows = transaction.exec_prepared(session.prepared(statement),
                                     pqxx::prepare::make_dynamic_params(parameters));
  });
  if (!asked.ok()) return asked.error();
  std::vector<nlohmann::json> documents;
  documents.reserve(rows.size());
  for (const pqxx::row& row : rows) {
    // PostgreSQL has read it once, and let no name stand twice.
    const std::string_view text(row[0].c_str(), row[0].size());
    nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
    if (document.is_discarded()) return Error{ErrorCode::kInternal, "the database sent no JSON"};
    documents.push_back(std::move(document));
  }
  return documents;
}

}  // namespace holdfast::audit
