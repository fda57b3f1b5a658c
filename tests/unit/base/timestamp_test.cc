#include "base/timestamp.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/encoding.h"

namespace holdfast {
namespace {

// Made by tests/support/timestamp_authority.py; its certificates were valid for a day.
std::string data(const std::string& name) {
  std::ifstream file(HOLDFAST_SOURCE_DIR "/tests/data/timestamp/" + name, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  EXPECT_FALSE(content.str().empty()) << name;
  return content.str();
}

Sha256 stamped() {
  return sha256(data("text"));
}

TimestampTrust trust(const std::string& name) {
  Result<TimestampTrust> read = TimestampTrust::from_pem(data(name));
  EXPECT_TRUE(read.ok()) << read.error().message;
  return *std::move(read);
}

// A response with status `granted` around a token: SEQUENCE { SEQUENCE { INTEGER 0 }, token }.
std::string response(const std::string& token, char status = 0) {
  const std::string content = std::string("\x30\x03\x02\x01") + status + token;
  std::string text = "\x30\x82";
  text += static_cast<char>(content.size() >> 8);
  text += static_cast<char>(content.size() & 0xFF);
  return text + content;
}

constexpr std::uint64_t kNonce = 0xB4914D788305CCEF;

TEST(Timestamp, a_token_is_verified_after_its_certificates_have_expired) {
  const Result<Timestamp> found = verify_timestamp(data("token.der"), stamped(), trust("ca.crt"));
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(to_rfc3339(found->time), "2026-11-25T15:51:06.000000Z");
  EXPECT_EQ(found->signer, "CN=Test time-stamp authority");
  EXPECT_EQ(found->serial, "01");
}

TEST(Timestamp, only_of_the_digest_and_by_who_is_trusted) {
  const std::string token = data("token.der");
  const auto refusal = [](const Result<Timestamp>& answer) {
    return answer.ok() ? "accepted" : answer.error().message;
  };
  EXPECT_EQ(refusal(verify_timestamp(token, sha256("another"), trust("ca.crt"))),
            "the time stamp is about something else");
  EXPECT_EQ(refusal(verify_timestamp(token, stamped(), trust("other_ca.crt"))),
            "the time stamp is not to be trusted: certificate verify error");
  // Signed after the signer's certificate had expired.
  EXPECT_EQ(refusal(verify_timestamp(data("expired_token.der"), stamped(), trust("ca.crt"))),
            "the time stamp is not to be trusted: certificate verify error");
}

TEST(Timestamp, a_flipped_bit_anywhere_in_what_is_signed_is_noticed) {
  const std::string token = data("token.der");
  const TimestampTrust believed = trust("ca.crt");
  const Result<Timestamp> original = verify_timestamp(token, stamped(), believed);
  ASSERT_TRUE(original.ok());
  for (std::size_t byte = 0; byte < token.size(); ++byte) {
    std::string changed = token;
    changed[byte] = static_cast<char>(changed[byte] ^ 0x10);
    const Result<Timestamp> found = verify_timestamp(changed, stamped(), believed);
    // Parts of the envelope are not signed; what is read from the token is.
    if (found.ok()) {
      EXPECT_EQ(found->time, original->time) << byte;
      EXPECT_EQ(found->serial, original->serial) << byte;
    }
  }
  for (std::size_t cut = 0; cut < token.size(); ++cut) {
    EXPECT_FALSE(verify_timestamp(token.substr(0, cut), stamped(), believed).ok()) << cut;
  }
  EXPECT_FALSE(verify_timestamp(token + "x", stamped(), believed).ok());
}

TEST(Timestamp, a_response_must_answer_the_question) {
  const std::string token = data("token.der");
  const TimestampQuestion question{.digest = stamped(), .nonce = kNonce};
  const Result<std::string> opened = open_timestamp_response(response(token), question);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(*opened, token);
  const auto code = [](const Result<std::string>& answer) {
    return answer.ok() ? std::nullopt : std::optional(answer.error().code);
  };
  EXPECT_EQ(
      code(open_timestamp_response(response(token), {.digest = stamped(), .nonce = kNonce + 1})),
      ErrorCode::kRefused);
  EXPECT_EQ(code(open_timestamp_response(response(token),
                                         {.digest = sha256("another"), .nonce = kNonce})),
            ErrorCode::kRefused);
  EXPECT_EQ(code(open_timestamp_response(response("", 2), question)), ErrorCode::kRefused);
  for (const std::string& garbage :
       {std::string(), std::string("<html>"), response(""), token, response(token) + "x"}) {
    EXPECT_EQ(code(open_timestamp_response(garbage, question)), ErrorCode::kInvalid)
        << garbage.substr(0, 20);
  }
}

TEST(Timestamp, a_query_is_what_openssl_would_ask) {
  // Version 1, SHA-256 and the digest, nonce 258, and: certificates please.
  const std::string query = timestamp_query({.digest = Sha256{}, .nonce = 258});
  EXPECT_EQ(to_hex(query),
            "303d"
            "020101"
            "3031300d060960864801650304020105000420" +
                std::string(64, '0') +
                "02020102"
                "0101ff");
}

TEST(Timestamp, trust_is_certificates_and_nothing_else) {
  EXPECT_FALSE(TimestampTrust::from_pem("").ok());
  EXPECT_FALSE(TimestampTrust::from_pem("no certificate").ok());
  const std::string pem = data("ca.crt");
  EXPECT_TRUE(TimestampTrust::from_pem(pem + data("other_ca.crt")).ok());
  std::string broken = pem;
  broken.replace(broken.find("MII"), 3, "AAA");
  EXPECT_FALSE(TimestampTrust::from_pem(pem + broken).ok());
}

}  // namespace
}  // namespace holdfast
