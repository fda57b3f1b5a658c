#include "approval/reviews_postgres.h"

#include <functional>
#include <pqxx/pqxx>
#include <utility>

#include "audit/queries_session_postgres.h"
#include "base/json.h"
#include "base/log.h"

namespace holdfast::approval {
namespace {

using Found = Result<std::vector<Review>>;

Found read_rows(const pqxx::result& rows) {
  std::vector<Review> reviews;
  for (const pqxx::row& row : rows) {
    const Result<nlohmann::json> document = parse_json(row[0].c_str());
    if (!document.ok()) return document.error();
    Result<Review> review = read_review(*document);
    if (!review.ok()) return review.error();
    reviews.push_back(*std::move(review));
  }
  return reviews;
}

// One question, asked with `run` on a worker's session.
Found ask(audit::DatabaseSession& session,
          const std::function<pqxx::result(pqxx::nontransaction&)>& run) {
  Found found = std::vector<Review>();
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    found = read_rows(run(transaction));
  });
  if (!asked.ok()) return asked.error();
  return found;
}

std::string states_array(const std::vector<ReviewState>& states) {
  std::string text = "{";
  for (const ReviewState state : states) {
    text += (text.size() > 1 ? "," : "") + std::string(to_string(state));
  }
  return text + "}";
}

}  // namespace

Task<Result<std::optional<Review>>> PostgresReviewSource::find(Uuid code) {
  const std::function<Found(audit::DatabaseSession&)> question =
      [code](audit::DatabaseSession& session) {
        return ask(session, [&](pqxx::nontransaction& transaction) {
          return transaction.exec_params("SELECT * FROM holdfast.find_review($1)", to_string(code));
        });
      };
  Found found = co_await workers_.answer<std::vector<Review>>(question);
  if (!found.ok()) co_return found.error();
  if (found->empty()) co_return std::optional<Review>();
  co_return std::optional<Review>(std::move(found->front()));
}

Task<Result<std::vector<Review>>> PostgresReviewSource::list(ReviewFilter filter) {
  const std::function<Found(audit::DatabaseSession&)> question =
      [filter = std::move(filter)](audit::DatabaseSession& session) {
        return ask(session, [&](pqxx::nontransaction& transaction) {
          return transaction.exec_params(
              "SELECT * FROM holdfast.list_reviews(nullif($1, '{}')::text[], "
              "nullif($2, '')::bigint, $3)",
              states_array(filter.states), filter.before ? std::to_string(*filter.before) : "",
              filter.at_most);
        });
      };
  co_return co_await workers_.answer<std::vector<Review>>(question);
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
