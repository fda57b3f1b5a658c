#include "identity/sign_in_verifier.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_graph.h"
#include "tests/support/fake_key_source.h"
#include "tests/unit/identity/issuer_cjose.h"
#include "tests/unit/identity/tokens.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;
using testing::FakeClock;
using testing::run;
using testing::SigningKey;

class SignInVerifierTest : public ::testing::Test {
 protected:
  const SigningKey& old_key() {
    static const SigningKey key = SigningKey::rsa("old");
    return key;
  }
  const SigningKey& new_key() {
    static const SigningKey key = SigningKey::rsa("new");
    return key;
  }

  std::string token_by(const SigningKey& key) {
    const json claims = {{"iss", "https://login.example"},
                         {"aud", "holdfast"},
                         {"tid", kTenant},
                         {"oid", kAdele},
                         {"scp", "access"},
                         {"exp", 1'791'190'800 + 200'000}};
    return key.sign(claims.dump());
  }

  ErrorCode refusal(const SigningKey& key) {
    const std::string token = token_by(key);
    const Result<SignedIn> person = run(verifier_.verify(token));
    EXPECT_FALSE(person.ok());
    return person.ok() ? ErrorCode::kInternal : person.error().code;
  }

  bool signs_in(const SigningKey& key) {
    const std::string token = token_by(key);
    return run(verifier_.verify(token)).ok();
  }

  int fetches_ = 0;
  Result<std::string> jwks_ = testing::jwks_of({old_key().published()});
  FakeClock clock_;
  SignInVerifier verifier_{
      {.issuer = "https://login.example", .audience = "holdfast", .tenant = kTenant},
      std::make_unique<testing::FakeKeySource>(fetches_, jwks_),
      clock_};
};

TEST_F(SignInVerifierTest, FetchesKeysOnceAndAgainWhenTheyAreOld) {
  EXPECT_TRUE(signs_in(old_key()));
  EXPECT_TRUE(signs_in(old_key()));
  EXPECT_EQ(fetches_, 1);
  clock_.advance(SignInVerifier::kRefreshAfter);
  EXPECT_TRUE(signs_in(old_key()));
  EXPECT_EQ(fetches_, 2);
}

// One fetches; all who come meanwhile are signed in by what it brings.
TEST_F(SignInVerifierTest, WhoNeedsTheKeysThatAreBeingFetchedWaitsForThem) {
  auto made = std::make_unique<testing::FakeKeySource>(fetches_, jwks_);
  testing::FakeKeySource& source = *made;
  SignInVerifier verifier(
      {.issuer = "https://login.example", .audience = "holdfast", .tenant = kTenant},
      std::move(made), clock_);
  boost::asio::io_context context;
  for (const SigningKey* key : {&old_key(), &new_key()}) {
    jwks_ = testing::jwks_of({key->published()});
    clock_.advance(SignInVerifier::kRetryAfter);
    boost::asio::steady_timer gate(context, boost::asio::steady_timer::time_point::max());
    source.wait_for(gate);
    const std::string token = token_by(*key);
    int signed_in = 0;
    const auto sign_in = [&]() -> Task<void> {
      const Result<SignedIn> person = co_await verifier.verify(token);
      if (person.ok()) ++signed_in;
    };
    for (int i = 0; i < 3; ++i) boost::asio::co_spawn(context, sign_in(), boost::asio::detached);
    context.restart();
    context.poll();
    EXPECT_EQ(signed_in, 0);
    gate.cancel();
    context.run();
    EXPECT_EQ(signed_in, 3);
  }
  EXPECT_EQ(fetches_, 2);
}

TEST_F(SignInVerifierTest, FollowsARotation) {
  EXPECT_TRUE(signs_in(old_key()));
  jwks_ = testing::jwks_of({new_key().published()});
  clock_.advance(SignInVerifier::kRetryAfter);
  EXPECT_TRUE(signs_in(new_key()));
  EXPECT_EQ(fetches_, 2);
  EXPECT_EQ(refusal(old_key()), ErrorCode::kNotFound);
}

TEST_F(SignInVerifierTest, AsksNoSoonerAgainForKeysThatNobodyKnows) {
  EXPECT_TRUE(signs_in(old_key()));
  clock_.advance(SignInVerifier::kRetryAfter);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(refusal(new_key()), ErrorCode::kNotFound);
  EXPECT_EQ(fetches_, 2);
}

TEST_F(SignInVerifierTest, FailsClosedWithoutKeys) {
  jwks_ = Error{ErrorCode::kUnavailable, "away"};
  EXPECT_EQ(refusal(old_key()), ErrorCode::kUnavailable);
  EXPECT_EQ(refusal(old_key()), ErrorCode::kUnavailable);
  EXPECT_EQ(fetches_, 1);
  jwks_ = std::string("{}");
  clock_.advance(SignInVerifier::kRetryAfter);
  EXPECT_EQ(refusal(old_key()), ErrorCode::kUnavailable);
}

TEST_F(SignInVerifierTest, UsesKeysForADayWhileTheIssuerIsAway) {
  EXPECT_TRUE(signs_in(old_key()));
  jwks_ = Error{ErrorCode::kUnavailable, "away"};
  clock_.advance(SignInVerifier::kUsableFor - std::chrono::seconds(1));
  EXPECT_TRUE(signs_in(old_key()));
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(refusal(old_key()), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::identity
