// The tree as RFC 6962, section 2.1 defines it, by recursion over all leaves: slow, and nothing to
// get wrong. And tiles kept in memory, as a log would keep them.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "audit/tree.h"

namespace holdfast::testing {

using Leaves = std::vector<Sha256>;

inline std::size_t model_split(std::size_t n) {
  std::size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

inline Sha256 model_root(const Leaves& leaves, std::size_t begin, std::size_t end) {
  if (begin == end) return sha256("");
  if (end - begin == 1) return leaves[begin];
  const std::size_t middle = begin + model_split(end - begin);
  return node_hash(model_root(leaves, begin, middle), model_root(leaves, middle, end));
}

inline Leaves model_leaves(std::size_t count) {
  Leaves leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(std::to_string(i)));
  return leaves;
}

// What a log holds after those leaves: the full tiles, and the leaves.
class TileStore {
 public:
  explicit TileStore(Leaves leaves) : leaves_(std::move(leaves)) {
    for (const Sha256& leaf : leaves_) builder_.append(leaf);
    for (audit::Tile& tile : builder_.take_tiles()) {
      tiles_.emplace(std::pair(tile.level, tile.index), std::move(tile));
    }
  }

  Result<std::string> read(const audit::TileId& id) const {
    std::vector<Sha256> hashes;
    for (std::uint64_t i = 0; i < id.width; ++i) {
      const std::uint64_t index = id.index * audit::kTileWidth + i;
      if (id.level == 0) {
        if (index >= leaves_.size()) return Error{ErrorCode::kNotFound, "no such leaf"};
        hashes.push_back(leaves_[index]);
        continue;
      }
      const auto below = tiles_.find({id.level - 1, index});
      if (below == tiles_.end()) return Error{ErrorCode::kNotFound, "no such tile"};
      hashes.push_back(below->second.root);
    }
    return audit::join_hashes(hashes);
  }

  audit::TiledTree tree(std::uint64_t size) const {
    return audit::TiledTree(size, [this](const audit::TileId& id) { return read(id); });
  }
  const audit::TreeBuilder& builder() const { return builder_; }
  const std::map<std::pair<int, std::uint64_t>, audit::Tile>& tiles() const { return tiles_; }
  const Leaves& leaves() const { return leaves_; }

 private:
  Leaves leaves_;
  audit::TreeBuilder builder_;
  std::map<std::pair<int, std::uint64_t>, audit::Tile> tiles_;
};

}  // namespace holdfast::testing
