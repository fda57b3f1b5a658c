#include "audit/log_reader_postgres.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <set>

#include "audit/bytea_postgres.h"
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

void read_state(pqxx::transaction_base& transaction, DatabaseLog& log) {
  const pqxx::row row = transaction.exec1(
      "SELECT h.next_index, s.derived, "
      "(SELECT min(l.index) FROM holdfast.log l WHERE l.index >= h.next_index) "
      "FROM holdfast.log_head h, holdfast.search_state s");
  log.log_size = row[0].as<std::uint64_t>();
  log.derived = row[1].as<std::uint64_t>();
  if (!row[2].is_null()) {
    log.faults.add(row[2].as<std::uint64_t>(),
                   "a record beyond the end of the log, which is " + std::to_string(log.log_size));
  }
  if (log.derived > log.log_size) {
    log.faults.add(log.log_size, "the search table claims to reach beyond the log");
  }
}

// Rows of the search table where no tile of the log has a place for them; as many as can be told.
void read_search_beyond(pqxx::transaction_base& transaction, DatabaseLog& log) {
  for (const pqxx::row& row :
       transaction.exec_params("(SELECT r.index FROM holdfast.record_search r WHERE r.index < 0 "
                               " ORDER BY r.index LIMIT $1::integer) UNION ALL "
                               "(SELECT r.index FROM holdfast.record_search r "
                               " WHERE r.index >= (SELECT s.derived FROM holdfast.search_state s) "
                               " ORDER BY r.index LIMIT $1::integer)",
                               static_cast<int>(Faults::kKept))) {
    log.faults.add(std::max<std::int64_t>(row[0].as<std::int64_t>(), 0),
                   "the search table has a row that the log has no record for yet");
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

class DatabaseSource final : public LogSource {
 public:
  explicit DatabaseSource(const DatabaseAccess& access)
      : session_(access, DatabaseSession::WhenBroken::kReport) {}

  Status prepare() {
    return session_.run([this](pqxx::connection& connection) {
      pqxx::nontransaction transaction(connection);
      // What search should say is computed by the function as it was shipped, not by the database's
      // own. A standby cannot make one.
      if (!transaction.exec1("SELECT pg_is_in_recovery()")[0].as<bool>()) {
        transaction.exec(temporary_search_functions(shipped_functions(migrations())));
        search_row_ = "pg_temp.search_row";
      }
    });
  }

  Result<std::string> tile(const TileId& id) override {
    Result<std::string> hashes = Error{ErrorCode::kInternal, "not read"};
    const Status status = session_.run([&](pqxx::connection& connection) {
      ReadOnly transaction(connection);
      hashes = read_tile(transaction, id);
      if (hashes.ok()) check_stored_root(transaction, id, hashes);
    });
    if (!status.ok()) return status.error();
    return hashes;
  }

  Result<EntryBatch> entries(const TilePosition& position) override {
    EntryBatch batch;
    const Status status = session_.run([&](pqxx::connection& connection) {
      ReadOnly transaction(connection);
      add_entries(transaction, position, batch);
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
        "SELECT l.index, l.entry, l.leaf_hash, l.kind, l.role, l.index >= s.derived OR " +
            search_row_ + "(l.index, " + opened_entry_sql("l") + ") IS NOT DISTINCT FROM r, " +
            documents_sql("l") +
            " FROM holdfast.search_state s, "
            "holdfast.log l LEFT JOIN holdfast.record_search r ON r.index = l.index "
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

  DatabaseSession session_;
  std::string search_row_ = "holdfast.search_row";
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
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  const Status status = session.run([&](pqxx::connection& connection) {
    {
      ReadOnly transaction(connection);
      read_state(transaction, log);
      read_search_beyond(transaction, log);
      read_open_operations(transaction, log);
      read_checkpoints(transaction, keys, threads, log);
    }
    // What is verified, and may be kept as evidence, no crash of the database may take away.
    pqxx::nontransaction(connection).exec(kFlushWal);
  });
  if (!status.ok()) return status.error();
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
    ReadOnly transaction(connection);
    const pqxx::result rows = transaction.exec_params(
        "SELECT root FROM holdfast.tree_checkpoints "
        "WHERE ordinal >= $1::bigint AND size = $2::bigint",
        ordinal, head.size);
    found = std::ranges::any_of(rows,
                                [&](const pqxx::row& row) { return hash_in(row[0]) == head.root; });
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
  return [session](std::uint64_t number) -> Result<std::string> {
    std::string lines;
    const Status status = session->run([&](pqxx::connection& connection) {
      ReadOnly transaction(connection);
      lines = evidence_file(transaction, number);
    });
    if (!status.ok()) return status.error();
    if (lines.empty()) return Error{ErrorCode::kNotFound, "no more evidence"};
    return lines;
  };
}

}  // namespace holdfast::audit
