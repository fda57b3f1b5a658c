#include "audit/evidence.h"

#include <gtest/gtest.h>

#include "audit/checkpoint.h"

namespace holdfast::audit {
namespace {

WallTime time(const char* text) {
  return *parse_rfc3339(text);
}

TEST(Evidence, is_one_line_of_canonical_json) {
  const Evidence piece{.kind = EvidenceKind::kCosignature,
                       .anchor = "north.example/w1",
                       .head = {.size = 258, .root = {}},
                       .content = "\xE2\x80\x94 north.example/w1 AAAA",
                       .received = time("2026-10-05T08:00:00.5Z")};
  EXPECT_EQ(evidence_line(piece),
            R"({"anchor":"north.example/w1","content":"4oCUIG5vcnRoLmV4YW1wbGUvdzEgQUFBQQ==",)"
            R"("kind":"cosignature","received":"2026-10-05T08:00:00.500000Z",)"
            R"("root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","size":258})"
            "\n");
  for (const EvidenceKind kind :
       {EvidenceKind::kCosignature, EvidenceKind::kTimestamp, EvidenceKind::kReceipt}) {
    Evidence other = piece;
    other.kind = kind;
    const Result<Evidence> read = parse_evidence_line(evidence_line(other));
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, other);
  }
}

// With each of these the line is none; a kind that came later is to be skipped.
TEST(Evidence, lines_that_are_none_are_refused) {
  const std::string line = evidence_line({.kind = EvidenceKind::kReceipt, .anchor = "sink"});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = line;
    changed.replace(changed.find(from), from.size(), to);
    const Result<Evidence> read = parse_evidence_line(changed);
    return read.ok() ? std::nullopt : std::optional(read.error().code);
  };
  EXPECT_EQ(with("receipt", "receipt"), std::nullopt);
  EXPECT_EQ(with("receipt", "affidavit"), ErrorCode::kNotFound);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"sink\"", "7"},
                                                        {"\"content\":\"\"", "\"content\":\"?\""},
                                                        {"\"size\":0", "\"size\":-1"},
                                                        {"\"size\":0", "\"size\":\"0\""},
                                                        {"AAAA", "AAA"},
                                                        {"1970", "x"},
                                                        {"{", "["},
                                                        {"\"kind\"", "\"king\""}}) {
    EXPECT_EQ(with(from, to), ErrorCode::kInvalid) << to;
  }
}

TEST(Evidence, an_anchored_checkpoint_agrees_with_its_note) {
  const TreeHead head{.size = 5, .root = sha256("root")};
  const NoteSigner signer("audit.example/log", SigningKey::generate());
  const AnchoredCheckpoint anchored{
      .head = head,
      .note = sign_checkpoint({.origin = "audit.example/log", .head = head, .extensions = {}},
                              std::span(&signer, 1)),
      .signed_at = time("2026-10-05T08:00:00Z")};
  const std::string line = anchor_line(anchored);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const Result<AnchoredCheckpoint> read = parse_anchor_line(line);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, anchored);
  for (const AnchoredCheckpoint& wrong :
       {AnchoredCheckpoint{.head = {.size = 6, .root = head.root}, .note = anchored.note},
        AnchoredCheckpoint{.head = {.size = 5, .root = {}}, .note = anchored.note},
        AnchoredCheckpoint{.head = head, .note = "no note"}}) {
    EXPECT_FALSE(parse_anchor_line(anchor_line(wrong)).ok());
  }
  EXPECT_FALSE(parse_anchor_line("").ok());
  EXPECT_FALSE(parse_anchor_line(line.substr(0, line.size() / 2)).ok());
}

}  // namespace
}  // namespace holdfast::audit
