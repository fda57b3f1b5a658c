#include "audit/checkpoint.h"

#include <gtest/gtest.h>

namespace holdfast::audit {
namespace {

// The example of the signed-note specification.
constexpr const char* kExampleKey =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr const char* kExampleNote =
    "This is an example message.\n"
    "\n"
    "\xE2\x80\x94 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";

constexpr const char* kOrigin = "audit.contoso.com/log";

Checkpoint some_checkpoint() {
  return {
      .origin = kOrigin, .head = {.size = 20'852'163, .root = sha256("root")}, .extensions = {}};
}

std::vector<NoteSigner> some_signers(int count) {
  std::vector<NoteSigner> signers;
  for (int i = 0; i < count; ++i) signers.emplace_back(kOrigin, SigningKey::generate());
  return signers;
}

TEST(Note, the_specifications_example_verifies) {
  const Result<VerifierKey> key = VerifierKey::parse(kExampleKey);
  ASSERT_TRUE(key.ok()) << key.error().message;
  EXPECT_EQ(key->text(), kExampleKey);
  EXPECT_EQ(key->key_id(), 0x530d903aU);
  const Result<Note> note = parse_note(kExampleNote);
  ASSERT_TRUE(note.ok()) << note.error().message;
  EXPECT_EQ(format_note(*note), kExampleNote);
  EXPECT_TRUE(verify_note(*note, std::vector{*key}).ok());
}

TEST(Note, a_flipped_bit_anywhere_is_noticed) {
  const std::vector<VerifierKey> keys = {*VerifierKey::parse(kExampleKey)};
  const std::string original = kExampleNote;
  for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
    std::string changed = original;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const Result<Note> note = parse_note(changed);
    EXPECT_FALSE(note.ok() && verify_note(*note, keys).ok()) << bit;
  }
}

TEST(Note, malformed_ones_are_refused) {
  const std::string note = kExampleNote;
  const std::string signature = note.substr(note.find("\xE2\x80\x94"));
  for (const std::string& bad : std::vector<std::string>{
           "", "\n", "text\n", "text\n\n", "text\n" + signature, note.substr(0, note.size() - 1),
           note + "\n", note + "more\n", "te\txt\n\n" + signature, "te\xFFxt\n\n" + signature,
           "text\n\n\xE2\x80\x94 a+b AAAAAAA=\n", "text\n\n\xE2\x80\x94 a\xC2\xA0z AAAAAAA=\n",
           "text\n\n\xE2\x80\x94 name AAAAAA==\n", "text\n\n\xE2\x80\x94 name AAAA\n",
           "text\n\n\xE2\x80\x94 name ?\n", "text\n\n\xE2\x80\x94  AAAAAAA=\n",
           "text\n\n- name AAAAAAA=\n", std::string(1024 * 1024, 'x') + "\n\n" + signature}) {
    EXPECT_FALSE(parse_note(bad).ok()) << bad.substr(0, 80);
  }
  // The last blank line parts text and signatures.
  const Result<Note> two = parse_note("text\n\nmore\n\n" + signature);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->text, "text\n\nmore\n");
  std::string sixteen = "text\n\n";
  for (int i = 0; i < 16; ++i) sixteen += signature;
  EXPECT_TRUE(parse_note(sixteen).ok());
}

TEST(Note, unknown_signatures_count_for_nothing_and_wrong_ones_refuse_all) {
  const std::vector<NoteSigner> signers = some_signers(2);
  const std::vector<VerifierKey> keys = {signers[0].verifier(), signers[1].verifier()};
  Note note{.text = "text\n", .signatures = {signers[0].sign("text\n"), signers[1].sign("text\n")}};
  EXPECT_TRUE(verify_note(note, keys).ok());
  EXPECT_TRUE(verify_note(note, std::vector{keys[1]}).ok());
  EXPECT_EQ(verify_note(note, {}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(verify_note(note, std::vector{some_signers(1)[0].verifier()}).error().code,
            ErrorCode::kRefused);
  // Who has signed is said where it goes by the name of a known key.
  const auto begin = [](const VerifierKey& key) {
    return key.text().substr(0, key.name.size() + 9);
  };
  EXPECT_EQ(verify_note(note, std::vector{some_signers(1)[0].verifier()}).error().message,
            "no known key has signed this, but " + begin(keys[0]) + ", " + begin(keys[1]));
  const NoteSigner other("other.example/log", SigningKey::generate());
  EXPECT_EQ(verify_note(note, std::vector{other.verifier()}).error().message,
            "no known key has signed this");
  note.signatures[1].bytes[0] = static_cast<char>(note.signatures[1].bytes[0] ^ 1);
  EXPECT_EQ(verify_note(note, keys).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(verify_note(note, std::vector{keys[0]}).ok());
}

TEST(Note, verifier_keys_are_checked) {
  const std::string key = kExampleKey;
  for (const std::string& bad : std::vector<std::string>{
           "", "name", "name+00000000", key + "x", "other" + key,
           "example.com/foo+530d903b+" + key.substr(key.rfind('+') + 1),
           "example.com/foo+530D903A+" + key.substr(key.rfind('+') + 1), "a b" + key}) {
    EXPECT_FALSE(VerifierKey::parse(bad).ok()) << bad;
  }
  for (const char* name : {"", "a b", "a+b", "a\nb", "a\xE3\x80\x80z", "\xFF"}) {
    EXPECT_FALSE(is_key_name(name)) << name;
  }
  EXPECT_TRUE(is_key_name("audit.contoso.com/log"));
}

TEST(Checkpoint, has_the_form_of_the_specification) {
  const Checkpoint checkpoint = some_checkpoint();
  const std::string text = checkpoint_text(checkpoint);
  EXPECT_EQ(text,
            "audit.contoso.com/log\n20852163\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n");
  const Result<Checkpoint> parsed = parse_checkpoint_text(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, checkpoint);
}

TEST(Checkpoint, the_specifications_example_is_read) {
  const Result<Checkpoint> checkpoint = read_checkpoint(
      "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
      "\xE2\x80\x94 example.com/behind-the-sofa "
      "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
      "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint->head.size, 20'852'163U);
}

TEST(Checkpoint, malformed_ones_are_refused) {
  const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  EXPECT_TRUE(parse_checkpoint_text("o\n0\n" + root).ok());
  EXPECT_TRUE(parse_checkpoint_text("o\n0\n" + root + "more\n").ok());
  for (const std::string& bad : std::vector<std::string>{
           "", "o\n", "o\n0\n", "\n0\n" + root, "o\n00\n" + root, "o\n01\n" + root,
           "o\n-1\n" + root, "o\n+1\n" + root, "o\n1 \n" + root, "o\n\n" + root,
           "o\n18446744073709551616\n" + root, "o\n1\nAAAA\n", "o\n1\n" + root + "\n",
           "o\n1\n" + root + "more", "o\n1\n" + root.substr(0, root.size() - 1)}) {
    EXPECT_FALSE(parse_checkpoint_text(bad).ok()) << bad;
  }
}

TEST(Checkpoint, each_key_of_an_overlap_signs_and_either_verifies) {
  const std::vector<NoteSigner> signers = some_signers(2);
  const std::string note = sign_checkpoint(some_checkpoint(), signers);
  for (const NoteSigner& signer : signers) {
    const Result<Checkpoint> opened = open_checkpoint(note, std::vector{signer.verifier()});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(*opened, some_checkpoint());
  }
  EXPECT_FALSE(open_checkpoint(note, {}).ok());
  // A key vouches for the log it is named after, and for no other.
  const NoteSigner other("other.example/log", SigningKey::generate());
  const std::string foreign = sign_checkpoint(some_checkpoint(), std::span(&other, 1));
  EXPECT_FALSE(open_checkpoint(foreign, std::vector{other.verifier()}).ok());
}

TEST(TlogProof, is_read_back_and_has_the_form_of_the_specification) {
  const std::string note = sign_checkpoint(some_checkpoint(), some_signers(1));
  const Proof hashes = {sha256("a"), sha256("b")};
  const std::string text = format_proof(73894, hashes, note);
  EXPECT_EQ(text.substr(0, 35), "c2sp.org/tlog-proof@v1\nindex 73894\n");
  EXPECT_EQ(text.substr(35),
            "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=\n"
            "PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=\n\n" +
                note);
  const Result<TlogProof> proof = parse_proof(text);
  ASSERT_TRUE(proof.ok()) << proof.error().message;
  EXPECT_EQ(proof->index, 73894U);
  EXPECT_EQ(proof->hashes, hashes);
  EXPECT_EQ(proof->checkpoint_note, note);
  EXPECT_TRUE(parse_proof("c2sp.org/tlog-proof@v1\nextra YQ==\nindex 0\n\n" + note).ok());
  for (const char* bad :
       {"", "c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n", "x\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n", "c2sp.org/tlog-proof@v1\nextra ?\nindex 1\n\n"}) {
    EXPECT_FALSE(parse_proof(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace holdfast::audit
