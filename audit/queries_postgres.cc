#include "audit/queries_postgres.h"

#include "audit/queries_sql.h"
#include "audit/query_workers_postgres.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

pqxx::result ask(pqxx::connection& connection, const SqlQuestion& question) {
  pqxx::nontransaction transaction(connection);
  return transaction.exec_params(question.text,
                                 pqxx::prepare::make_dynamic_params(question.values));
}

FoundRecord found_record(const pqxx::row& row) {
  FoundRecord found{.index = row["index"].as<std::int64_t>(),
                    .entry = pqxx::binarystring(row["entry"]).str(),
                    .malformed = row["malformed"].as<bool>()};
  if (!row["documents"].is_null()) found.documents = found_documents(row["documents"].c_str());
  return found;
}

RecordPage page_of(const pqxx::result& rows) {
  RecordPage page;
  const pqxx::row first = rows.front();
  page.log_size = first["next_index"].as<std::int64_t>();
  page.complete_to = first["complete_to"].as<std::int64_t>();
  page.dropped = parse_ranges(first["dropped"].c_str()).value_or(page.dropped);
  for (const pqxx::row& row : rows) {
    if (!row["index"].is_null()) page.records.push_back(found_record(row));
  }
  if (first["more"].as<bool>()) {
    page.next = Cursor{.after = page.records.back().index, .complete_to = page.complete_to};
  }
  return page;
}

Result<RecordPage> search_in(DatabaseSession& session, const SqlQuestion& question) {
  RecordPage page;
  const Status status =
      session.run([&](pqxx::connection& connection) { page = page_of(ask(connection, question)); });
  if (!status.ok()) return status.error();
  return page;
}

Result<FoundRecord> get_in(DatabaseSession& session, const SqlQuestion& question) {
  std::optional<FoundRecord> found;
  const Status status = session.run([&](pqxx::connection& connection) {
    const pqxx::result rows = ask(connection, question);
    if (!rows.empty()) found = found_record(rows.front());
  });
  if (!status.ok()) return status.error();
  if (!found) return Error{ErrorCode::kNotFound, "no such record"};
  return *std::move(found);
}

// As state_question() writes them.
std::vector<DroppedRange> dropped_in(const char* text) {
  std::vector<DroppedRange> dropped;
  const Result<nlohmann::json> list = parse_json(text);
  if (!list.ok()) return dropped;
  for (const nlohmann::json& range : *list) {
    dropped.push_back({.range = {.first = range.at(0), .until = range.at(1)},
                       .record = range.at(2),
                       .at = range.at(3)});
  }
  return dropped;
}

// Of microseconds since 1970; nullopt for NULL.
std::optional<WallTime> time_in(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return WallTime(std::chrono::microseconds(field.as<std::int64_t>()));
}

Result<LogState> state_in(DatabaseSession& session, const SqlQuestion& question) {
  LogState state;
  const Status status = session.run([&](pqxx::connection& connection) {
    const pqxx::result rows = ask(connection, question);
    const pqxx::row row = rows.front();
    state = {.log_size = row[0].as<std::int64_t>(),
             .derived = row[1].as<std::int64_t>(),
             .partitions = row[2].as<std::int64_t>(),
             .indexed = row[3].as<std::int64_t>(),
             .unsettled = row[4].as<std::int64_t>()};
    state.unsettled_since = time_in(row[5]);
    state.dropped = dropped_in(row[6].c_str());
    state.open_since = time_in(row[7]);
  });
  if (!status.ok()) return status.error();
  return state;
}

}  // namespace

PostgresRecordSource::PostgresRecordSource(RecordSourceOptions options)
    : options_(std::move(options)), workers_(std::make_unique<QueryWorkers>(options_)) {}

PostgresRecordSource::~PostgresRecordSource() {
  stop();
}

void PostgresRecordSource::stop() {
  workers_->stop();
}

Task<Result<RecordPage>> PostgresRecordSource::search(RecordQuery query) {
  std::function<Result<RecordPage>(DatabaseSession&)> question =
      [sql = search_question(query)](DatabaseSession& session) { return search_in(session, sql); };
  co_return co_await workers_->answer(std::move(question));
}

Task<Result<FoundRecord>> PostgresRecordSource::get(std::variant<std::int64_t, Uuid> which) {
  const std::int64_t* index = std::get_if<std::int64_t>(&which);
  std::function<Result<FoundRecord>(DatabaseSession&)> question =
      [sql = index != nullptr ? index_question(*index) : id_question(std::get<Uuid>(which))](
          DatabaseSession& session) { return get_in(session, sql); };
  co_return co_await workers_->answer(std::move(question));
}

Task<Result<LogState>> PostgresRecordSource::state() {
  std::function<Result<LogState>(DatabaseSession&)> question =
      [sql = state_question()](DatabaseSession& session) { return state_in(session, sql); };
  co_return co_await workers_->answer(std::move(question));
}

class DatabaseCall::State {
 public:
  State(DatabaseAccess access, std::string statement)
      : session(std::move(access)), question{.text = std::move(statement), .values = {}} {}

  DatabaseSession session;
  const SqlQuestion question;
};

DatabaseCall::DatabaseCall(DatabaseAccess access, std::string statement)
    : state_(std::make_unique<State>(std::move(access), std::move(statement))) {}

DatabaseCall::~DatabaseCall() = default;

Result<std::int64_t> DatabaseCall::run() {
  std::int64_t number = 0;
  const Status status = state_->session.run([&](pqxx::connection& connection) {
    number = ask(connection, state_->question).front()[0].as<std::int64_t>(0);
  });
  if (!status.ok()) return status.error();
  return number;
}

void DatabaseCall::interrupt() {
  state_->session.interrupt();
}

}  // namespace holdfast::audit
