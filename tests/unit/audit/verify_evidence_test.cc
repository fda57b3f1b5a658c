#include "audit/verify_evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "audit/checkpoint.h"
#include "tests/support/fake_witness.h"

namespace holdfast::audit {
namespace {

using ::testing::ElementsAre;
using testing::FakeWitness;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kLogOrigin = "audit.test/log";

TreeHead head_over(std::uint64_t size, const std::string& seed = "") {
  return {.size = size, .root = sha256(std::to_string(size) + seed)};
}

std::string text(const TreeHead& of, const std::string& origin = kLogOrigin) {
  return checkpoint_text({.origin = origin, .head = of, .extensions = {}});
}

class VerifyEvidence : public ::testing::Test {
 protected:
  std::string cosigned(const FakeWitness& witness, const TreeHead& said, const TreeHead& of) {
    std::string line = signature_line(witness.cosign(text(said), 1'790'000'000));
    line.pop_back();
    return evidence_line({.kind = EvidenceKind::kCosignature,
                          .anchor = witness.key().name,
                          .head = of,
                          .content = std::move(line)});
  }
  std::string cosigned(const FakeWitness& witness, const TreeHead& of) {
    return cosigned(witness, of, of);
  }

  EvidenceCheck check() {
    const Result<Policy> policy =
        Policy::parse("witness n " + north_.key().text() + "\nwitness s " + south_.key().text() +
                      "\ngroup both all n s\nquorum both\n");
    EXPECT_TRUE(policy.ok()) << policy.error().message;
    return EvidenceCheck({.origin = kLogOrigin, .policy = *policy, .threads = 2});
  }
  EvidenceReport report(std::string_view lines) {
    EvidenceCheck checked = check();
    checked.add_file(0, lines);
    return std::move(checked).finish(300);
  }

  const FakeWitness north_{"north.test/w"};
  const FakeWitness south_{"south.test/w"};
  const FakeWitness stranger_{"stranger.test/w"};
};

auto says(const std::string& what) {
  return Field("what", &Fault::what, HasSubstr(what));
}

TEST_F(VerifyEvidence, what_holds_becomes_a_root_and_the_quorum_counts) {
  const std::string lines = cosigned(north_, head_over(100)) + cosigned(south_, head_over(100)) +
                            cosigned(north_, head_over(200)) + cosigned(stranger_, head_over(300)) +
                            evidence_line({.kind = EvidenceKind::kReceipt, .anchor = "sink"}) +
                            "{\"anchor\":\"x\",\"content\":\"\",\"kind\":\"new\",\"received\":"
                            "\"2026-10-05T08:00:00Z\",\"root\":"
                            "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\",\"size\":1}\n";
  const EvidenceReport found = report(lines);
  EXPECT_THAT(found.faults.list(), IsEmpty());
  EXPECT_EQ(found.cosignatures, 3U);
  EXPECT_EQ(found.unknown, 1U);
  ASSERT_TRUE(found.witnessed.has_value());
  EXPECT_EQ(found.witnessed->head, head_over(100));
  EXPECT_EQ(found.witnessed->time, WallTime(std::chrono::seconds(1'790'000'000)));
  ASSERT_EQ(found.roots.size(), 2U);
  EXPECT_EQ(found.roots[0].head, head_over(100));
  EXPECT_EQ(found.roots[1].head, head_over(200));
  EXPECT_EQ(found.roots[1].from, "the checkpoint that north.test/w has cosigned");
}

TEST_F(VerifyEvidence, two_trees_of_one_size_are_not_one) {
  const EvidenceReport found =
      report(cosigned(north_, head_over(100)) + cosigned(south_, head_over(100, "other")));
  EXPECT_THAT(found.faults.list(),
              ElementsAre(says("no checkpoint has the cosignatures that the policy requires; the "
                               "newest is over 300 records")));
  EXPECT_EQ(found.roots.size(), 2U);
}

TEST_F(VerifyEvidence, what_is_wrong_is_named) {
  const std::string good = cosigned(north_, head_over(7)) + cosigned(south_, head_over(7));
  EXPECT_THAT(report(good + cosigned(north_, head_over(8), head_over(9))).faults.list(),
              ElementsAre(says("the cosignature of north.test/w over 9 records: the cosignature of "
                               "north.test/w is wrong")));
  const FakeWitness impostor("north.test/w");
  EXPECT_THAT(report(good + cosigned(impostor, head_over(9))).faults.list(),
              ElementsAre(says("over 9 records: not a signature of north.test/w")));
  const std::string no_line = evidence_line({.kind = EvidenceKind::kCosignature,
                                             .anchor = "north.test/w",
                                             .head = head_over(9),
                                             .content = "no line"});
  EXPECT_THAT(report(good + no_line).faults.list(),
              ElementsAre(says("over 9 records: not a signature line")));
  EXPECT_THAT(report(good + "\n{}").faults.list(),
              ElementsAre(says("evidence/000, line 3: is missing"),
                          says("evidence/000, line 4: not a piece of evidence")));
}

TEST_F(VerifyEvidence, only_the_last_file_may_be_short) {
  const std::string good = cosigned(north_, head_over(7)) + cosigned(south_, head_over(7));
  EvidenceCheck checked = check();
  checked.add_file(0, good);
  checked.add_file(1, good);
  EXPECT_THAT(std::move(checked).finish(7).faults.list(),
              ElementsAre(says("the file before evidence/001 holds 2 pieces of 256")));
}

TEST_F(VerifyEvidence, a_checkpoint_brings_cosignatures_of_its_own) {
  Note note{.text = text(head_over(5))};
  note.signatures = {north_.cosign(note.text, 1'790'000'000),
                     south_.cosign(note.text, 1'790'000'000)};
  EvidenceCheck checked = check();
  checked.add_note(format_note(note));
  const EvidenceReport found = std::move(checked).finish(5);
  ASSERT_TRUE(found.witnessed.has_value());
  EXPECT_EQ(found.witnessed->head, head_over(5));

  note.signatures[1].bytes.back() ^= 1;
  EvidenceCheck wrong = check();
  wrong.add_note(format_note(note));
  EXPECT_THAT(std::move(wrong).finish(5).faults.list(),
              ElementsAre(says("the log's checkpoint over 5 records: the cosignature of "
                               "south.test/w is wrong"),
                          says("the policy requires")));
}

// Made by tests/support/timestamp_authority.py.
std::string timestamp_data(const std::string& name) {
  std::ifstream file(HOLDFAST_SOURCE_DIR "/tests/data/timestamp/" + name, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

EvidenceReport stamped(std::string_view evidence, std::uint64_t tree_size) {
  Result<TimestampTrust> trust = TimestampTrust::from_pem(timestamp_data("ca.crt"));
  EXPECT_TRUE(trust.ok()) << trust.error().message;
  EvidenceCheck check({.origin = "audit.contoso.com/log", .timestamps = *std::move(trust)});
  check.add_file(0, evidence);
  return std::move(check).finish(tree_size);
}

TEST_F(VerifyEvidence, whoever_names_an_authority_is_told_how_far_its_word_goes) {
  const Result<Checkpoint> of = parse_checkpoint_text(timestamp_data("text"));
  ASSERT_TRUE(of.ok()) << of.error().message;
  const EvidenceReport found = stamped(evidence_line({.kind = EvidenceKind::kTimestamp,
                                                      .anchor = "tsa.test",
                                                      .head = of->head,
                                                      .content = timestamp_data("token.der")}),
                                       300);
  EXPECT_THAT(found.faults.list(), IsEmpty());
  EXPECT_EQ(found.timestamps, 1U);
  ASSERT_TRUE(found.stamped.has_value());
  EXPECT_EQ(found.stamped->head, of->head);
  EXPECT_EQ(to_rfc3339(found.stamped->time), "2026-11-25T15:51:06.000000Z");
}

TEST_F(VerifyEvidence, whoever_names_an_authority_demands_its_word) {
  // Of nobody that counts.
  for (const std::string& lines :
       {std::string(), cosigned(north_, head_over(7)),
        evidence_line({.kind = EvidenceKind::kReceipt, .anchor = "sink"})}) {
    EXPECT_THAT(stamped(lines, 300).faults.list(),
                ElementsAre(says("no checkpoint has a time stamp that leads to the certificates "
                                 "named for them; the newest is over 300 records")));
  }
}

TEST_F(VerifyEvidence, nothing_is_required_where_nobody_asks_for_it) {
  EvidenceCheck checked({.origin = kLogOrigin});
  checked.add_file(0, cosigned(north_, head_over(7)));
  const EvidenceReport found = std::move(checked).finish(7);
  EXPECT_THAT(found.faults.list(), IsEmpty());
  EXPECT_THAT(found.roots, IsEmpty());
  EXPECT_EQ(found.unknown, 1U);
}

}  // namespace
}  // namespace holdfast::audit
