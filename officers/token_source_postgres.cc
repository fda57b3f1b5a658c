#include "officers/token_source_postgres.h"

#include "audit/documents_postgres.h"

namespace holdfast::officers {

Task<Result<std::optional<StoredToken>>> PostgresTokenSource::use(Sha256 digest) {
  return audit::answer_first<StoredToken>(workers_,
                                          "SELECT * FROM holdfast.use_token(decode($1, 'hex'))",
                                          {to_hex(digest)}, read_token);
}

Task<Result<std::optional<StoredToken>>> PostgresTokenSource::find(Uuid id) {
  return audit::answer_first<StoredToken>(
      workers_, "SELECT * FROM holdfast.list_tokens($1, true, 1)", {to_string(id)}, read_token);
}

Task<Result<std::vector<StoredToken>>> PostgresTokenSource::list(WhichTokens which) {
  return audit::answer_all<StoredToken>(
      workers_, "SELECT * FROM holdfast.list_tokens(NULL, $1, $2)",
      {which == WhichTokens::kAll ? "true" : "false", std::to_string(kTokensMax)}, read_token);
}

}  // namespace holdfast::officers
