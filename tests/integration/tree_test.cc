// Keeping the tree: real database, the audit service's own role.
#include "tests/integration/tree_fixture.h"

namespace holdfast::audit {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::kOrigin;
using testing::TreeTest;

TEST_F(TreeTest, signs_the_tree_over_the_log) {
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  EXPECT_EQ(newest("a"), (TreeHead{0, sha256("")}));
  for (const std::uint64_t size : {1, 255, 256, 257, 700}) {
    fill(size);
    const Status done = run(*a);
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(newest("a"), true_head()) << size;
  }
  EXPECT_EQ(checkpoints(), "0,1,255,256,257,700");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.tree_tiles"), "2");
  const TreeStatus status = a->status();
  EXPECT_TRUE(status.leading);
  EXPECT_EQ(status.frozen, "");
  EXPECT_EQ(status.seen, true_head());
  EXPECT_EQ(status.checkpoints_signed, 6U);
  // Nothing new, nothing signed.
  ASSERT_TRUE(run(*a).ok());
  EXPECT_EQ(a->status().checkpoints_signed, 6U);
}

TEST_F(TreeTest, another_process_goes_on_wherever_one_ended) {
  fill(70'000);
  for (int i = 0; i < 300; ++i) {
    TreeKeeperOptions options = keeper_options("a");
    options.leaves_max = 333;
    auto a = keeper(std::move(options));
    Result<bool> more = false;
    // Until the server has noticed that the one before is gone, this one only watches.
    ASSERT_TRUE(eventually([&] {
      more = a->step();
      return !more.ok() || a->status().leading;
    }));
    ASSERT_TRUE(more.ok()) << more.error().message;
    if (!*more) break;
  }
  EXPECT_EQ(newest("a"), true_head());
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.tree_tiles WHERE level = 0"), "273");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.tree_tiles WHERE level = 1"), "1");
}

TEST_F(TreeTest, one_leads_and_the_next_takes_over) {
  fill(300);
  auto a = keeper("a");
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  ASSERT_TRUE(run(*b).ok());
  EXPECT_TRUE(a->status().leading);
  EXPECT_FALSE(b->status().leading);
  EXPECT_EQ(value("SELECT holdfast.tree_leader()"), "a");
  // Who only watches remembers what it has seen.
  EXPECT_EQ(b->status().seen, true_head());
  a.reset();
  fill(301);
  ASSERT_TRUE(eventually([&] { return run(*b).ok() && b->status().leading; }));
  ASSERT_TRUE(run(*b).ok());
  EXPECT_EQ(newest("b"), true_head());
  EXPECT_EQ(value("SELECT holdfast.tree_leader()"), "b");
}

TEST_F(TreeTest, both_keys_of_a_rotation_sign) {
  fill(3);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  a.reset();
  TreeKeeperOptions options = keeper_options("a");
  options.signers = signers({"a", "new"});
  a = keeper(std::move(options));
  // On a log that stands still as well.
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_EQ(checkpoints(), "3,3");
  EXPECT_EQ(newest("a"), true_head());
  EXPECT_EQ(newest("new"), true_head());
  ASSERT_TRUE(run(*a).ok());
  EXPECT_EQ(checkpoints(), "3,3");
}

TEST_F(TreeTest, the_database_refuses_what_is_not_the_tree) {
  fill(600);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  const std::string tiles =
      "SELECT holdfast.add_tiles(0, 2, ARRAY[decode(repeat('00', 8192), "
      "'hex')], ARRAY[decode(repeat('00', 32), 'hex')])";
  const std::string checkpoint =
      "SELECT holdfast.add_checkpoint(600, decode(repeat('00', 32), 'hex'), 'note')";
  // Somebody leads, and it is not this session.
  EXPECT_THAT(refusal("holdfast_audit", tiles), HasSubstr("another session"));
  EXPECT_THAT(refusal("holdfast_audit", checkpoint), HasSubstr("another session"));
  a.reset();
  ASSERT_TRUE(eventually([&] { return value("SELECT holdfast.tree_leader()").empty(); }));
  EXPECT_THAT(refusal("holdfast_audit", tiles), HasSubstr("differs"));
  EXPECT_THAT(refusal("holdfast_audit", checkpoint), HasSubstr("contradicts"));
  EXPECT_THAT(refusal("holdfast_audit", "SELECT holdfast.add_checkpoint(599, '', 'note')"),
              HasSubstr("contradicts"));
  EXPECT_THAT(refusal("holdfast_audit",
                      "SELECT holdfast.add_checkpoint(601, decode(repeat('00', 32), 'hex'), 'x')"),
              HasSubstr("ahead"));
  EXPECT_THAT(refusal("holdfast_audit", "SELECT holdfast.add_tiles(0, 1, '{}', '{}')"),
              HasSubstr("is next"));
  fill(800);
  EXPECT_THAT(refusal("holdfast_audit",
                      "SELECT holdfast.add_checkpoint(800, decode(repeat('00', 32), 'hex'), 'x')"),
              HasSubstr("ahead"));
}

TEST_F(TreeTest, nobody_changes_tiles_and_checkpoints) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  for (const std::string table : {"holdfast.tree_tiles", "holdfast.tree_checkpoints"}) {
    EXPECT_THAT(idle_triggers(table, table), ::testing::IsEmpty());
    for (const std::string user : {"holdfast_proxy", "holdfast_audit"}) {
      for (const std::string& attempt :
           {"INSERT INTO " + table + " DEFAULT VALUES", "DELETE FROM " + table, "TRUNCATE " + table,
            "UPDATE " + table + " SET root = root"}) {
        EXPECT_THAT(refusal(user, attempt), HasSubstr("permission denied")) << attempt;
      }
    }
    for (const std::string& attempt :
         {"UPDATE " + table + " SET root = root", "DELETE FROM " + table + " WHERE false",
          "TRUNCATE " + table}) {
      for (const std::string mode : {"origin", "replica"}) {
        EXPECT_THAT(refusal("postgres", "SET session_replication_role = " + mode + "; " + attempt),
                    HasSubstr("append-only"))
            << attempt;
      }
    }
  }
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT * FROM holdfast.tree_checkpoints"),
              HasSubstr("permission denied"));
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT holdfast.add_checkpoint(1, '', '')"),
              HasSubstr("permission denied"));
}

class TreeSourceTest : public TreeTest {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    records_ = std::make_unique<PostgresRecordSource>(
        RecordSourceOptions{.access = {.database = database("holdfast_audit")}});
    source_ = std::make_unique<PostgresTreeSource>(records_->workers());
  }
  void TearDown() override {
    records_->stop();
    TreeTest::TearDown();
  }

  ErrorCode tile_error(const TileId& id) {
    const Result<std::string> tile = runner_.run(source_->tile(id));
    return tile.ok() ? ErrorCode::kInternal : tile.error().code;
  }

  testing::Runner runner_;
  std::unique_ptr<PostgresRecordSource> records_;
  std::unique_ptr<PostgresTreeSource> source_;
};

TEST_F(TreeSourceTest, serves_tiles_entries_and_proofs) {
  EXPECT_EQ(runner_.run(source_->proof(std::int64_t{0})).error().code, ErrorCode::kNotFound);
  fill(70'000);
  EXPECT_EQ(runner_.run(source_->proof(std::int64_t{0})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(tile_error({0, 0, 256}), ErrorCode::kNotFound);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  const TreeHead head = newest("a");

  const auto state = runner_.run(source_->state());
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->checkpoint->head, head);
  EXPECT_EQ(state->log_size, 70'000U);
  EXPECT_EQ(state->leader, "a");

  TiledTree tree(head.size, [this](const TileId& id) { return runner_.run(source_->tile(id)); });
  EXPECT_EQ(*tree.root(), head.root);
  EXPECT_EQ(runner_.run(source_->tile({1, 0, 256}))->size(), 8192U);
  EXPECT_EQ(*runner_.run(source_->tile({1, 0, 3})),
            runner_.run(source_->tile({1, 0, 256}))->substr(0, 96));
  for (const TileId& id : std::vector<TileId>{{0, 273, 113},
                                              {0, 273, 256},
                                              {0, 274, 1},
                                              {1, 1, 18},
                                              {2, 0, 2},
                                              {3, 0, 1},
                                              {8, 0, 1},
                                              {63, 0, 1},
                                              {0, std::uint64_t{1} << 62, 256}}) {
    EXPECT_EQ(tile_error(id), ErrorCode::kNotFound) << id.level << "/" << id.index;
  }

  const std::string bundle = *runner_.run(source_->bundle({.index = 273, .width = 112}));
  testing::Leaves leaves;
  for (std::size_t at = 0; at + 2 <= bundle.size();) {
    const std::size_t length =
        static_cast<unsigned char>(bundle[at]) * 256U + static_cast<unsigned char>(bundle[at + 1]);
    leaves.push_back(leaf_hash(bundle.substr(at + 2, length)));
    at += 2 + length;
  }
  EXPECT_EQ(leaves.size(), 112U);
  EXPECT_EQ(join_hashes(leaves), *runner_.run(source_->tile({0, 273, 112})));
  EXPECT_EQ(runner_.run(source_->bundle({.index = 273, .width = 113})).error().code,
            ErrorCode::kNotFound);

  for (const std::int64_t index : {0, 65'535, 65'536, 69'999}) {
    const Result<std::string> text = runner_.run(source_->proof(index));
    ASSERT_TRUE(text.ok()) << text.error().message;
    const Result<TlogProof> proof = parse_proof(*text);
    ASSERT_TRUE(proof.ok()) << proof.error().message;
    const auto place = static_cast<std::uint64_t>(index);
    EXPECT_EQ(proof->index, place);
    EXPECT_TRUE(open_checkpoint(proof->checkpoint_note, std::vector{keys_.at("a")}).ok());
    EXPECT_TRUE(verify_inclusion({*tree.leaf(place), place, head.size}, proof->hashes, head.root));
  }
  EXPECT_EQ(runner_.run(source_->proof(std::int64_t{70'000})).error().code, ErrorCode::kNotFound);
  fill(70'001);
  EXPECT_EQ(runner_.run(source_->proof(std::int64_t{70'000})).error().code,
            ErrorCode::kUnavailable);
}

TEST_F(TreeSourceTest, hashes_outlive_the_entries) {
  fill(600);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  const Result<std::string> before = runner_.run(source_->proof(std::int64_t{7}));
  ASSERT_TRUE(before.ok()) << before.error().message;
  tamper("DELETE FROM holdfast.log WHERE index < 256");  // As a dropped partition would.
  dropped(0, 256);
  EXPECT_EQ(*runner_.run(source_->proof(std::int64_t{7})), *before);
  EXPECT_EQ(runner_.run(source_->bundle({.index = 0})).error().code, ErrorCode::kNotFound);
  a.reset();
  auto next = keeper("a");
  fill(700);
  ASSERT_TRUE(eventually([&] { return run(*next).ok() && next->status().leading; }));
  EXPECT_EQ(checkpoints(), "600,700");
}

}  // namespace
}  // namespace holdfast::audit
