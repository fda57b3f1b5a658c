#include "audit/tree_store_postgres.h"

#include <algorithm>

#include "audit/binary_array.h"
#include "audit/bytea_postgres.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kHashBytes = sizeof(Sha256);

Error not_held(const char* what) {
  return {ErrorCode::kNotFound, std::string("the database does not hold all of ") + what};
}

Sha256 short_hash_in(const pqxx::field& field) {
  // As text, \x and hex: half the work of the library's own way for so few bytes.
  const std::optional<std::string> bytes = from_hex(std::string_view(field.c_str()).substr(2));
  Sha256 hash{};
  if (bytes && bytes->size() == kHashBytes) std::ranges::copy(*bytes, hash.begin());
  return hash;
}

std::vector<Sha256> short_hashes_in(const pqxx::result& rows) {
  std::vector<Sha256> hashes;
  hashes.reserve(rows.size());
  for (const pqxx::row& row : rows) hashes.push_back(short_hash_in(row[0]));
  return hashes;
}

std::vector<Sha256> tile_roots(pqxx::transaction_base& transaction, int level, std::uint64_t begin,
                               std::uint64_t end) {
  return short_hashes_in(transaction.exec_params(
      "SELECT root FROM holdfast.tree_tiles WHERE level = $1::smallint AND index >= $2::bigint "
      "AND index < $3::bigint ORDER BY index",
      level, begin, end));
}

// All tiles are of one level and follow each other.
void add_level(pqxx::transaction_base& transaction, std::span<const Tile> tiles) {
  BinaryArray hashes(BinaryArray::Element::kBytea);
  BinaryArray roots(BinaryArray::Element::kBytea);
  for (const Tile& tile : tiles) {
    hashes.add(tile.hashes);
    roots.add(bytes_of(tile.root));
  }
  transaction.exec_params(
      "SELECT holdfast.add_tiles($1::integer, $2::bigint, $3::bytea[], $4::bytea[])",
      tiles.front().level, tiles.front().index, binary(hashes.bytes()), binary(roots.bytes()));
}

}  // namespace

std::uint64_t log_size(pqxx::transaction_base& transaction) {
  return transaction.exec1("SELECT next_index FROM holdfast.log_head")[0].as<std::uint64_t>();
}

const char* const kCheckpointColumns =
    "SELECT note, size, root, (extract(epoch FROM signed) * 1000000)::bigint "
    "FROM holdfast.tree_checkpoints";

std::optional<SignedCheckpoint> newest_checkpoint(pqxx::transaction_base& transaction) {
  return first_checkpoint_in(
      transaction.exec(std::string(kCheckpointColumns) + " ORDER BY ordinal DESC LIMIT 1"));
}

std::optional<SignedCheckpoint> first_checkpoint_in(const pqxx::result& rows) {
  if (rows.empty()) return std::nullopt;
  return checkpoint_in(rows.front());
}

SignedCheckpoint checkpoint_in(const pqxx::row& row) {
  return {.note = row[0].c_str(),
          .head = {.size = row[1].as<std::uint64_t>(), .root = short_hash_in(row[2])},
          .signed_at = WallTime(std::chrono::microseconds(row[3].as<std::int64_t>()))};
}

std::vector<Sha256> leaf_hashes(pqxx::transaction_base& transaction, std::uint64_t begin,
                                std::uint64_t end) {
  return short_hashes_in(transaction.exec_params(
      "SELECT leaf_hash FROM holdfast.log WHERE index >= $1::bigint AND index < $2::bigint "
      "ORDER BY index",
      begin, end));
}

Result<std::string> read_tile(pqxx::transaction_base& transaction, const TileId& id) {
  const std::uint64_t begin = id.index * kTileWidth;
  if (id.level > 0 && id.width < kTileWidth) {
    const auto roots = tile_roots(transaction, id.level - 1, begin, begin + id.width);
    if (roots.size() != id.width) return not_held("this tile");
    return join_hashes(roots);
  }
  const pqxx::result rows = transaction.exec_params(
      "SELECT hashes FROM holdfast.tree_tiles WHERE level = $1::smallint AND index = $2::bigint",
      id.level, id.index);
  if (!rows.empty()) {
    return pqxx::binarystring(rows.front()[0]).str().substr(0, id.width * kHashBytes);
  }
  if (id.level > 0) return not_held("this tile");
  const auto leaves = leaf_hashes(transaction, begin, begin + id.width);
  if (leaves.size() != id.width) return not_held("this tile");
  return join_hashes(leaves);
}

TileReader tile_reader(pqxx::transaction_base& transaction) {
  return [&transaction](const TileId& id) { return read_tile(transaction, id); };
}

Result<std::string> read_bundle(pqxx::transaction_base& transaction, const TilePosition& position) {
  const std::uint64_t begin = position.index * kTileWidth;
  const pqxx::result rows = transaction.exec_params(
      "SELECT entry FROM holdfast.log WHERE index >= $1::bigint AND index < $2::bigint "
      "ORDER BY index",
      begin, begin + position.width);
  if (rows.size() != position.width) return not_held("these entries");
  std::string bundle;
  for (const pqxx::row& row : rows) {
    const pqxx::binarystring entry(row[0]);
    bundle += static_cast<char>(entry.size() >> 8 & 0xFF);
    bundle += static_cast<char>(entry.size() & 0xFF);
    bundle.append(reinterpret_cast<const char*>(entry.data()), entry.size());
  }
  return bundle;
}

Result<TreeBuilder> load_builder(pqxx::transaction_base& transaction) {
  const pqxx::result rows = transaction.exec(
      "SELECT coalesce((SELECT max(t.index) + 1 FROM holdfast.tree_tiles t "
      "WHERE t.level = l.level), 0) FROM generate_series(0, 7) AS l (level) ORDER BY l.level");
  std::vector<std::uint64_t> tiles;
  for (const pqxx::row& row : rows) tiles.push_back(row[0].as<std::uint64_t>());
  std::vector<std::vector<Sha256>> edges(1);
  for (int level = 1; level < kTileLevels; ++level) {
    const std::uint64_t end = tiles[static_cast<std::size_t>(level) - 1];
    const std::uint64_t begin = tiles[static_cast<std::size_t>(level)] * kTileWidth;
    edges.push_back(tile_roots(transaction, level - 1, begin, end));
  }
  return TreeBuilder::resume(tiles.front() * kTileWidth, std::move(edges));
}

void add_tiles(pqxx::transaction_base& transaction, const std::vector<Tile>& tiles) {
  std::span<const Tile> rest(tiles);
  while (!rest.empty()) {
    const auto end = std::ranges::find_if(
        rest, [&](const Tile& tile) { return tile.level != rest.front().level; });
    const auto count = static_cast<std::size_t>(end - rest.begin());
    add_level(transaction, rest.first(count));
    rest = rest.subspan(count);
  }
}

void add_checkpoint(pqxx::transaction_base& transaction, const TreeHead& head,
                    const std::string& note) {
  transaction.exec_params("SELECT holdfast.add_checkpoint($1::bigint, $2::bytea, $3)", head.size,
                          binary(std::string(bytes_of(head.root))), note);
}

bool try_tree_lock(pqxx::transaction_base& transaction) {
  return transaction.exec1("SELECT pg_try_advisory_lock(holdfast.tree_lock())")[0].as<bool>();
}

std::string tree_leader(pqxx::transaction_base& transaction) {
  return transaction.exec1("SELECT coalesce(holdfast.tree_leader(), '')")[0].c_str();
}

}  // namespace holdfast::audit
