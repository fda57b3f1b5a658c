#include "approval/reviews_postgres.h"

#include <pqxx/pqxx>
#include <utility>

#include "audit/documents_postgres.h"
#include "audit/queries_session_postgres.h"
#include "base/log.h"

namespace holdfast::approval {
Task<Result<std::optional<Review>>> PostgresReviewSource::find(Uuid code) {
  return audit::answer_first<Review>(workers_, "SELECT * FROM holdfast.find_review($1)",
                                     {to_string(code)}, read_review);
}

Task<Result<std::vector<Review>>> PostgresReviewSource::list(ReviewFilter filter) {
  return audit::answer_all<Review>(
      workers_,
      "SELECT * FROM holdfast.list_reviews(nullif($1, '{}')::text[], nullif($2, '')::bigint, $3)",
      {audit::name_array(filter.states), filter.before ? std::to_string(*filter.before) : "",
       std::to_string(filter.at_most)},
      read_review);
}

ReviewWatch::ReviewWatch(audit::DatabaseAccess access)
    : session_(std::make_unique<audit::DatabaseSession>(std::move(access))) {}

ReviewWatch::~ReviewWatch() = default;

Result<bool> ReviewWatch::step() {
  std::int64_t newly = 0;
  const Status ran = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    const pqxx::row row =
        transaction.exec("SELECT newly, overdue, oldest_s FROM holdfast.watch_reviews()")[0];
    newly = row[0].as<std::int64_t>();
    overdue_ = row[1].as<std::int64_t>();
    oldest_s_ = row[2].as<std::int64_t>();
  });
  if (!ran.ok()) return ran.error();
  if (newly > 0) {
    log_error("reviews of calls that went past their approval have become overdue",
              {{"reviews", std::to_string(newly)}});
  }
  return false;
}

void ReviewWatch::interrupt() {
  session_->interrupt();
}

}  // namespace holdfast::approval
