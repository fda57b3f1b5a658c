#include "officers/holds_postgres.h"

#include "audit/documents_postgres.h"

namespace holdfast::officers {

Task<Result<std::optional<Hold>>> PostgresHoldSource::find(Uuid id) {
  return audit::answer_first<Hold>(workers_, "SELECT * FROM holdfast.list_holds($1, true, 1)",
                                   {to_string(id)}, read_hold);
}

Task<Result<std::vector<Hold>>> PostgresHoldSource::list(WhichHolds which) {
  return audit::answer_all<Hold>(
      workers_, "SELECT * FROM holdfast.list_holds(NULL, $1, $2)",
      {which == WhichHolds::kAll ? "true" : "false", std::to_string(kHoldsMax)}, read_hold);
}

}  // namespace holdfast::officers
