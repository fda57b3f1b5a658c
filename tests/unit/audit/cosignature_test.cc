#include "audit/cosignature.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "tests/support/fake_witness.h"

namespace holdfast::audit {
namespace {

using testing::FakeWitness;

constexpr const char* kText =
    "audit.contoso.com/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

TEST(Cosignature, a_key_is_written_as_the_specification_says) {
  WitnessKey key{.name = "witness.example/w1", .public_key = {}};
  const std::string bytes =
      *from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  std::ranges::copy(bytes, key.public_key.begin());
  const std::string id = to_hex(sha256("witness.example/w1\n\x04" + bytes)).substr(0, 8);
  EXPECT_EQ(key.text(), "witness.example/w1+" + id + "+" + to_base64("\x04" + bytes));
  const Result<WitnessKey> read = WitnessKey::parse(key.text());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, key);
  // A log's key is none, whatever its name; nor is one of another algorithm.
  const VerifierKey log{.name = key.name, .public_key = key.public_key};
  EXPECT_FALSE(WitnessKey::parse(log.text()).ok());
  EXPECT_FALSE(VerifierKey::parse(key.text()).ok());
  EXPECT_NE(log.key_id(), key.key_id());
}

TEST(Cosignature, says_when_and_is_verified) {
  const FakeWitness witness("north.example/w1");
  const auto said = verify_cosignature(witness.cosign(kText, 1'679'315'147), kText, witness.key());
  ASSERT_TRUE(said.ok()) << said.error().message;
  EXPECT_EQ(said->time_s, 1'679'315'147);
  EXPECT_EQ(said->witness, "north.example/w1");
}

TEST(Cosignature, a_flipped_bit_anywhere_is_noticed) {
  const FakeWitness witness("north.example/w1");
  const NoteSignature original = witness.cosign(kText, 1'679'315'147);
  for (std::size_t bit = 0; bit < original.bytes.size() * 8; ++bit) {
    NoteSignature changed = original;
    changed.bytes[bit / 8] = static_cast<char>(changed.bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(verify_cosignature(changed, kText, witness.key()).ok()) << bit;
  }
  EXPECT_FALSE(verify_cosignature(original, std::string(kText) + "x\n", witness.key()).ok());
  NoteSignature cut = original;
  for (; !cut.bytes.empty(); cut.bytes.pop_back()) {
    if (cut.bytes.size() == original.bytes.size()) continue;
    EXPECT_FALSE(verify_cosignature(cut, kText, witness.key()).ok()) << cut.bytes.size();
  }
}

TEST(Cosignature, without_a_time_it_counts_for_nothing) {
  const FakeWitness witness("north.example/w1");
  EXPECT_FALSE(verify_cosignature(witness.cosign(kText, 0), kText, witness.key()).ok());
  EXPECT_FALSE(verify_cosignature(witness.cosign(kText, 1ULL << 63), kText, witness.key()).ok());
}

TEST(Cosignature, under_a_note_each_known_witness_counts_once_and_a_wrong_one_refuses_all) {
  const FakeWitness north("north.example/w1");
  const FakeWitness south("south.example/w1");
  const std::vector<WitnessKey> keys = {north.key(), south.key()};
  Note note{.text = kText,
            .signatures = {north.cosign(kText, 7), north.cosign(kText, 9),
                           FakeWitness("stranger.example").cosign(kText, 8)}};
  const auto found = verify_cosignatures(note, keys);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().time_s, 7);
  note.signatures.push_back(south.cosign("another text\n", 8));
  EXPECT_EQ(verify_cosignatures(note, keys).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(verify_cosignatures(note, std::vector{north.key()}).ok());
}

TEST(Witness, is_asked_in_the_specifications_form) {
  const AddCheckpoint request{.old_size = 20'852'014,
                              .proof = {Sha256{}, Sha256{1}},
                              .note = "example.com/behind-the-sofa\n…"};
  EXPECT_EQ(format_add_checkpoint(request),
            "old 20852014\n"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            "\n"
            "example.com/behind-the-sofa\n…");
  EXPECT_EQ(format_add_checkpoint({.old_size = 0, .proof = {}, .note = "n"}), "old 0\n\nn");
}

TEST(Witness, answers_with_signature_lines_or_a_size) {
  const FakeWitness witness("north.example/w1");
  const NoteSignature one = witness.cosign(kText, 7);
  const auto lines = parse_signature_lines(signature_line(one) + signature_line(one));
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(*lines, std::vector({one, one}));
  const std::string line = signature_line(one);
  for (const std::string& garbage :
       {std::string(), std::string("\n"), std::string("<html>"), line.substr(0, line.size() - 1),
        "\n" + line, line + "\n", line + "\n" + line, "text\n\n" + line, line + "more\n"}) {
    EXPECT_FALSE(parse_signature_lines(garbage).ok()) << garbage;
  }
  EXPECT_EQ(*parse_tree_size("0\n"), 0U);
  EXPECT_EQ(*parse_tree_size("20852163\n"), 20'852'163U);
  for (const char* garbage : {"", "7", "7\n\n", "07\n", "-7\n", "7 \n", "18446744073709551616\n"}) {
    EXPECT_FALSE(parse_tree_size(garbage).ok()) << garbage;
  }
}

}  // namespace
}  // namespace holdfast::audit
