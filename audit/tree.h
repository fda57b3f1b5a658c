// The Merkle tree over the log (RFC 6962, section 2), cut into tiles of 256 hashes (C2SP
// tlog-tiles). Pure: hashes in, hashes out.
//
//   TreeBuilder builder;                        // Adding leaves: needs the right edge only.
//   for (leaf) builder.append(leaf_hash(entry));
//   store(builder.take_tiles());                // Each becomes full once and never changes again.
//   sign(builder.size(), builder.root());
//
//   TiledTree tree(size, read_tile);            // Asking: reads the tiles it needs.
//   Result<Proof> proof = tree.inclusion(index);
//   verify_inclusion({.leaf, .index, .size}, *proof, root);
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"

namespace holdfast::audit {

inline constexpr int kTileHeight = 8;
inline constexpr std::uint64_t kTileWidth = 256;
inline constexpr int kTileLevels = 8;  // More than an index of 63 bits can need.

// One tile, or the first `width` hashes of one. Level 0 holds leaf hashes; a hash of level n + 1 is
// the root of a full tile of level n.
struct TileId {
  int level = 0;
  std::uint64_t index = 0;
  std::uint64_t width = kTileWidth;
  auto operator<=>(const TileId&) const = default;
};

// A full tile.
struct Tile {
  int level = 0;
  std::uint64_t index = 0;
  std::string hashes;  // 256 hashes, one after the other.
  Sha256 root{};       // The tree hash over them.
};

// How many hashes a tree of that size has at that level of tiles.
std::uint64_t hashes_at(int level, std::uint64_t size);

// "000" … "x001/x234/067": a tile's index as tlog-tiles writes it into a path.
std::string tile_index_path(std::uint64_t index);

// A tile's path from `tile/<L>/` or `tile/entries/` on: "x001/234" or "x001/234.p/17". nullopt for
// every other spelling.
struct TilePosition {
  std::uint64_t index = 0;
  std::uint64_t width = kTileWidth;
  bool operator==(const TilePosition&) const = default;
};
std::optional<TilePosition> parse_tile_position(std::string_view path);

// The tree hash over the hashes one after the other in `bytes`, as leaves or as nodes of one
// height. The hash of no leaves is SHA-256 of nothing.
Sha256 tree_hash(std::span<const Sha256> hashes);

// What subtrees from the right to the left make together, joined to the left of `rest`.
Sha256 join_peaks(std::span<const Sha256> peaks, std::optional<Sha256> rest);

std::vector<Sha256> split_hashes(std::string_view bytes);
std::string join_hashes(std::span<const Sha256> hashes);

// Grows a tree at its right edge. Memory: fewer than 256 hashes for each level.
class TreeBuilder {
 public:
  TreeBuilder() : edges_(kTileLevels) {}
  // Goes on from a tree of `size` leaves; `edges` are, for each level, the hashes that are in no
  // full tile yet. kInvalid: they do not fit the size.
  static Result<TreeBuilder> resume(std::uint64_t size, std::vector<std::vector<Sha256>> edges);

  void append(const Sha256& leaf);

  std::uint64_t size() const { return size_; }
  Sha256 root() const;
  // The largest whole subtrees that the leaves make, from the right to the left: joined in that
  // order they are the root, and with what comes after them the root of a larger tree.
  std::vector<Sha256> peaks() const;
  // The leaves that are in no full tile yet.
  const std::vector<Sha256>& tail() const { return edges_.front(); }
  // The hashes of a level that are in no full tile yet.
  const std::vector<Sha256>& edge(int level) const {
    return edges_[static_cast<std::size_t>(level)];
  }

  // The tiles that became full since the last call: by level, then by index.
  std::vector<Tile> take_tiles();

 private:
  std::uint64_t size_ = 0;
  std::vector<std::vector<Sha256>> edges_;
  std::vector<Tile> full_;
};

using Proof = std::vector<Sha256>;

// Where a TiledTree gets its tiles: exactly `width` hashes, or why not.
using TileReader = std::function<Result<std::string>(const TileId&)>;

// A tree of a fixed size whose hashes lie in tiles. Reads each tile once and keeps it. What it
// computes is as true as the tiles are: compare with a signed root, or verify the proof.
class TiledTree {
 public:
  TiledTree(std::uint64_t size, TileReader reader) : size_(size), reader_(std::move(reader)) {}

  std::uint64_t size() const { return size_; }

  // Errors are the reader's; and kInvalid for an index or a size beyond the tree, and for a tile of
  // another length than its width.
  Result<Sha256> root();
  Result<Sha256> leaf(std::uint64_t index);
  // RFC 6962, 2.1.1: that the leaf is in this tree.
  Result<Proof> inclusion(std::uint64_t index);
  // RFC 6962, 2.1.2: that this tree begins with the one of the first `from` leaves. Empty for 0.
  Result<Proof> consistency(std::uint64_t from);

 private:
  struct Range;
  Result<Sha256> range_hash(const Range& range);
  Result<Sha256> node(int height, std::uint64_t index);
  Result<Proof> range_hashes(std::span<const Range> ranges);
  Result<std::span<const Sha256>> tile(int level, std::uint64_t index);

  const std::uint64_t size_;
  const TileReader reader_;
  std::map<TileId, std::vector<Sha256>> tiles_;
};

struct LeafPlace {
  Sha256 leaf{};
  std::uint64_t index = 0;
  std::uint64_t size = 0;  // Of the tree.
};

// Whether the proof shows that the tree with this root holds the leaf at that place.
bool verify_inclusion(const LeafPlace& place, std::span<const Sha256> proof, const Sha256& root);

struct TreeHead {
  std::uint64_t size = 0;
  Sha256 root{};
  bool operator==(const TreeHead&) const = default;
};

// Whether the proof shows that `to` only adds to `from`.
bool verify_consistency(const TreeHead& from, const TreeHead& to, std::span<const Sha256> proof);

}  // namespace holdfast::audit
