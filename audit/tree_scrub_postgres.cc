#include "audit/tree_scrub_postgres.h"

#include "audit/bytea_postgres.h"
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

Status scrub_tiles(pqxx::transaction_base& transaction, std::uint64_t begin, std::uint64_t end) {
  const pqxx::result rows = transaction.exec_params(
      "SELECT t.root, t.hashes, EXISTS (SELECT FROM holdfast.dropped_ranges d WHERE d.first <= "
      "t.index * 256 AND d.until >= (t.index + 1) * 256) OR (g.leaves = t.hashes AND g.same) FROM "
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
  for (const pqxx::row& row : rows) {
    if (!row[2].as<bool>(false)) return changed("the log does not hold the records that", 0, index);
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
