#include "audit/retention_postgres.h"

#include <pqxx/pqxx>
#include <string_view>

#include "audit/bytea_postgres.h"
#include "audit/entry.h"
#include "audit/queries_session_postgres.h"
#include "audit/tree.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

constexpr std::chrono::hours kStatementTimeout{12};
constexpr std::string_view kMayNot = "HF030";
constexpr std::string_view kNotNow = "HF031";

Result<Entry> entry_of(Record record, const Uuid& writer, const Clock& clock) {
  const WallTime now = clock.now();
  Result<Entry> entry = make_entry(std::move(record), make_uuid_v7(now),
                                   {.id = writer, .role = WriterRole::kRetention});
  if (entry.ok()) entry->set_time(now);
  return entry;
}

// Calls one of the functions that append the record that they are given.
std::int64_t append(pqxx::transaction_base& transaction, const char* statement,
                    const Entry& entry) {
  return transaction
      .exec_params1(statement, binary(entry.bytes), binary(bytes_of(leaf_hash(entry.bytes))))[0]
      .as<std::int64_t>();
}

Error refusal(const pqxx::sql_error& failure, const Database& database) {
  const ErrorCode code = failure.sqlstate() == kMayNot   ? ErrorCode::kRefused
                         : failure.sqlstate() == kNotNow ? ErrorCode::kUnavailable
                                                         : ErrorCode::kInternal;
  return {code, safe_message(failure.what(), database)};
}

}  // namespace

Retention::Retention(const Database& database, const Clock& clock)
    : database_(database),
      clock_(clock),
      writer_(make_uuid_v4()),
      session_(std::make_unique<DatabaseSession>(
          DatabaseAccess{.database = database, .statement_timeout = kStatementTimeout},
          DatabaseSession::WhenBroken::kReport)) {}

Retention::~Retention() = default;

Result<nlohmann::json> Retention::state() {
  std::string text;
  const Status asked = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    text = transaction.exec1("SELECT holdfast.retention_state()")[0].c_str();
  });
  if (!asked.ok()) return asked.error();
  return parse_json(text);
}

Result<std::vector<PlannedPartition>> Retention::plan(std::chrono::seconds age) {
  std::vector<std::string> texts;
  const Status asked = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    for (const pqxx::row& row : transaction.exec_params(
             "SELECT holdfast.retention_plan(make_interval(secs => $1::bigint))", age.count())) {
      texts.emplace_back(row[0].c_str());
    }
  });
  if (!asked.ok()) return asked.error();
  std::vector<PlannedPartition> partitions;
  for (const std::string& text : texts) {
    const Result<nlohmann::json> document = parse_json(text);
    if (!document.ok()) return document.error();
    Result<PlannedPartition> partition = read_planned_partition(*document);
    if (!partition.ok()) return partition.error();
    partitions.push_back(*std::move(partition));
  }
  return partitions;
}

Result<std::int64_t> Retention::drop(const PlannedPartition& partition, const Terms& terms) {
  const Result<Entry> entry =
      entry_of(partition_dropped(partition, terms.age.count(), terms.by), writer_, clock_);
  return append_by("SELECT holdfast.drop_partition($1, $2)", entry);
}

Result<PlannedErasure> Retention::plan_erasure(const std::string& name) {
  std::string text;
  const Status asked = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    text = transaction.exec_params1("SELECT holdfast.erasure_plan($1)", name)[0].c_str();
  });
  if (!asked.ok()) return asked.error();
  const Result<nlohmann::json> document = parse_json(text);
  if (!document.ok()) return document.error();
  return read_planned_erasure(*document);
}

Result<std::int64_t> Retention::erase(const PlannedErasure& erasure, const std::string& reason,
                                      const std::string& by) {
  return append_by("SELECT holdfast.erase_subjects($1, $2)",
                   entry_of(subject_erased(erasure, reason, by), writer_, clock_));
}

Result<std::int64_t> Retention::forget() {
  Result<std::int64_t> forgotten = Error{ErrorCode::kInternal, "not asked"};
  const Status asked = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    try {
      forgotten = transaction.exec1("SELECT holdfast.forget_subjects()")[0].as<std::int64_t>();
    } catch (const pqxx::sql_error& failure) {
      forgotten = refusal(failure, database_);
    }
  });
  if (!asked.ok()) return asked.error();
  return forgotten;
}

// In one transaction with what the record says.
Result<std::int64_t> Retention::append_by(const char* statement, const Result<Entry>& entry) {
  if (!entry.ok()) return entry.error();
  Result<std::int64_t> placed = Error{ErrorCode::kInternal, "not asked"};
  const Status asked = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    transaction.exec("SET synchronous_commit = on");
    try {
      placed = append(transaction, statement, *entry);
    } catch (const pqxx::sql_error& failure) {
      placed = refusal(failure, database_);
    }
  });
  if (!asked.ok()) return asked.error();
  return placed;
}

Result<bool> set_retention_policy(const Database& administrator, const RetentionPolicy& policy,
                                  const std::string& by, const Clock& clock) {
  const Result<Entry> entry = entry_of(retention_policy(policy, by), make_uuid_v4(), clock);
  if (!entry.ok()) return entry.error();
  try {
    pqxx::connection connection(conninfo(administrator));
    pqxx::work transaction(connection);
    transaction.exec("SET LOCAL ROLE holdfast_owner");
    const pqxx::row row = transaction.exec1(
        "SELECT extract(epoch FROM floor_age)::bigint, anchored FROM holdfast.retention_policy "
        "FOR UPDATE");
    RetentionPolicy now{.floor_s = std::nullopt, .anchored = row[1].as<bool>()};
    if (!row[0].is_null()) now.floor_s = row[0].as<std::int64_t>();
    if (now == policy) return false;
    append(transaction, "SELECT holdfast.set_retention_policy($1, $2)", *entry);
    transaction.commit();
    return true;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), administrator)};
  }
}

}  // namespace holdfast::audit
