#include "audit/migrate_postgres.h"

#include <algorithm>
#include <map>
#include <pqxx/pqxx>

#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

// Any fixed number that nothing else in the database locks.
constexpr const char* kLock = "SELECT pg_advisory_lock(hashtextextended('holdfast.migrate', 0))";

std::map<std::string, std::string> applied_checksums(pqxx::transaction_base& transaction) {
  std::map<std::string, std::string> checksums;
  if (transaction.exec("SELECT to_regclass('holdfast.migrations')")[0][0].is_null()) {
    return checksums;
  }
  for (const pqxx::row& row :
       transaction.exec("SELECT name, encode(sha256, 'hex') FROM holdfast.migrations")) {
    checksums.emplace(row[0].c_str(), row[1].c_str());
  }
  return checksums;
}

std::vector<MigrationStatus> compare(std::map<std::string, std::string> applied,
                                     std::span<const Migration> known) {
  std::vector<MigrationStatus> statuses;
  for (const Migration& migration : known) {
    const std::string name(migration.name);
    MigrationStatus& status = statuses.emplace_back();
    status.name = name;
    const auto found = applied.find(name);
    if (found == applied.end()) continue;
    status.state = found->second == to_hex(sha256(migration.sql)) ? MigrationState::kApplied
                                                                  : MigrationState::kChanged;
    applied.erase(found);
  }
  for (const auto& [name, checksum] : applied) {
    statuses.push_back({.name = name, .state = MigrationState::kForeign});
  }
  std::ranges::sort(statuses, {}, &MigrationStatus::name);
  return statuses;
}

// Why migrate() must not touch this database; empty when it may.
std::string objection(const std::vector<MigrationStatus>& statuses) {
  std::string pending;
  for (const MigrationStatus& status : statuses) {
    switch (status.state) {
      case MigrationState::kChanged:
        return "migration " + status.name + " was changed after it had been applied";
      case MigrationState::kForeign:
        return "migration " + status.name + " is applied and unknown to this version of holdfast";
      case MigrationState::kPending:
        if (pending.empty()) pending = status.name;
        break;
      case MigrationState::kApplied:
        if (!pending.empty()) {
          return "migration " + pending + " is not applied but the later " + status.name + " is";
        }
        break;
    }
  }
  return {};
}

void apply(pqxx::connection& connection, const Migration& migration) {
  pqxx::work transaction(connection);
  // From the first migration on, everything belongs to the owner.
  if (!transaction.exec("SELECT to_regclass('holdfast.migrations')")[0][0].is_null()) {
    transaction.exec("SET LOCAL ROLE holdfast_owner");
  }
  transaction.exec(std::string(migration.sql));
  transaction.exec("INSERT INTO holdfast.migrations (name, sha256) VALUES (" +
                   transaction.quote(std::string(migration.name)) + ", '\\x" +
                   to_hex(sha256(migration.sql)) + "')");
  transaction.commit();
}

Error translate(const std::exception& failure, const Database& database, const std::string& step) {
  const bool unreachable = dynamic_cast<const pqxx::broken_connection*>(&failure) != nullptr;
  return {unreachable ? ErrorCode::kUnavailable : ErrorCode::kInvalid,
          step + ": " + safe_message(failure.what(), database)};
}

}  // namespace

std::string_view to_string(MigrationState state) {
  switch (state) {
    case MigrationState::kApplied:
      return "applied";
    case MigrationState::kPending:
      return "pending";
    case MigrationState::kChanged:
      return "changed";
    case MigrationState::kForeign:
      return "foreign";
  }
  return "unknown";
}

Result<std::vector<MigrationStatus>> migration_status(const Database& database,
                                                      std::span<const Migration> known) {
  try {
    pqxx::connection connection(conninfo(database));
    pqxx::nontransaction transaction(connection);
    return compare(applied_checksums(transaction), known);
  } catch (const std::exception& failure) {
    return translate(failure, database, "migration status");
  }
}

Result<std::vector<std::string>> migrate(const Database& database,
                                         std::span<const Migration> known) {
  std::string step = "migrate";
  try {
    pqxx::connection connection(conninfo(database));
    std::vector<MigrationStatus> statuses;
    {
      pqxx::nontransaction transaction(connection);
      transaction.exec("SET client_min_messages = warning");
      transaction.exec(kLock);  // Released when the connection ends.
      statuses = compare(applied_checksums(transaction), known);
    }
    if (const std::string why = objection(statuses); !why.empty()) {
      return Error{ErrorCode::kRefused, why};
    }
    std::vector<std::string> done;
    for (const Migration& migration : known) {
      const auto status =
          std::ranges::find(statuses, std::string(migration.name), &MigrationStatus::name);
      if (status->state != MigrationState::kPending) continue;
      step = "migration " + status->name;
      apply(connection, migration);
      done.push_back(status->name);
    }
    return done;
  } catch (const std::exception& failure) {
    return translate(failure, database, step);
  }
}

}  // namespace holdfast::audit
