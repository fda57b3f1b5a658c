#include "approval/generations_postgres.h"

#include <functional>
#include <pqxx/pqxx>
#include <utility>

#include "approval/rule_diff.h"
#include "audit/documents_postgres.h"
#include "base/clock.h"

namespace holdfast::approval {
namespace {

std::string text(const pqxx::field& field) {
  return field.is_null() ? std::string() : std::string(field.c_str());
}

std::int64_t micros(WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

SourceFiles read_files(const pqxx::result& rows) {
  SourceFiles files;
  for (const pqxx::row& row : rows) {
    const auto modified = std::chrono::microseconds(row[2].as<std::int64_t>());
    files.push_back(
        {.name = row[0].c_str(),
         .bytes = pqxx::binarystring(row[1]).str(),
         .modified = WallTime(std::chrono::duration_cast<WallTime::duration>(modified))});
  }
  return files;
}

Result<SourceFiles> files_of(audit::DatabaseSession& session, std::int64_t number) {
  SourceFiles files;
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    files = read_files(transaction.exec_params(
        "SELECT name, bytes, modified_us FROM holdfast.generation_files($1)", number));
  });
  if (!asked.ok()) return asked.error();
  return files;
}

// Which is active; 0: none.
Result<std::int64_t> active_of(audit::DatabaseSession& session) {
  std::int64_t active = 0;
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    active = transaction.exec1("SELECT holdfast.active_generation()")[0].as<std::int64_t>(0);
  });
  if (!asked.ok()) return asked.error();
  return active;
}

Result<RuleSet> rules_of(audit::DatabaseSession& session, std::int64_t number) {
  const Result<SourceFiles> files = files_of(session, number);
  if (!files.ok()) return files.error();
  Result<RuleSet> rules =
      load_rules(*files, "generation " + std::to_string(number), system_clock().now());
  if (!rules.ok()) return Error{ErrorCode::kInvalid, rules.error().message};
  return rules;
}

using Changes = Result<std::vector<std::string>>;

// Loading large rules takes a while: a worker does it, not an event loop.
Changes changes_of(audit::DatabaseSession& session, std::int64_t number) {
  const Result<std::int64_t> active = active_of(session);
  if (!active.ok()) return active.error();
  if (*active == 0) return std::vector<std::string>();
  std::vector<RuleSet> both;
  for (const std::int64_t one : {*active, number}) {
    Result<RuleSet> rules = rules_of(session, one);
    if (!rules.ok()) return rules.error();
    both.push_back(*std::move(rules));
  }
  return describe_changes(both[0], both[1]);
}

Result<RuledNow> ruled_now(audit::DatabaseSession& session, const Facts& facts) {
  const Result<std::int64_t> active = active_of(session);
  if (!active.ok()) return active.error();
  if (*active == 0) return RuledNow();
  const Result<RuleSet> rules = rules_of(session, *active);
  if (!rules.ok()) return rules.error();
  return RuledNow{.generation = *active, .decision = decide(*rules, facts)};
}

}  // namespace

Result<StoredGeneration> read_generation(const nlohmann::json& document) {
  try {
    return StoredGeneration{
        .name = {.number = document.at("generation").get<std::int64_t>(),
                 .revision = document.at("offer").at("revision").get<std::string>(),
                 .sha256 = document.at("sha256").get<std::string>()},
        .state = document.at("state").get<std::string>(),
        .document = document};
  } catch (const std::exception& problem) {
    return Error{ErrorCode::kInternal,
                 std::string("the database's generation cannot be read: ") + problem.what()};
  }
}

Result<Generations::Standing> Generations::standing(const Uuid& writer, const std::string& sha256) {
  Standing standing;
  const Status asked = session_.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    const pqxx::row row = transaction.exec_params1(
        "SELECT active, active_sha256, newest, same, same_state, source "
        "FROM holdfast.rules_standing($1, $2)",
        to_string(writer), sha256);
    standing = {.active = row[0].as<std::int64_t>(0),
                .active_sha256 = text(row[1]),
                .newest = row[2].as<std::int64_t>(),
                .same = row[3].as<std::int64_t>(0),
                .same_state = text(row[4]),
                .source = text(row[5])};
  });
  if (!asked.ok()) return asked.error();
  return standing;
}

Status Generations::keep(const SourceFiles& files) {
  return session_.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    for (const SourceFile& file : files) {
      transaction.exec_params("SELECT holdfast.keep_rule_file($1, $2, $3)", file.name,
                              pqxx::binarystring(file.bytes.data(), file.bytes.size()),
                              micros(file.modified));
    }
  });
}

Status Generations::note_source(const Uuid& writer, const std::string& sha256) {
  return session_.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    transaction.exec_params("SELECT holdfast.note_rule_source($1, $2)", to_string(writer), sha256);
  });
}

Result<Generations::InForce> Generations::in_force() {
  InForce now;
  const Status asked = session_.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    const pqxx::row row = transaction.exec1(
        "SELECT active, files_modified, waiting, recovered, recovered_sha256, recovery "
        "FROM holdfast.rules_in_force()");
    now = {.active = row[0].as<std::int64_t>(0),
           .files_modified = text(row[1]),
           .waiting = row[2].as<std::int64_t>(0),
           .recovered = row[3].as<std::int64_t>(0),
           .recovered_sha256 = text(row[4]),
           .recovery = text(row[5])};
  });
  if (!asked.ok()) return asked.error();
  return now;
}

Result<SourceFiles> Generations::files(std::int64_t number) {
  return files_of(session_, number);
}

Status recover_generation(const audit::Database& database, const Recovery& recovery) {
  audit::DatabaseSession session({.database = database});
  bool is_waiting = false;
  Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    is_waiting =
        transaction
            .exec_params1("SELECT holdfast.recover_generation($1, $2, $3, $4)", recovery.number,
                          recovery.sha256, recovery.person, recovery.reason)[0]
            .as<bool>();
  });
  if (!asked.ok() || is_waiting) return asked;
  return Error{ErrorCode::kNotFound,
               "no generation of that number and hash waits, or it has been recovered before"};
}

Task<Result<std::optional<StoredGeneration>>> PostgresGenerationSource::find(std::int64_t number) {
  return audit::answer_first<StoredGeneration>(
      workers_, "SELECT * FROM holdfast.list_generations($1, NULL, 1)", {std::to_string(number)},
      read_generation);
}

Task<Result<std::optional<GenerationName>>> PostgresGenerationSource::active() {
  std::string statement =
      "SELECT l FROM holdfast.active_generation() AS a, holdfast.list_generations(a, NULL, 1) AS l "
      "WHERE a IS NOT NULL";
  audit::SqlParameters none;
  const auto found = co_await audit::answer_first<StoredGeneration>(
      workers_, std::move(statement), std::move(none), read_generation);
  if (!found.ok()) co_return found.error();
  if (!*found) co_return std::optional<GenerationName>();
  co_return std::optional<GenerationName>((*found)->name);
}

Task<Result<std::vector<StoredGeneration>>> PostgresGenerationSource::list(
    std::optional<std::int64_t> below, int at_most) {
  return audit::answer_all<StoredGeneration>(
      workers_, "SELECT * FROM holdfast.list_generations(NULL, nullif($1, '')::bigint, $2)",
      {below ? std::to_string(*below) : "", std::to_string(at_most)}, read_generation);
}

Task<Result<SourceFiles>> PostgresGenerationSource::files(std::int64_t number) {
  const std::function<Result<SourceFiles>(audit::DatabaseSession&)> asked =
      [number](audit::DatabaseSession& session) { return files_of(session, number); };
  co_return co_await workers_.answer<SourceFiles>(asked);
}

Task<Result<std::vector<std::string>>> PostgresGenerationSource::changes(std::int64_t number) {
  const std::function<Changes(audit::DatabaseSession&)> asked =
      [number](audit::DatabaseSession& session) { return changes_of(session, number); };
  co_return co_await workers_.answer<std::vector<std::string>>(asked);
}

Task<Result<RuledNow>> PostgresGenerationSource::decide(Facts facts) {
  const std::function<Result<RuledNow>(audit::DatabaseSession&)> asked =
      [facts = std::move(facts)](audit::DatabaseSession& session) {
        return ruled_now(session, facts);
      };
  co_return co_await workers_.answer<RuledNow>(asked);
}

}  // namespace holdfast::approval
