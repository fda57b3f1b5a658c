// How many records a second the log takes over one connection: prints one JSON line.
//
//   holdfast migrate … && append_batch_bench [BATCHES [BATCH]]     (PGHOST, PGPORT, PGDATABASE)
//
// "records": records that belong to no operation; "operations": intents and their outcomes, each
// counted, so that open_operations is part of it; "calls" and "sealed calls": decisions that say
// all of a call, with the personal values in them or sealed beside them, of a hundred callers.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "audit/append_connection_postgres.h"
#include "audit/migrate_postgres.h"
#include "bench/sample_record.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kEntryBytes = 770;

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

Database database(const std::string& user) {
  return {.url = "postgresql://" + user + "@" + variable("PGHOST", "127.0.0.1") + ":" +
                 variable("PGPORT", "5432") + "/" + variable("PGDATABASE", "holdfast"),
          .password = {}};
}

std::vector<Entry> make_batch(Kind kind, const std::vector<Uuid>& operations,
                              const Writer& writer) {
  std::vector<Entry> batch;
  const WallTime now = system_clock().now();
  for (const Uuid& operation : operations) {
    Record record{.kind = kind, .operation_id = operation};
    record.content["request"] = std::string(kEntryBytes - 270, 'x');
    Result<Entry> entry = make_entry(record, make_uuid_v7(now), writer);
    if (!entry.ok()) std::exit(1);
    entry->set_time(now);
    batch.push_back(*std::move(entry));
  }
  return batch;
}

std::vector<Entry> make_calls(std::size_t count, PersonalData personal_data, const Writer& writer) {
  constexpr std::size_t kCallers = 100;
  std::vector<Entry> batch;
  const WallTime now = system_clock().now();
  for (std::size_t i = 0; i < count; ++i) {
    Record record{.kind = Kind::kDecision,
                  .operation_id = make_uuid_v7(now),
                  .content = bench::intent_content(),
                  .personal_data = personal_data};
    record.content["actor"]["user"] = "caller " + std::to_string(i % kCallers);
    record.content["actor"]["name"] = record.content["actor"]["user"];
    Result<Entry> entry = make_entry(std::move(record), make_uuid_v7(now), writer);
    if (!entry.ok()) std::exit(1);
    entry->set_time(now);
    batch.push_back(*std::move(entry));
  }
  return batch;
}

// Records a second.
double measure(AppendConnection& connection, const std::vector<std::vector<Entry>>& batches) {
  std::size_t records = 0;
  const auto start = std::chrono::steady_clock::now();
  for (const std::vector<Entry>& batch : batches) {
    std::vector<const Entry*> entries;
    for (const Entry& entry : batch) entries.push_back(&entry);
    const Result<std::vector<Placed>> placed = connection.append(entries);
    if (!placed.ok()) {
      std::cerr << "append_batch_bench: " << placed.error().message << "\n";
      std::exit(1);
    }
    records += batch.size();
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return static_cast<double>(records) / taken.count();
}

int run(std::size_t batches, std::size_t size) {
  const auto migrated = migrate(database("postgres"), migrations());
  const Writer writer{.id = make_uuid_v4(), .role = WriterRole::kProxy};
  SocketWatchdog watchdog;
  auto connection = AppendConnection::open(
      {.database = database("holdfast_proxy"), .writer = writer, .lease = std::chrono::minutes(10)},
      watchdog);
  if (!migrated.ok() || !connection.ok()) {
    std::cerr << "append_batch_bench: "
              << (migrated.ok() ? connection.error().message : migrated.error().message) << "\n";
    return 1;
  }
  std::vector<std::vector<Entry>> plain;
  std::vector<std::vector<Entry>> operations;
  std::vector<std::vector<Entry>> calls;
  std::vector<std::vector<Entry>> sealed_calls;
  for (std::size_t i = 0; i < batches; ++i) {
    std::vector<Uuid> ids(size);
    for (Uuid& id : ids) id = make_uuid_v7(system_clock().now());
    plain.push_back(make_batch(Kind::kDecision, ids, writer));
    operations.push_back(make_batch(Kind::kIntent, ids, writer));
    operations.push_back(make_batch(Kind::kOutcome, ids, writer));
    calls.push_back(make_calls(size, PersonalData::kClear, writer));
    sealed_calls.push_back(make_calls(size, PersonalData::kSealed, writer));
  }
  measure(**connection, {make_batch(Kind::kSystem, std::vector<Uuid>(size), writer)});
  const double records = measure(**connection, plain);
  const double with_operations = measure(**connection, operations);
  const double of_calls = measure(**connection, calls);
  const double of_sealed_calls = measure(**connection, sealed_calls);
  std::cout << nlohmann::json(
                   {{"bench", "append"},
                    {"case", "one connection"},
                    {"batch", size},
                    {"entry_bytes", plain[0][0].bytes.size()},
                    {"records_per_second", static_cast<long>(records)},
                    {"operation_records_per_second", static_cast<long>(with_operations)},
                    {"call_records_per_second", static_cast<long>(of_calls)},
                    {"sealed_call_records_per_second", static_cast<long>(of_sealed_calls)}})
                   .dump()
            << "\n";
  return 0;
}

}  // namespace
}  // namespace holdfast::audit

int main(int argument_count, char** arguments) {
  const std::size_t batches = argument_count > 1 ? std::stoul(arguments[1]) : 1000;
  const std::size_t size = argument_count > 2 ? std::stoul(arguments[2]) : 64;
  return holdfast::audit::run(batches, size);
}
