#include "identity/issuer_keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/identity/issuer_cjose.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;
using testing::jwks_of;
using testing::SigningKey;

const SigningKey& rsa_key() {
  static const SigningKey key = SigningKey::rsa("one");
  return key;
}

const SigningKey& ec_key() {
  static const SigningKey key = SigningKey::ec("two");
  return key;
}

IssuerKeys keys_of(const std::vector<json>& published) {
  Result<IssuerKeys> keys = IssuerKeys::parse(jwks_of(published));
  EXPECT_TRUE(keys.ok()) << keys.error().message;
  return std::move(*keys);
}

std::string problem(const IssuerKeys& keys, const std::string& token) {
  const Result<std::string> payload = keys.verified_payload(token);
  return payload.ok() ? "" : payload.error().message;
}

TEST(IssuerKeys, VerifyWhatTheirOwnersSigned) {
  const IssuerKeys keys = keys_of({rsa_key().published(), ec_key().published()});
  EXPECT_EQ(keys.size(), 2U);
  for (const auto& [key, alg] : {std::pair(&rsa_key(), "RS256"), std::pair(&rsa_key(), "PS256"),
                                 std::pair(&ec_key(), "ES256")}) {
    const Result<std::string> payload = keys.verified_payload(key->sign("hello", alg));
    ASSERT_TRUE(payload.ok()) << alg << payload.error().message;
    EXPECT_EQ(*payload, "hello");
  }
}

TEST(IssuerKeys, RefuseAnotherPayloadOrSignature) {
  const IssuerKeys keys = keys_of({rsa_key().published()});
  const std::string token = rsa_key().sign("hello");
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  const std::string other = token.substr(0, first + 1) + to_base64url("hullo") + token.substr(last);
  EXPECT_EQ(problem(keys, other), "the token's signature is wrong");
  EXPECT_EQ(problem(keys, token.substr(0, last + 1)), "the token's signature is wrong");
  const SigningKey impostor = SigningKey::rsa("one");
  EXPECT_EQ(problem(keys, impostor.sign("hello")), "the token's signature is wrong");
}

TEST(IssuerKeys, TellAnUnknownKeyFromAWrongSignature) {
  const IssuerKeys keys = keys_of({ec_key().published()});
  const Result<std::string> payload = keys.verified_payload(rsa_key().sign("hello"));
  ASSERT_FALSE(payload.ok());
  EXPECT_EQ(payload.error().code, ErrorCode::kNotFound);
}

TEST(IssuerKeys, PinTheAlgorithmToTheKey) {
  json published = rsa_key().published();
  const std::string unsuited = "the token's algorithm is not one that its key may be used with";
  const std::string token = rsa_key().sign("hello");
  for (const char* alg : {"none", "HS256", "ES256", "RS384", "RS512", "", "rs256"}) {
    const std::string forged = testing::with_header(token, {{"alg", alg}, {"kid", "one"}});
    EXPECT_EQ(problem(keys_of({published}), forged), unsuited) << alg;
  }
  EXPECT_EQ(problem(keys_of({published}), testing::with_header(token, {{"kid", "one"}})), unsuited);
  published["alg"] = "RS256";
  EXPECT_EQ(problem(keys_of({published}), token), "");
  EXPECT_EQ(problem(keys_of({published}), rsa_key().sign("hello", "PS256")), unsuited);
}

TEST(IssuerKeys, UseNothingElseInTheHeader) {
  const IssuerKeys keys = keys_of({rsa_key().published()});
  const SigningKey impostor = SigningKey::rsa("one");
  const std::string token =
      impostor.sign("hello", "RS256", {{"jwk", impostor.published()}, {"jku", "https://evil"}});
  EXPECT_EQ(problem(keys, token), "the token's signature is wrong");
  EXPECT_EQ(problem(keys, rsa_key().sign("hello", "RS256", {{"crit", {"b64"}}, {"b64", false}})),
            "the token has critical extensions");
}

TEST(IssuerKeys, RefuseWhatIsNoToken) {
  const IssuerKeys keys = keys_of({rsa_key().published()});
  for (const char* text : {"", ".", "..", "a.b.c", "....", "e30.e30.e30", "%%%.e30.e30"}) {
    EXPECT_NE(problem(keys, text), "") << text;
  }
  const std::string header = to_base64url(R"({"alg":"RS256","kid":"one"})");
  EXPECT_NE(problem(keys, header), "");
  EXPECT_NE(problem(keys, header + ".e30"), "");
  EXPECT_NE(problem(keys, header + ".e30.e30.e30"), "");
  EXPECT_EQ(problem(keys, to_base64url(R"({"alg":"RS256","kid":"one","kid":"one"})") + ".e30.e30"),
            "the token's header is not one JSON object");
  EXPECT_EQ(problem(keys, std::string(20'000, 'a')), "the token is too long");
}

TEST(IssuerKeys, LeaveOutKeysOfNoUse) {
  json encrypting = SigningKey::rsa("enc").published();
  encrypting["use"] = "enc";
  json nameless = rsa_key().published();
  nameless.erase("kid");
  const json weak = SigningKey::rsa("weak", 1024).published();
  const json other_curve = SigningKey::ec("p384", CJOSE_JWK_EC_P_384).published();
  const json shared_secret = {{"kty", "oct"}, {"kid", "oct"}, {"k", "AAAA"}};
  const json broken = {{"kty", "RSA"}, {"kid", "broken"}, {"n", "?"}, {"e", "AQAB"}};
  const std::vector<json> useless = {encrypting,    nameless, weak, other_curve,
                                     shared_secret, broken,   7};
  std::vector<json> all = useless;
  all.push_back(rsa_key().published());
  EXPECT_EQ(keys_of(all).size(), 1U);

  const Result<IssuerKeys> none = IssuerKeys::parse(jwks_of(useless));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "the issuer's keys: none is for RS256, PS256 or ES256");
}

TEST(IssuerKeys, RefuseWhatIsNoJwks) {
  const std::vector<json> twice = {rsa_key().published(), SigningKey::rsa("one").published()};
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{}"),
                                  std::string(R"({"keys":{}})"), jwks_of(twice)}) {
    EXPECT_FALSE(IssuerKeys::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace holdfast::identity
