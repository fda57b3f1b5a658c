#include "audit/tree.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace holdfast::audit {
namespace {

constexpr std::size_t kTreeHashBytes = sizeof(Sha256);
constexpr std::uint64_t kPathBase = 1000;
constexpr std::string_view kPartial = ".p/";

// The largest power of two below n; n > 1.
std::uint64_t split_point(std::uint64_t n) {
  return std::bit_floor(n - 1);
}

// Digits only, without superfluous zeros, at most nine of them.
std::optional<std::uint64_t> small_number(std::string_view text) {
  if (text.empty() || text.size() > 9 || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

std::string three_digits(std::uint64_t number) {
  std::string text = std::to_string(number);
  return std::string(3 - text.size(), '0') + text;
}

}  // namespace

std::uint64_t hashes_at(int level, std::uint64_t size) {
  return level >= kTileLevels ? 0 : size >> (kTileHeight * level);
}

std::string tile_index_path(std::uint64_t index) {
  std::string path = three_digits(index % kPathBase);
  for (std::uint64_t rest = index / kPathBase; rest > 0; rest /= kPathBase) {
    path.insert(0, "x" + three_digits(rest % kPathBase) + "/");
  }
  return path;
}

std::optional<TilePosition> parse_tile_position(std::string_view path) {
  TilePosition position;
  const std::size_t partial = path.find(kPartial);
  if (partial != std::string_view::npos) {
    const auto width = small_number(path.substr(partial + kPartial.size()));
    if (!width || *width == 0 || *width >= kTileWidth) return std::nullopt;
    position.width = *width;
    path = path.substr(0, partial);
  }
  // The longest index of 63 bits; what is longer could overflow.
  if (path.size() > tile_index_path(std::uint64_t{1} << 62).size()) return std::nullopt;
  for (const char c : path) {
    if (c >= '0' && c <= '9') {
      position.index = position.index * 10 + static_cast<std::uint64_t>(c - '0');
    }
  }
  // There is one spelling: the one that comes out again.
  if (tile_index_path(position.index) != path) return std::nullopt;
  return position;
}

Sha256 tree_hash(std::span<const Sha256> hashes) {
  if (hashes.empty()) return sha256("");
  // Level by level; a last one without a neighbour moves up as it is, which is RFC 6962's tree.
  std::vector<Sha256> level(hashes.begin(), hashes.end());
  while (level.size() > 1) {
    const std::size_t pairs = level.size() / 2;
    for (std::size_t i = 0; i < pairs; ++i) level[i] = node_hash(level[2 * i], level[2 * i + 1]);
    if (level.size() % 2 == 1) level[pairs] = level.back();
    level.resize(pairs + level.size() % 2);
  }
  return level.front();
}

Sha256 join_peaks(std::span<const Sha256> peaks, std::optional<Sha256> rest) {
  for (const Sha256& peak : peaks) rest = rest ? node_hash(peak, *rest) : peak;
  return rest ? *rest : sha256("");
}

std::vector<Sha256> split_hashes(std::string_view bytes) {
  std::vector<Sha256> hashes(bytes.size() / kTreeHashBytes);
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    std::ranges::copy(bytes.substr(i * kTreeHashBytes, kTreeHashBytes), hashes[i].begin());
  }
  return hashes;
}

std::string join_hashes(std::span<const Sha256> hashes) {
  std::string bytes;
  bytes.reserve(hashes.size() * kTreeHashBytes);
  for (const Sha256& hash : hashes) bytes += bytes_of(hash);
  return bytes;
}

Result<TreeBuilder> TreeBuilder::resume(std::uint64_t size,
                                        std::vector<std::vector<Sha256>> edges) {
  edges.resize(kTileLevels);
  for (int level = 0; level < kTileLevels; ++level) {
    const std::size_t wanted = hashes_at(level, size) % kTileWidth;
    const std::size_t found = edges[static_cast<std::size_t>(level)].size();
    if (found == wanted) continue;
    return Error{ErrorCode::kInvalid, "a tree of " + std::to_string(size) + " leaves has " +
                                          std::to_string(wanted) + " open hashes at level " +
                                          std::to_string(level) + ", not " + std::to_string(found)};
  }
  TreeBuilder builder;
  builder.size_ = size;
  builder.edges_ = std::move(edges);
  return builder;
}

void TreeBuilder::append(const Sha256& leaf) {
  Sha256 hash = leaf;
  for (std::size_t level = 0; level < edges_.size(); ++level) {
    std::vector<Sha256>& edge = edges_[level];
    edge.push_back(hash);
    if (edge.size() < kTileWidth) break;
    hash = tree_hash(edge);
    full_.push_back({.level = static_cast<int>(level),
                     .index = (size_ >> (kTileHeight * level)) / kTileWidth,
                     .hashes = join_hashes(edge),
                     .root = hash});
    edge.clear();
  }
  ++size_;
}

Sha256 TreeBuilder::root() const {
  return join_peaks(peaks(), std::nullopt);
}

std::vector<Sha256> TreeBuilder::peaks() const {
  std::vector<Sha256> peaks;
  for (const std::vector<Sha256>& edge : edges_) {
    std::size_t end = edge.size();
    while (end > 0) {
      const std::size_t width = std::size_t{1} << std::countr_zero(end);
      peaks.push_back(tree_hash(std::span(edge).subspan(end - width, width)));
      end -= width;
    }
  }
  return peaks;
}

std::vector<Tile> TreeBuilder::take_tiles() {
  std::vector<Tile> tiles = std::exchange(full_, {});
  std::ranges::sort(tiles, {}, [](const Tile& tile) { return std::pair(tile.level, tile.index); });
  return tiles;
}

// Leaves [begin, end) that form a subtree of RFC 6962's: begin is a multiple of the smallest power
// of two that is not below their number.
struct TiledTree::Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Result<Sha256> TiledTree::root() {
  if (size_ == 0) return sha256("");
  return range_hash({0, size_});
}

Result<Sha256> TiledTree::leaf(std::uint64_t index) {
  if (index >= size_) return Error{ErrorCode::kInvalid, "no such leaf in this tree"};
  return node(0, index);
}

Result<Proof> TiledTree::inclusion(std::uint64_t index) {
  if (index >= size_) return Error{ErrorCode::kInvalid, "no such leaf in this tree"};
  std::vector<Range> siblings;  // From the root down.
  Range range{0, size_};
  while (range.end - range.begin > 1) {
    const std::uint64_t middle = range.begin + split_point(range.end - range.begin);
    const bool left = index < middle;
    siblings.push_back(left ? Range{middle, range.end} : Range{range.begin, middle});
    range = left ? Range{range.begin, middle} : Range{middle, range.end};
  }
  std::ranges::reverse(siblings);
  return range_hashes(siblings);
}

Result<Proof> TiledTree::consistency(std::uint64_t from) {
  if (from > size_) return Error{ErrorCode::kInvalid, "the earlier tree is the larger one"};
  if (from == 0 || from == size_) return Proof{};
  std::vector<Range> ranges;  // From the root down.
  Range range{0, size_};
  bool whole =
      true;  // The part of the earlier tree in here is that tree itself: its root is known.
  while (range.end != from) {
    const std::uint64_t middle = range.begin + split_point(range.end - range.begin);
    if (from <= middle) {
      ranges.push_back({middle, range.end});
      range.end = middle;
    } else {
      ranges.push_back({range.begin, middle});
      range.begin = middle;
      whole = false;
    }
  }
  if (!whole) ranges.push_back(range);
  std::ranges::reverse(ranges);
  return range_hashes(ranges);
}

Result<Proof> TiledTree::range_hashes(std::span<const Range> ranges) {
  Proof proof;
  for (const Range& range : ranges) {
    const Result<Sha256> hash = range_hash(range);
    if (!hash.ok()) return hash.error();
    proof.push_back(*hash);
  }
  return proof;
}

// Whole subtrees from the right, each joined with all that follows it.
Result<Sha256> TiledTree::range_hash(const Range& range) {
  std::optional<Sha256> joined;
  std::uint64_t end = range.end;
  while (end > range.begin) {
    const int height = std::countr_zero(end - range.begin);
    const std::uint64_t width = std::uint64_t{1} << height;
    const Result<Sha256> hash = node(height, (end - width) >> height);
    if (!hash.ok()) return hash.error();
    joined = joined ? node_hash(*hash, *joined) : *hash;
    end -= width;
  }
  return *joined;
}

// The root of leaves [index * 2^height, (index + 1) * 2^height), all of them in this tree.
Result<Sha256> TiledTree::node(int height, std::uint64_t index) {
  const int level = height / kTileHeight;
  const std::uint64_t width = std::uint64_t{1} << (height % kTileHeight);  // In the tile's hashes.
  const std::uint64_t first = index * width;
  const Result<std::span<const Sha256>> hashes = tile(level, first / kTileWidth);
  if (!hashes.ok()) return hashes.error();
  return tree_hash(hashes->subspan(first % kTileWidth, width));
}

Result<std::span<const Sha256>> TiledTree::tile(int level, std::uint64_t index) {
  const TileId id{.level = level,
                  .index = index,
                  .width = std::min(kTileWidth, hashes_at(level, size_) - index * kTileWidth)};
  const auto known = tiles_.find(id);
  if (known != tiles_.end()) return std::span<const Sha256>(known->second);
  const Result<std::string> bytes = reader_(id);
  if (!bytes.ok()) return bytes.error();
  if (bytes->size() != id.width * kTreeHashBytes) {
    return Error{ErrorCode::kInvalid, "tile " + std::to_string(level) + "/" +
                                          tile_index_path(index) + " has " +
                                          std::to_string(bytes->size()) + " bytes, not " +
                                          std::to_string(id.width * kTreeHashBytes)};
  }
  const auto added = tiles_.emplace(id, split_hashes(*bytes)).first;
  return std::span<const Sha256>(added->second);
}

// RFC 9162, 2.1.3.2.
bool verify_inclusion(const LeafPlace& place, std::span<const Sha256> proof, const Sha256& root) {
  if (place.index >= place.size) return false;
  std::uint64_t node = place.index;
  std::uint64_t last = place.size - 1;
  Sha256 hash = place.leaf;
  for (const Sha256& sibling : proof) {
    if (last == 0) return false;
    if (node % 2 == 1 || node == last) {
      hash = node_hash(sibling, hash);
      while (node % 2 == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

// RFC 9162, 2.1.4.2.
bool verify_consistency(const TreeHead& from, const TreeHead& to, std::span<const Sha256> proof) {
  if (from.size > to.size) return false;
  if (from.size == to.size) return proof.empty() && from.root == to.root;
  if (from.size == 0) return proof.empty() && from.root == sha256("");
  std::vector<Sha256> path(proof.begin(), proof.end());
  if (std::has_single_bit(from.size)) path.insert(path.begin(), from.root);
  if (path.empty()) return false;
  std::uint64_t node = from.size - 1;
  std::uint64_t last = to.size - 1;
  while (node % 2 == 1) {
    node >>= 1;
    last >>= 1;
  }
  Sha256 earlier = path.front();
  Sha256 later = path.front();
  for (const Sha256& hash : std::span(path).subspan(1)) {
    if (last == 0) return false;
    if (node % 2 == 1 || node == last) {
      earlier = node_hash(hash, earlier);
      later = node_hash(hash, later);
      while (node % 2 == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      later = node_hash(later, hash);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && earlier == from.root && later == to.root;
}

}  // namespace holdfast::audit
