// The tree against RFC 6962's own recursive definition, and proofs against every flipped bit.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "audit/tree.h"
#include "tests/support/tree_model.h"

namespace holdfast::audit {
namespace {

using testing::model_root;
using testing::TileStore;

constexpr std::size_t kSizeMax = 3000;

const TileStore& store() {
  static const TileStore made(testing::model_leaves(kSizeMax));
  return made;
}

std::size_t some_size() {
  return *rc::gen::oneOf(rc::gen::inRange<std::size_t>(1, 20),
                         rc::gen::inRange<std::size_t>(1, kSizeMax + 1),
                         rc::gen::element<std::size_t>(255, 256, 257, 511, 512, 513, 768, 2560));
}

TreeHead head(std::size_t size) {
  return {.size = size, .root = model_root(store().leaves(), 0, size)};
}

Sha256 flip(const Sha256& hash, std::size_t bit) {
  Sha256 flipped = hash;
  flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
  return flipped;
}

RC_GTEST_PROP(TreeProperty, roots_are_those_of_the_definition, ()) {
  const std::size_t size = some_size();
  const auto& leaves = store().leaves();
  RC_ASSERT(*store().tree(size).root() == head(size).root);
  TreeBuilder builder;
  for (std::size_t i = 0; i < size; ++i) builder.append(leaves[i]);
  RC_ASSERT(builder.root() == head(size).root);
}

RC_GTEST_PROP(TreeProperty, inclusion_proofs_verify_and_nothing_near_them_does, ()) {
  const std::size_t size = some_size();
  const std::uint64_t index = *rc::gen::inRange<std::size_t>(0, size);
  const LeafPlace place{.leaf = store().leaves()[index], .index = index, .size = size};
  const Sha256 root = head(size).root;
  Proof proof = *store().tree(size).inclusion(index);
  RC_ASSERT(verify_inclusion(place, proof, root));

  const std::size_t bit = *rc::gen::inRange<std::size_t>(0, 256);
  RC_ASSERT(!verify_inclusion(place, proof, flip(root, bit)));
  LeafPlace other = place;
  other.leaf = flip(place.leaf, bit);
  RC_ASSERT(!verify_inclusion(other, proof, root));
  other = place;
  other.index = *rc::gen::inRange<std::size_t>(0, size + 5);
  RC_ASSERT(other.index == index || !verify_inclusion(other, proof, root));
  if (!proof.empty()) {
    const std::size_t at = *rc::gen::inRange<std::size_t>(0, proof.size());
    Proof changed = proof;
    changed[at] = flip(changed[at], bit);
    RC_ASSERT(!verify_inclusion(place, changed, root));
    changed = proof;
    changed.pop_back();
    RC_ASSERT(!verify_inclusion(place, changed, root));
  }
  proof.push_back(root);
  RC_ASSERT(!verify_inclusion(place, proof, root));
}

RC_GTEST_PROP(TreeProperty, consistency_proofs_verify_and_nothing_near_them_does, ()) {
  const std::size_t size = some_size();
  const std::size_t earlier = *rc::gen::inRange<std::size_t>(1, size + 1);
  const TreeHead from = head(earlier);
  const TreeHead to = head(size);
  Proof proof = *store().tree(size).consistency(earlier);
  RC_ASSERT(verify_consistency(from, to, proof));

  const std::size_t bit = *rc::gen::inRange<std::size_t>(0, 256);
  RC_ASSERT(!verify_consistency({from.size, flip(from.root, bit)}, to, proof));
  RC_ASSERT(!verify_consistency(from, {to.size, flip(to.root, bit)}, proof));
  const std::size_t wrong = *rc::gen::inRange<std::size_t>(0, kSizeMax);
  RC_ASSERT(wrong == earlier || !verify_consistency({wrong, from.root}, to, proof));
  if (!proof.empty()) {
    const std::size_t at = *rc::gen::inRange<std::size_t>(0, proof.size());
    Proof changed = proof;
    changed[at] = flip(changed[at], bit);
    RC_ASSERT(!verify_consistency(from, to, changed));
    changed = proof;
    changed.pop_back();
    RC_ASSERT(!verify_consistency(from, to, changed));
  }
  proof.push_back(to.root);
  RC_ASSERT(!verify_consistency(from, to, proof));
}

TEST(TreeProperty, every_size_and_index_of_small_trees) {
  for (std::size_t size = 0; size <= 70; ++size) {
    TiledTree tree = store().tree(size);
    ASSERT_EQ(*tree.root(), head(size).root);
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_TRUE(
          verify_inclusion({store().leaves()[i], i, size}, *tree.inclusion(i), head(size).root));
    }
    for (std::size_t from = 0; from <= size; ++from) {
      ASSERT_TRUE(verify_consistency(head(from), head(size), *tree.consistency(from)));
    }
  }
}

TEST(TreeProperty, trees_of_three_levels_of_tiles) {
  const TileStore large(testing::model_leaves(65'536 + 300));
  const std::uint64_t size = large.leaves().size();
  const Sha256 root = model_root(large.leaves(), 0, size);
  ASSERT_EQ(*large.tree(size).root(), root);
  ASSERT_EQ(large.builder().root(), root);
  for (const std::uint64_t index : {0UL, 255UL, 256UL, 65'535UL, 65'536UL, size - 1}) {
    EXPECT_TRUE(verify_inclusion({large.leaves()[index], index, size},
                                 *large.tree(size).inclusion(index), root));
  }
  for (const std::uint64_t from : {1UL, 256UL, 65'535UL, 65'536UL, 65'537UL, size}) {
    EXPECT_TRUE(verify_consistency({from, model_root(large.leaves(), 0, from)}, {size, root},
                                   *large.tree(size).consistency(from)));
  }
}

}  // namespace
}  // namespace holdfast::audit
