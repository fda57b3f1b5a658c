#include "audit/log_reader_postgres.h"

#include <algorithm>
#include <limits>
#include <pqxx/pqxx>
#include <set>

#include "audit/bytea_postgres.h"
#include "audit/damage_postgres.h"
#include "audit/entry_facts.h"
#include "audit/evidence_store_postgres.h"
#include "audit/queries_session_postgres.h"
#include "audit/queries_sql.h"
#include "audit/sealing.h"
#include "audit/shipped_functions.h"
#include "audit/state_check_sql.h"
#include "audit/tree_store_postgres.h"
#include "audit/wal_flush_postgres.h"

namespace holdfast::audit {
namespace {

constexpr int kCheckpointsAtOnce = 10'000;

using ReadOnly = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

std::optional<Sha256> hash_in(const pqxx::field& field) {
  const std::vector<Sha256> hashes = split_hashes(bytes_in(field));
  if (hashes.size() != 1) return std::nullopt;
  return hashes.front();
}

// The only value of the only row of a table, which is an index. nullopt: it has none such, which is
// a fault.
std::optional<std::uint64_t> only_index(pqxx::transaction_base& transaction,
                                        const std::string& table, const std::string& column,
                                        Faults& faults) {
  const pqxx::result rows =
      transaction.exec("SELECT " + column + " FROM holdfast." + table + " LIMIT 2");
  if (rows.size() == 1 && !rows[0][0].is_null() && rows[0][0].as<std::int64_t>() >= 0) {
    return rows[0][0].as<std::uint64_t>();
  }
  faults.add_general(rows.size() == 1
                         ? "the table " + table + " has the " + column + " " + rows[0][0].c_str()
                         : "the table " + table + " has not one row");
  return std::nullopt;
}

// Where nothing says how long the log is, it ends with its last record.
std::uint64_t end_of_records(pqxx::transaction_base& transaction) {
  return transaction.exec1("SELECT greatest(coalesce(max(index) + 1, 0), 0) FROM holdfast.log")[0]
      .as<std::uint64_t>();
}

void check_beyond(pqxx::transaction_base& transaction, DatabaseLog& log) {
  const pqxx::row row = transaction.exec_params1(
      "SELECT min(l.index) FROM holdfast.log l WHERE l.index >= $1::bigint", log.log_size);
  if (!row[0].is_null()) {
    log.faults.add(row[0].as<std::uint64_t>(),
                   "a record beyond the end of the log, which is " + std::to_string(log.log_size));
  }
  if (log.derived && *log.derived > log.log_size) {
    log.faults.add(log.log_size, "the search table claims to reach beyond the log");
  }
}

void read_state(pqxx::dbtransaction& transaction, const Database& database, DatabaseLog& log) {
  std::optional<std::uint64_t> size;
  check_part(transaction, database, "the log's end", log.faults,
             [&](auto& part) { size = only_index(part, "log_head", "next_index", log.faults); });
  check_part(transaction, database, "the search table's end", log.faults, [&](auto& part) {
    log.derived = only_index(part, "search_state", "derived", log.faults);
  });
  check_part(transaction, database, "the log", log.faults, [&](auto& part) {
    log.log_size = size ? *size : end_of_records(part);
    check_beyond(part, log);
  });
}

// Rows of the search table where no tile of the log has a place for them; as many as can be told.
void read_search_beyond(pqxx::transaction_base& transaction, DatabaseLog& log) {
  const std::uint64_t derived = log.derived.value_or(std::numeric_limits<std::int64_t>::max());
  for (const pqxx::row& row :
       transaction.exec_params("(SELECT r.index FROM holdfast.record_search r WHERE r.index < 0 "
                               " ORDER BY r.index LIMIT $1::integer) UNION ALL "
                               "(SELECT r.index FROM holdfast.record_search r "
                               " WHERE r.index >= $2::bigint "
                               " ORDER BY r.index LIMIT $1::integer)",
                               static_cast<int>(Faults::kKept), derived)) {
    const auto index = row[0].as<std::int64_t>();
    if (index < 0) {
      log.faults.add_general("the search table has a row for the index " + std::to_string(index) +
                             ", which no record has");
    } else {
      log.faults.add(static_cast<std::uint64_t>(index),
                     "the search table has a row that the log has no record for yet");
    }
  }
}

void read_open_operations(pqxx::transaction_base& transaction, DatabaseLog& log) {
  for (const pqxx::row& row : transaction.exec(
           "SELECT operation_id, intent_index FROM holdfast.open_operations ORDER BY 2, 1")) {
    log.open_operations.push_back({.operation_id = parse_uuid(row[0].c_str()).value_or(Uuid{}),
                                   .intent_index = row[1].as<std::uint64_t>()});
  }
}

// One page of checkpoints, whose ordinals and sizes go on where the last page ended.
void add_checkpoints(const pqxx::result& rows, std::span<const VerifierKey> keys, unsigned threads,
                     DatabaseLog& log) {
  std::vector<FoundNote> notes;
  for (const pqxx::row& row : rows) {
    const auto ordinal = row[0].as<std::uint64_t>();
    const auto size = row[1].as<std::uint64_t>();
    if (ordinal != log.checkpoints) {
      log.faults.add_general("the database lacks the checkpoint " +
                             std::to_string(log.checkpoints) + " that it had");
      log.checkpoints = ordinal;
    }
    if (size < log.tree_size) {
      log.faults.add(size,
                     checkpoint_name({}, ordinal) + " is over fewer records than the one before");
    }
    const std::string note = row[3].c_str();
    const Result<Checkpoint> read = read_checkpoint(note);
    if (read.ok() && (read->head.size != size || read->head.root != hash_in(row[2]))) {
      log.faults.add_general(checkpoint_name({}, ordinal) +
                             " is not the one that stands beside it");
    }
    log.tree_size = size;
    ++log.checkpoints;
    notes.push_back({.note = note, .ordinal = ordinal});
  }
  if (!notes.empty()) log.newest_checkpoint = notes.back().note;
  CheckedNotes checked = check_notes(notes, keys, threads);
  log.faults.add(std::move(checked.faults));
  std::ranges::move(checked.roots, std::back_inserter(log.roots));
}

void read_checkpoints(pqxx::transaction_base& transaction, std::span<const VerifierKey> keys,
                      unsigned threads, DatabaseLog& log) {
  std::int64_t after = -1;
  while (true) {
    const pqxx::result rows = transaction.exec_params(
        "SELECT ordinal, size, root, note FROM holdfast.tree_checkpoints "
        "WHERE ordinal > $1::bigint ORDER BY ordinal LIMIT $2::integer",
        after, kCheckpointsAtOnce);
    if (rows.empty()) return;
    after = rows[rows.size() - 1][0].as<std::int64_t>();
    add_checkpoints(rows, keys, threads, log);
  }
}

std::vector<FoundDocument> documents_in(const pqxx::field& field) {
  return field.is_null() ? std::vector<FoundDocument>() : found_documents(field.c_str());
}

// Entries that take a step of an approval or a review.
struct StepTakers {
  std::vector<std::size_t> places;  // Among the entries read.
  std::string records;              // Their ids, and the codes that they name, each with a comma.
  std::string codes;

  void note(std::size_t place, std::string_view entry) {
    if (entry.find(R"("approval":{)") == std::string_view::npos &&
        entry.find(R"("review":{)") == std::string_view::npos) {
      return;
    }
    const Result<EntryFacts> facts = read_facts(entry);
    if (!facts.ok() || facts->step_of == Uuid{}) return;
    places.push_back(place);
    records += to_string(facts->id) + ",";
    codes += to_string(facts->step_of) + ",";
  }
};

// The places of those that the tables have no step of.
std::set<std::size_t> places_without_step(pqxx::transaction_base& transaction, StepTakers takers) {
  std::set<std::size_t> without;
  if (takers.places.empty()) return without;
  takers.records.pop_back();
  takers.codes.pop_back();
  for (const pqxx::row& row : transaction.exec_params(
           untaken_steps_sql(), "{" + takers.records + "}", "{" + takers.codes + "}")) {
    without.insert(takers.places[row[0].as<std::size_t>() - 1]);
  }
  return without;
}

// From `first` to before `until`.
std::set<std::uint64_t> searched_without_record(pqxx::transaction_base& transaction,
                                                std::uint64_t first, std::uint64_t until) {
  std::set<std::uint64_t> indexes;
  for (const pqxx::row& row : transaction.exec_params(
           "SELECT r.index FROM holdfast.record_search r WHERE r.index >= $1::bigint "
           "AND r.index < $2::bigint "
           "AND NOT EXISTS (SELECT FROM holdfast.log l WHERE l.index = r.index)",
           first, until)) {
    indexes.insert(row[0].as<std::uint64_t>());
  }
  return indexes;
}

// What `read` gives. What is damaged in its place is a finding.
template <class T, class Read>
Result<T> read_or_find(const Database& database, Read read) {
  try {
    return read();
  } catch (const std::exception& problem) {
    if (!is_damage(problem)) throw;
    return Error{ErrorCode::kInvalid, safe_message(problem.what(), database)};
  }
}

class DatabaseSource final : public LogSource {
 public:
  explicit DatabaseSource(const DatabaseAccess& access)
      : database_(access.database), session_(access, DatabaseSession::WhenBroken::kReport) {}

  Status prepare() {
    return session_.run([this](pqxx::connection& connection) {
      pqxx::nontransaction transaction(connection);
      if (transaction.exec1("SELECT to_regclass('holdfast.search_state') IS NULL")[0].as<bool>()) {
        derived_ = "0";
      }
      // What search should say is computed by the function as it was shipped, not by the database's
      // own. A standby cannot make one, nor can anybody where the search table is not one.
      if (transaction.exec1("SELECT pg_is_in_recovery()")[0].as<bool>()) return;
      const Result<bool> made = read_or_find<bool>(database_, [&] {
        transaction.exec(temporary_search_functions(shipped_functions(migrations())));
        return true;
      });
      if (made.ok()) search_row_ = "pg_temp.search_row";
    });
  }

  Result<std::string> tile(const TileId& id) override {
    Result<std::string> hashes = Error{ErrorCode::kInternal, "not read"};
    const Status status = session_.run([&](pqxx::connection& connection) {
      hashes = read_or_find<std::string>(database_, [&] {
        ReadOnly transaction(connection);
        Result<std::string> found = read_tile(transaction, id);
        if (found.ok()) check_stored_root(transaction, id, found);
        return found;
      });
    });
    if (!status.ok()) return status.error();
    return hashes;
  }

  Result<EntryBatch> entries(const TilePosition& position) override {
    Result<EntryBatch> batch = Error{ErrorCode::kInternal, "not read"};
    const Status status = session_.run([&](pqxx::connection& connection) {
      batch = read_or_find<EntryBatch>(database_, [&] {
        ReadOnly transaction(connection);
        EntryBatch found;
        add_entries(transaction, position, found);
        return found;
      });
    });
    if (!status.ok()) return status.error();
    return batch;
  }

 private:
  // The tile above is made of the roots that are stored with full tiles.
  static void check_stored_root(pqxx::transaction_base& transaction, const TileId& id,
                                Result<std::string>& hashes) {
    const pqxx::result rows = transaction.exec_params(
        "SELECT root FROM holdfast.tree_tiles WHERE level = $1::smallint AND index = $2::bigint",
        id.level, id.index);
    if (id.width < kTileWidth || rows.empty()) return;
    if (hash_in(rows.front()[0]) == tree_hash(split_hashes(*hashes))) return;
    hashes = Error{ErrorCode::kInvalid, "the hash stored with it is not that of its hashes"};
  }

  // Up to before `place`.
  static void add_missing(std::uint64_t begin, std::uint64_t place,
                          const std::set<std::uint64_t>& only_in_search, EntryBatch& batch) {
    while (batch.size() < place) {
      std::optional<EntryColumns> columns;
      if (only_in_search.contains(begin + batch.size())) columns.emplace().search_agrees = false;
      batch.add_missing(std::move(columns));
    }
  }

  void add_entries(pqxx::transaction_base& transaction, const TilePosition& position,
                   EntryBatch& batch) const {
    const std::uint64_t begin = position.index * kTileWidth;
    const pqxx::result rows = transaction.exec_params(
        "SELECT l.index, l.entry, l.leaf_hash, l.kind, l.role, l.index >= " + derived_ + " OR " +
            search_row_ + "(l.index, " + opened_entry_sql("l") + ") IS NOT DISTINCT FROM r, " +
            documents_sql("l") +
            " FROM holdfast.log l LEFT JOIN holdfast.record_search r ON r.index = l.index "
            "WHERE l.index >= $1::bigint AND l.index < $2::bigint ORDER BY l.index",
        begin, begin + position.width);
    StepTakers takers;
    std::vector<std::string> entries;
    entries.reserve(rows.size());
    // Of a record that search has twice there are two rows, one after the other.
    const auto is_as_before = [&rows](pqxx::result::size_type i) {
      return i > 0 && i < rows.size() && rows[i][0] == rows[i - 1][0];
    };
    std::uint64_t held = 0;
    for (const pqxx::row& row : rows) {
      entries.push_back(bytes_in(row[1]));
      if (is_as_before(row.rownumber())) continue;
      takers.note(row[0].as<std::uint64_t>() - begin, entries.back());
      ++held;
    }
    const std::set<std::size_t> without_step = places_without_step(transaction, std::move(takers));
    std::set<std::uint64_t> only_in_search;
    if (held < position.width) {
      only_in_search = searched_without_record(transaction, begin, begin + position.width);
    }
    for (const pqxx::row& row : rows) {
      if (is_as_before(row.rownumber())) continue;
      const auto place = row[0].as<std::uint64_t>() - begin;
      add_missing(begin, place, only_in_search, batch);
      const std::string& entry = entries[row.rownumber()];
      batch.add(entry, EntryColumns{.leaf_hash = hash_in(row[2]).value_or(Sha256{}),
                                    .kind = row[3].c_str(),
                                    .role = row[4].c_str(),
                                    .search_agrees = row[5].as<bool>(false) &&
                                                     !is_as_before(row.rownumber() + 1),
                                    .documents_fault = documents_fault(entry, documents_in(row[6])),
                                    .step_taken = !without_step.contains(place)});
    }
    add_missing(begin, position.width, only_in_search, batch);
  }

  const Database database_;
  DatabaseSession session_;
  std::string search_row_ = "holdfast.search_row";
  // Where search begins to say nothing of records: where nothing says so, with the first.
  std::string derived_ = "coalesce((SELECT max(s.derived) FROM holdfast.search_state s), 0)";
};

// An empty line for each piece that is missing.
std::string evidence_file(pqxx::transaction_base& transaction, std::uint64_t number) {
  const std::uint64_t first = number * kEvidenceInFile;
  const std::vector<Evidence> pieces = read_evidence(transaction, first, kEvidenceInFile);
  std::string lines;
  auto piece = pieces.begin();
  for (const pqxx::row& row : transaction.exec_params(
           "SELECT e.ordinal IS NOT NULL FROM generate_series($1::bigint, least($1::bigint + "
           "$2::bigint - 1, coalesce((SELECT max(ordinal) FROM holdfast.anchor_evidence), -1))) AS "
           "place LEFT JOIN holdfast.anchor_evidence e ON e.ordinal = place ORDER BY place",
           first, kEvidenceInFile)) {
    lines += row[0].as<bool>() ? evidence_line(*piece++) : "\n";
  }
  return lines;
}

}  // namespace

Result<DatabaseLog> read_database_log(const DatabaseAccess& access,
                                      std::span<const VerifierKey> keys, unsigned threads) {
  DatabaseLog log;
  bool is_there = false;
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  const Status status = session.run([&](pqxx::connection& connection) {
    {
      ReadOnly transaction(connection);
      is_there = transaction.exec1("SELECT to_regnamespace('holdfast') IS NOT NULL")[0].as<bool>();
      if (!is_there) return;
      const auto check = [&](const char* what, const auto& part) {
        check_part(transaction, access.database, what, log.faults, part);
      };
      read_state(transaction, access.database, log);
      check("the search table", [&](auto& part) { read_search_beyond(part, log); });
      check("the open operations", [&](auto& part) { read_open_operations(part, log); });
      check("the checkpoints", [&](auto& part) { read_checkpoints(part, keys, threads, log); });
    }
    // What is verified, and may be kept as evidence, no crash of the database may take away.
    pqxx::nontransaction(connection).exec(kFlushWal);
  });
  if (!status.ok()) return status.error();
  if (!is_there) return Error{ErrorCode::kNotFound, "the database holds no log of Holdfast"};
  return log;
}

Result<std::uint64_t> read_log_size(const DatabaseAccess& access) {
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  std::uint64_t size = 0;
  const Status status = session.run([&](pqxx::connection& connection) {
    ReadOnly transaction(connection);
    size = log_size(transaction);
  });
  if (!status.ok()) return status.error();
  return size;
}

Result<bool> has_checkpoint(const DatabaseAccess& access, std::uint64_t ordinal,
                            const TreeHead& head) {
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  bool found = false;
  const Status status = session.run([&](pqxx::connection& connection) {
    const Result<bool> answer = read_or_find<bool>(access.database, [&] {
      ReadOnly transaction(connection);
      const pqxx::result rows = transaction.exec_params(
          "SELECT root FROM holdfast.tree_checkpoints "
          "WHERE ordinal >= $1::bigint AND size = $2::bigint",
          ordinal, head.size);
      return std::ranges::any_of(
          rows, [&](const pqxx::row& row) { return hash_in(row[0]) == head.root; });
    });
    found = answer.ok() && *answer;
  });
  if (!status.ok()) return status.error();
  return found;
}

Result<std::unique_ptr<LogSource>> open_database_source(const DatabaseAccess& access) {
  auto source = std::make_unique<DatabaseSource>(access);
  if (Status prepared = source->prepare(); !prepared.ok()) return prepared.error();
  return std::unique_ptr<LogSource>(std::move(source));
}

EvidenceReader open_database_evidence(const DatabaseAccess& access) {
  const auto session =
      std::make_shared<DatabaseSession>(access, DatabaseSession::WhenBroken::kReport);
  return [session, database = access.database](std::uint64_t number) -> Result<std::string> {
    Result<std::string> lines = Error{ErrorCode::kInternal, "not read"};
    const Status status = session->run([&](pqxx::connection& connection) {
      lines = read_or_find<std::string>(database, [&] {
        ReadOnly transaction(connection);
        return evidence_file(transaction, number);
      });
    });
    if (!status.ok()) return status.error();
    if (lines.ok() && lines->empty()) return Error{ErrorCode::kNotFound, "no more evidence"};
    return lines;
  };
}

}  // namespace holdfast::audit
