#include "audit/tree_scrub_postgres.h"

#include "audit/bytea_postgres.h"
#include "audit/entry_facts.h"
#include "audit/retention.h"
#include "audit/tree_store_postgres.h"

namespace holdfast::audit {
namespace {

Error changed(const std::string& what, int level, std::uint64_t index) {
  return {ErrorCode::kRefused,
          what + " tile " + std::to_string(level) + "/" + tile_index_path(index) + " stands for"};
}

bool is_root_of(const std::string& root, const std::string& hashes) {
  return root == bytes_of(tree_hash(split_hashes(hashes)));
}

// A tile of a level above 0 against the roots of the tiles below it, and its root.
Status scrub_upper(pqxx::transaction_base& transaction, int level, std::uint64_t index) {
  const pqxx::result rows = transaction.exec_params(
      "SELECT t.root, t.hashes, (SELECT string_agg(b.root, ''::bytea ORDER BY b.index) FROM "
      "holdfast.tree_tiles b WHERE b.level = $1::integer - 1 AND b.index >= $2::bigint * 256 AND "
      "b.index < ($2::bigint + 1) * 256) = t.hashes FROM holdfast.tree_tiles t "
      "WHERE t.level = $1::integer AND t.index = $2::bigint",
      level, index);
  if (rows.size() != 1 || !rows.front()[2].as<bool>(false) ||
      !is_root_of(bytes_in(rows.front()[0]), bytes_in(rows.front()[1]))) {
    return changed("the database does not hold the hashes that", level, index);
  }
  return {};
}

// What is gone as the newest record of retention says: it is in the log, and tells of all. The
// table only says where it is.
std::vector<IndexRange> dropped_partitions(pqxx::transaction_base& transaction,
                                           std::uint64_t partition_records) {
  std::vector<IndexRange> dropped;
  for (const pqxx::row& row :
       transaction.exec("SELECT l.index, l.entry FROM holdfast.log l WHERE l.index = "
                        "(SELECT max(d.record_index) FROM holdfast.dropped_ranges d)")) {
    const Result<EntryFacts> facts = read_facts(bytes_in(row[1]));
    if (!facts.ok()) return {};
    for (const IndexRange& range : facts->dropped) {
      const bool is_before = range.until <= row[0].as<std::uint64_t>();
      if (is_before && is_whole_partitions(range, partition_records)) dropped.push_back(range);
    }
  }
  return dropped;
}

}  // namespace

Status scrub_open_tile(pqxx::transaction_base& transaction, std::uint64_t index,
                       std::span<const Sha256> leaves) {
  if (leaves.empty()) return {};
  const std::uint64_t begin = index * kTileWidth;
  const pqxx::result rows = transaction.exec_params(
      "SELECT string_agg(sha256('\\x00'::bytea || l.entry), ''::bytea ORDER BY l.index), "
      "bool_and(l.leaf_hash = sha256('\\x00'::bytea || l.entry)) FROM holdfast.log l "
      "WHERE l.index >= $1::bigint AND l.index < $2::bigint",
      begin, begin + leaves.size());
  const bool same =
      rows.front()[1].as<bool>(false) && bytes_in(rows.front()[0]) == join_hashes(leaves);
  if (!same) return changed("the log does not hold the records that", 0, index);
  return {};
}

Status scrub_tiles(pqxx::transaction_base& transaction, std::uint64_t begin, std::uint64_t end,
                   std::uint64_t partition_records) {
  const pqxx::result rows = transaction.exec_params(
      "SELECT t.root, t.hashes, g.leaves = t.hashes AND g.same FROM "
      "holdfast.tree_tiles t, LATERAL (SELECT "
      "string_agg(sha256('\\x00'::bytea || l.entry), ''::bytea ORDER BY l.index) AS leaves, "
      "bool_and(l.leaf_hash = sha256('\\x00'::bytea || l.entry)) AS same FROM holdfast.log l "
      "WHERE l.index >= t.index * 256 AND l.index < (t.index + 1) * 256) g "
      "WHERE t.level = 0 AND t.index >= $1::bigint AND t.index < $2::bigint ORDER BY t.index",
      begin, end);
  if (rows.size() != end - begin) {
    return changed("the database does not hold the hashes that", 0, begin + rows.size());
  }
  std::uint64_t index = begin;
  std::optional<std::vector<IndexRange>> dropped;  // Read where records are missing.
  const auto is_dropped = [&](std::uint64_t tile) {
    if (!dropped) dropped = dropped_partitions(transaction, partition_records);
    const IndexRange span{.first = tile * kTileWidth, .until = (tile + 1) * kTileWidth};
    return outside_of(span, *dropped).empty();
  };
  for (const pqxx::row& row : rows) {
    if (!row[2].as<bool>(false) && !is_dropped(index)) {
      return changed("the log does not hold the records that", 0, index);
    }
    if (!is_root_of(bytes_in(row[0]), bytes_in(row[1]))) {
      return changed("the database does not hold the hashes that", 0, index);
    }
    ++index;
    std::uint64_t above = index;
    for (int level = 1; above % kTileWidth == 0 && level < kTileLevels; ++level) {
      above /= kTileWidth;
      Status same = scrub_upper(transaction, level, above - 1);
      if (!same.ok()) return same;
    }
  }
  return {};
}

}  // namespace holdfast::audit
