// What others have said of checkpoints, in the database and as it is served.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "audit/anchors_postgres.h"
#include "audit/cosignature.h"
#include "audit/evidence_store_postgres.h"
#include "tests/integration/tree_fixture.h"
#include "tests/support/fake_witness.h"

namespace holdfast::audit {
namespace {

using testing::FakeWitness;
using ::testing::HasSubstr;
using testing::TreeTest;

class EvidenceTest : public TreeTest {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    keeper_ = keeper("a");
    records_ = std::make_unique<PostgresRecordSource>(
        RecordSourceOptions{.access = {.database = database("holdfast_audit")}});
    source_ = std::make_unique<PostgresTreeSource>(records_->workers());
  }
  void TearDown() override {
    records_->stop();
    keeper_.reset();
    TreeTest::TearDown();
  }

  // The checkpoint over so many records.
  SignedCheckpoint sign(std::uint64_t size) {
    fill(size);
    EXPECT_TRUE(run(*keeper_).ok());
    return *runner_.run(source_->state())->checkpoint;
  }
  void add(const Evidence& evidence) const {
    pqxx::connection connection(database("holdfast_audit").url);
    pqxx::work transaction(connection);
    add_evidence(transaction, evidence);
    transaction.commit();
  }
  void cosign(const FakeWitness& witness, const SignedCheckpoint& checkpoint) const {
    std::string line = signature_line(witness.cosign(parse_note(checkpoint.note)->text, 7));
    line.pop_back();
    add({.kind = EvidenceKind::kCosignature,
         .anchor = witness.key().name,
         .head = checkpoint.head,
         .content = line});
  }

  testing::Runner runner_;
  std::unique_ptr<TreeKeeper> keeper_;
  std::unique_ptr<PostgresRecordSource> records_;
  std::unique_ptr<PostgresTreeSource> source_;
};

TEST_F(EvidenceTest, is_kept_once_in_the_order_of_arrival) {
  const SignedCheckpoint checkpoint = sign(300);
  EXPECT_EQ(runner_.run(source_->evidence(0)).error().code, ErrorCode::kNotFound);
  const Evidence token{.kind = EvidenceKind::kTimestamp,
                       .anchor = "https://tsa.example/",
                       .head = checkpoint.head,
                       .content = std::string("\x30\x00\xFF", 3)};
  add(token);
  add(token);
  add({.kind = EvidenceKind::kReceipt, .anchor = "sink", .head = checkpoint.head});
  const auto found = runner_.run(source_->evidence(0));
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->size(), 2U);
  Evidence first = found->front();
  EXPECT_LT(system_clock().now() - first.received, std::chrono::minutes(1));
  first.received = {};
  EXPECT_EQ(first, token);
  EXPECT_EQ(found->back().kind, EvidenceKind::kReceipt);
  for (const std::uint64_t file : {std::uint64_t{1}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    EXPECT_EQ(runner_.run(source_->evidence(file)).error().code, ErrorCode::kNotFound) << file;
  }
}

TEST_F(EvidenceTest, the_anchor_file_has_each_checkpoint_once_also_where_keys_were_rotated) {
  fill(3);
  std::vector<std::string> names;
  for (const std::string name : {"a", "b", "c"}) {
    names.push_back(name);
    TreeKeeperOptions options = keeper_options("a");
    options.signers = signers(names);
    keeper_.reset();
    keeper_ = keeper(std::move(options));
    ASSERT_TRUE(
        testing::eventually([&] { return run(*keeper_).ok() && keeper_->status().leading; }));
  }
  ASSERT_EQ(checkpoints(), "3,3,3");
  auto file = AnchorFile::open(this->file("anchors"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  FileAnchor anchor({.database = {.database = database("holdfast_audit")},
                     .tree = [&] { return keeper_->status(); }},
                    "anchors", *std::move(file));
  const auto lines = [&] {
    std::ifstream stream(this->file("anchors"));
    return std::ranges::count(std::string(std::istreambuf_iterator<char>(stream), {}), '\n');
  };
  for (int i = 0; i < 3; ++i) {
    const Result<bool> more = anchor.step();
    ASSERT_TRUE(more.ok()) << more.error().message;
    EXPECT_FALSE(*more);
    EXPECT_EQ(lines(), 3);
  }
  sign(4);
  ASSERT_TRUE(anchor.step().ok());
  EXPECT_EQ(lines(), 4);
}

TEST_F(EvidenceTest, cosignatures_are_served_under_the_checkpoint_they_are_for) {
  const FakeWitness north("north.example/w1");
  const FakeWitness south("south.example/w1");
  const SignedCheckpoint first = sign(300);
  cosign(north, first);
  cosign(south, first);
  const std::string note = runner_.run(source_->state())->checkpoint->note;
  const auto cosigned =
      verify_cosignatures(*parse_note(note), std::vector{north.key(), south.key()});
  ASSERT_TRUE(cosigned.ok()) << cosigned.error().message;
  EXPECT_EQ(cosigned->size(), 2U);
  EXPECT_TRUE(open_checkpoint(note, std::vector{keys_.at("a")}).ok());

  // A newer checkpoint has none yet. A proof is against the cosigned one, as long as that will do.
  EXPECT_EQ(parse_note(sign(400).note)->signatures.size(), 1U);
  const auto proved_under = [&](std::int64_t index) {
    const auto proof = parse_proof(*runner_.run(source_->proof(index)));
    return std::pair(read_checkpoint(proof->checkpoint_note)->head.size,
                     parse_note(proof->checkpoint_note)->signatures.size());
  };
  EXPECT_EQ(proved_under(299), std::pair(std::uint64_t{300}, std::size_t{3}));
  EXPECT_EQ(proved_under(300), std::pair(std::uint64_t{400}, std::size_t{1}));
}

TEST_F(EvidenceTest, is_of_checkpoints_that_were_signed_and_never_changes) {
  const SignedCheckpoint checkpoint = sign(300);
  const std::string add =
      "SELECT holdfast.add_evidence('receipt', 'sink', 300, decode(repeat('00', 32), 'hex'), '')";
  EXPECT_THAT(refusal("holdfast_audit", add), HasSubstr("no checkpoint over 300 was signed"));
  EXPECT_THAT(refusal("holdfast_proxy", add), HasSubstr("permission denied"));
  EXPECT_THAT(refusal("holdfast_audit",
                      "SELECT holdfast.add_evidence('rumour', 'sink', size, root,"
                      " '') FROM holdfast.tree_checkpoints WHERE size = 300"),
              HasSubstr("anchor_evidence_kind"));
  cosign(FakeWitness("north.example/w1"), checkpoint);
  for (const std::string attempt :
       {"UPDATE holdfast.anchor_evidence SET anchor = anchor",
        "DELETE FROM holdfast.anchor_evidence WHERE false", "TRUNCATE holdfast.anchor_evidence"}) {
    EXPECT_THAT(refusal("holdfast_audit", attempt), HasSubstr("permission denied"));
    EXPECT_THAT(refusal("postgres", "SET session_replication_role = replica; " + attempt),
                HasSubstr("append-only"));
  }
  EXPECT_THAT(idle_triggers("holdfast.anchor_evidence", "holdfast.anchor_evidence"),
              ::testing::IsEmpty());
}

}  // namespace
}  // namespace holdfast::audit
