#include "base/signing.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace holdfast {
namespace {

// RFC 8032, 7.1, test 2.
constexpr const char* kPem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";
constexpr const char* kPublic = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr const char* kSignatureOf72 =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d"
    "8c"
    "387b2eaeb4302aeeb00d291612bb0c00";

std::string hex(const Ed25519PublicKey& key) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
}

TEST(Signing, signs_as_the_standards_example_does) {
  const Result<SigningKey> key = SigningKey::from_pem(kPem);
  ASSERT_TRUE(key.ok()) << key.error().message;
  EXPECT_EQ(hex(key->public_key()), kPublic);
  EXPECT_EQ(to_hex(key->sign("\x72")), kSignatureOf72);
  EXPECT_EQ(key->to_pem(), kPem);
}

TEST(Signing, verifies_its_own_and_nothing_changed) {
  const SigningKey key = SigningKey::generate();
  const std::string message = "origin\n5\nroot\n";
  const std::string signature = key.sign(message);
  EXPECT_TRUE(verify_signature(key.public_key(), message, signature));
  EXPECT_FALSE(verify_signature(key.public_key(), message + " ", signature));
  EXPECT_FALSE(verify_signature(SigningKey::generate().public_key(), message, signature));
  EXPECT_FALSE(verify_signature(key.public_key(), message, ""));
  EXPECT_FALSE(verify_signature(key.public_key(), message, signature + "x"));
  for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
    std::string flipped = signature;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verify_signature(key.public_key(), message, flipped)) << bit;
  }
}

TEST(Signing, refuses_other_keys_and_other_text) {
  // A P-256 key.
  constexpr const char* kOther =
      "-----BEGIN PRIVATE KEY-----\n"
      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
      "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
      "1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n"
      "-----END PRIVATE KEY-----\n";
  for (const std::string pem : {"", "secret", kOther}) {
    const Result<SigningKey> key = SigningKey::from_pem(pem);
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(key.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
