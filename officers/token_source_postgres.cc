#include "officers/token_source_postgres.h"

#include <functional>
#include <pqxx/pqxx>
#include <utility>

#include "base/json.h"

namespace holdfast::officers {
namespace {

using Found = Result<std::vector<StoredToken>>;
using Question = std::function<Found(audit::DatabaseSession&)>;

Found read_rows(const pqxx::result& rows) {
  std::vector<StoredToken> tokens;
  for (const pqxx::row& row : rows) {
    const Result<nlohmann::json> document = parse_json(row[0].c_str());
    if (!document.ok()) return document.error();
    Result<StoredToken> token = read_token(*document);
    if (!token.ok()) return token.error();
    tokens.push_back(*std::move(token));
  }
  return tokens;
}

template <class... Parameters>
Question question(const char* statement, Parameters... parameters) {
  return [=](audit::DatabaseSession& session) {
    Found found = std::vector<StoredToken>();
    const Status asked = session.run([&](pqxx::connection& connection) {
      pqxx::nontransaction transaction(connection);
      found = read_rows(transaction.exec_params(statement, parameters...));
    });
    if (!asked.ok()) return Found(asked.error());
    return found;
  };
}

Result<std::optional<StoredToken>> first_of(Found found) {
  if (!found.ok()) return found.error();
  if (found->empty()) return std::optional<StoredToken>();
  return std::optional<StoredToken>(std::move(found->front()));
}

}  // namespace

Task<Result<std::optional<StoredToken>>> PostgresTokenSource::use(Sha256 digest) {
  const Question asked =
      question("SELECT * FROM holdfast.use_token(decode($1, 'hex'))", to_hex(digest));
  co_return first_of(co_await workers_.answer<std::vector<StoredToken>>(asked));
}

Task<Result<std::optional<StoredToken>>> PostgresTokenSource::find(Uuid id) {
  const Question asked = question("SELECT * FROM holdfast.list_tokens($1, true, 1)", to_string(id));
  co_return first_of(co_await workers_.answer<std::vector<StoredToken>>(asked));
}

Task<Result<std::vector<StoredToken>>> PostgresTokenSource::list(WhichTokens which) {
  const Question asked = question("SELECT * FROM holdfast.list_tokens(NULL, $1, $2)",
                                  which == WhichTokens::kAll, kTokensMax);
  co_return co_await workers_.answer<std::vector<StoredToken>>(asked);
}

}  // namespace holdfast::officers
