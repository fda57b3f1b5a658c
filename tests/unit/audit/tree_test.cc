#include "audit/tree.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "tests/support/tree_model.h"

namespace holdfast::audit {
namespace {

using testing::Leaves;
using testing::TileStore;

// The entries and results that Certificate Transparency's implementations test with.
Leaves known_leaves(std::size_t count) {
  const std::vector<std::string> entries = {"",
                                            "00",
                                            "10",
                                            "2021",
                                            "3031",
                                            "40414243",
                                            "5051525354555657",
                                            "606162636465666768696a6b6c6d6e6f"};
  Leaves leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(*from_hex(entries[i])));
  return leaves;
}

const std::vector<std::string> kKnownRoots = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

std::vector<std::string> hex(const Result<Proof>& proof) {
  std::vector<std::string> texts;
  for (const Sha256& hash : *proof) texts.push_back(to_hex(hash));
  return texts;
}

TEST(Tree, known_roots) {
  TreeBuilder builder;
  EXPECT_EQ(to_hex(builder.root()), kKnownRoots[0]);
  std::size_t size = 0;
  for (const Sha256& leaf : known_leaves(8)) {
    builder.append(leaf);
    EXPECT_EQ(to_hex(builder.root()), kKnownRoots[++size]);
    EXPECT_EQ(to_hex(tree_hash(known_leaves(size))), kKnownRoots[size]);
    const TileStore store(known_leaves(size));
    EXPECT_EQ(to_hex(*store.tree(size).root()), kKnownRoots[size]);
  }
}

TEST(Tree, known_inclusion_proofs) {
  const TileStore store(known_leaves(8));
  EXPECT_EQ(hex(store.tree(1).inclusion(0)), std::vector<std::string>{});
  EXPECT_EQ(hex(store.tree(8).inclusion(0)),
            (std::vector<std::string>{
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(hex(store.tree(8).inclusion(5)),
            (std::vector<std::string>{
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  EXPECT_EQ(hex(store.tree(3).inclusion(2)),
            (std::vector<std::string>{
                "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}));
}

TEST(Tree, known_consistency_proofs) {
  const TileStore store(known_leaves(8));
  EXPECT_EQ(hex(store.tree(8).consistency(1)),
            (std::vector<std::string>{
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(hex(store.tree(8).consistency(6)),
            (std::vector<std::string>{
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  EXPECT_EQ(hex(store.tree(5).consistency(2)),
            (std::vector<std::string>{
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}));
}

TEST(Tree, what_is_beyond_the_tree_is_refused) {
  const TileStore store(known_leaves(8));
  EXPECT_EQ(store.tree(5).inclusion(5).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store.tree(5).leaf(5).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store.tree(5).consistency(6).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store.tree(9).root().error().code, ErrorCode::kNotFound);
  TiledTree short_tiles(5,
                        [](const TileId&) -> Result<std::string> { return std::string(32, 'x'); });
  EXPECT_EQ(short_tiles.root().error().code, ErrorCode::kInvalid);
}

TEST(Tree, tiles_are_those_of_the_specification) {
  // The example of tlog-tiles: 70,000 entries.
  EXPECT_EQ(hashes_at(0, 70'000) / kTileWidth, 273U);
  EXPECT_EQ(hashes_at(0, 70'000) % kTileWidth, 112U);
  EXPECT_EQ(hashes_at(1, 70'000) / kTileWidth, 1U);
  EXPECT_EQ(hashes_at(1, 70'000) % kTileWidth, 17U);
  EXPECT_EQ(hashes_at(2, 70'000), 1U);
  EXPECT_EQ(hashes_at(3, 70'000), 0U);
  EXPECT_EQ(hashes_at(63, ~std::uint64_t{0}), 0U);
  const TileStore store(testing::model_leaves(70'000));
  EXPECT_EQ(store.tiles().size(), 273U + 1U);
  const Tile& top = store.tiles().at({1, 0});
  EXPECT_EQ(top.root, testing::model_root(store.leaves(), 0, 65'536));
  EXPECT_EQ(top.hashes.size(), 8192U);
}

TEST(Tree, tile_paths_have_one_spelling) {
  const std::vector<std::pair<std::uint64_t, std::string>> cases = {
      {0, "000"}, {7, "007"}, {999, "999"}, {1000, "x001/000"}, {1'234'067, "x001/x234/067"}};
  for (const auto& [index, path] : cases) {
    EXPECT_EQ(tile_index_path(index), path);
    EXPECT_EQ(parse_tile_position(path), (TilePosition{.index = index}));
    EXPECT_EQ(parse_tile_position(path + ".p/1"), (TilePosition{.index = index, .width = 1}));
    EXPECT_EQ(parse_tile_position(path + ".p/255"), (TilePosition{.index = index, .width = 255}));
  }
  for (const char* bad : {"",
                          "0",
                          "00",
                          "0000",
                          "x000/001",
                          "001/x000",
                          "x001",
                          "x001/",
                          "001/002",
                          "x01/000",
                          "-01",
                          "000.p",
                          "000.p/",
                          "000.p/0",
                          "000.p/256",
                          "000.p/01",
                          "000.p/+1",
                          "000.p/1/",
                          "000.p/1.p/1",
                          "000.",
                          "X001/000",
                          "000/",
                          "/000",
                          "%30%30%30",
                          "x999/x999/x999/x999/x999/x999/x999/x999/999",
                          "x018/x446/x744/x073/x709/x551/616"}) {
    EXPECT_FALSE(parse_tile_position(bad)) << bad;
  }
}

TEST(Tree, a_builder_goes_on_where_another_ended) {
  const Leaves leaves = testing::model_leaves(1000);
  const TileStore store(Leaves(leaves.begin(), leaves.begin() + 600));
  std::vector<std::vector<Sha256>> edges(2);
  edges[0].assign(leaves.begin() + 512, leaves.begin() + 600);
  edges[1] = {store.tiles().at({0, 0}).root, store.tiles().at({0, 1}).root};
  Result<TreeBuilder> builder = TreeBuilder::resume(600, edges);
  ASSERT_TRUE(builder.ok()) << builder.error().message;
  EXPECT_EQ(builder->root(), testing::model_root(leaves, 0, 600));
  for (std::size_t i = 600; i < leaves.size(); ++i) builder->append(leaves[i]);
  EXPECT_EQ(builder->root(), testing::model_root(leaves, 0, 1000));
  const std::vector<Tile> tiles = builder->take_tiles();
  ASSERT_EQ(tiles.size(), 1U);
  EXPECT_EQ(tiles[0].index, 2U);
  EXPECT_EQ(TreeBuilder::resume(601, edges).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(TreeBuilder::resume(344, edges).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace holdfast::audit
