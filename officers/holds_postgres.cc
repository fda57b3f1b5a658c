#include "officers/holds_postgres.h"

#include <functional>
#include <pqxx/pqxx>
#include <utility>

#include "base/json.h"

namespace holdfast::officers {
namespace {

using Found = Result<std::vector<Hold>>;
using Question = std::function<Found(audit::DatabaseSession&)>;

Found read_rows(const pqxx::result& rows) {
  std::vector<Hold> holds;
  for (const pqxx::row& row : rows) {
    const Result<nlohmann::json> document = parse_json(row[0].c_str());
    if (!document.ok()) return document.error();
    Result<Hold> hold = read_hold(*document);
    if (!hold.ok()) return hold.error();
    holds.push_back(*std::move(hold));
  }
  return holds;
}

template <class... Parameters>
Question question(const char* statement, Parameters... parameters) {
  return [=](audit::DatabaseSession& session) {
    Found found = std::vector<Hold>();
    const Status asked = session.run([&](pqxx::connection& connection) {
      pqxx::nontransaction transaction(connection);
      found = read_rows(transaction.exec_params(statement, parameters...));
    });
    if (!asked.ok()) return Found(asked.error());
    return found;
  };
}

}  // namespace

Task<Result<std::optional<Hold>>> PostgresHoldSource::find(Uuid id) {
  const Question asked = question("SELECT * FROM holdfast.list_holds($1, true, 1)", to_string(id));
  Found found = co_await workers_.answer<std::vector<Hold>>(asked);
  if (!found.ok()) co_return found.error();
  if (found->empty()) co_return std::optional<Hold>();
  co_return std::optional<Hold>(std::move(found->front()));
}

Task<Result<std::vector<Hold>>> PostgresHoldSource::list(WhichHolds which) {
  const Question asked = question("SELECT * FROM holdfast.list_holds(NULL, $1, $2)",
                                  which == WhichHolds::kAll, kHoldsMax);
  co_return co_await workers_.answer<std::vector<Hold>>(asked);
}

}  // namespace holdfast::officers
