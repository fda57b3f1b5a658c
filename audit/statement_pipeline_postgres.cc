#include "audit/statement_pipeline_postgres.h"

#include <libpq-fe.h>

#include <memory>

namespace holdfast::audit {
namespace {

using PgResult = std::unique_ptr<PGresult, decltype(&PQclear)>;

constexpr int kTextResults = 0;

std::vector<std::optional<std::string>> first_row(const PGresult* result) {
  std::vector<std::optional<std::string>> row;
  for (int column = 0; column < PQnfields(result) && PQntuples(result) > 0; ++column) {
    row.push_back(PQgetisnull(result, 0, column) != 0
                      ? std::nullopt
                      : std::optional<std::string>(PQgetvalue(result, 0, column)));
  }
  return row;
}

std::string state_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? "" : state;
}

}  // namespace

void StatementPipeline::send(const char* statement, std::span<const StatementValue> values) {
  ++unanswered_;
  has_failed_ = has_failed_ || !sends(statement, values);
}

bool StatementPipeline::sends(const char* statement, std::span<const StatementValue> values) {
  std::vector<const char*> data;
  std::vector<int> lengths;
  std::vector<int> formats;
  for (const StatementValue& value : values) {
    data.push_back(value.bytes.data());
    lengths.push_back(static_cast<int>(value.bytes.size()));
    formats.push_back(value.is_binary ? 1 : 0);
  }
  return (unanswered_ > 1 || PQenterPipelineMode(connection_) != 0) &&
         PQsendQueryPrepared(connection_, statement, static_cast<int>(values.size()), data.data(),
                             lengths.data(), formats.data(), kTextResults) != 0 &&
         PQpipelineSync(connection_) != 0;
}

bool StatementPipeline::has_answer() {
  return has_failed_ || PQconsumeInput(connection_) == 0 || PQisBusy(connection_) == 0;
}

// The results of a statement, nothing, and then its end, which comes after the commit. A second
// "nothing" in a row is that of a connection without any statement left: it had not been sent.
StatementAnswer StatementPipeline::receive() {
  --unanswered_;
  StatementAnswer answer;
  bool was_nothing = false;
  while (!answer.is_complete && !has_failed_ && PQstatus(connection_) == CONNECTION_OK) {
    const PgResult result(PQgetResult(connection_), &PQclear);
    if (result == nullptr && was_nothing) break;
    was_nothing = result == nullptr;
    if (was_nothing) continue;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
        answer.row = first_row(result.get());
        break;
      case PGRES_PIPELINE_SYNC:
        answer.is_complete = true;
        break;
      default:
        if (!answer.error.empty()) break;  // What follows is that the connection is gone.
        answer.error = PQresultErrorMessage(result.get());
        answer.state = state_of(result.get());
    }
  }
  if (!answer.is_complete && answer.error.empty()) answer.error = PQerrorMessage(connection_);
  if (!answer.error.empty() || !answer.is_complete) answer.row.clear();
  if (unanswered_ == 0) PQexitPipelineMode(connection_);
  return answer;
}

}  // namespace holdfast::audit
