#include "officers/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.h"
#include "tests/support/fake_clock.h"

namespace holdfast::officers {
namespace {

using ::testing::HasSubstr;

std::string entry(const std::string& name, const std::string& token, const std::string& more = "") {
  return "  - name: " + name + "\n    sha256: \"" + to_hex(sha256(token)) +
         "\"\n    roles: [auditor]\n" + more;
}

std::string refusal(const std::string& yaml) {
  const Result<Tokens> tokens = Tokens::parse(yaml, "tokens.yaml");
  return tokens.ok() ? "" : tokens.error().message;
}

TEST(Tokens, known_tokens_name_their_officer) {
  const auto tokens =
      Tokens::parse("tokens:\n" + entry("alice", "a") +
                        entry("bob", "b", "    expires: \"2026-10-05T08:00:01Z\"\n"),
                    "tokens.yaml");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  testing::FakeClock clock;
  ASSERT_TRUE(tokens->find("a", clock.now()));
  EXPECT_EQ(tokens->find("a", clock.now())->name, "alice");
  EXPECT_TRUE(tokens->find("a", clock.now())->has(OfficerRole::kAuditor));
  EXPECT_FALSE(tokens->find("a", clock.now())->has(OfficerRole::kAdmin));
  EXPECT_TRUE(tokens->find("b", clock.now()));
  clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(tokens->find("b", clock.now())) << "expired";
  EXPECT_FALSE(tokens->find("c", clock.now()));
  EXPECT_FALSE(tokens->find("", clock.now()));
  EXPECT_FALSE(tokens->find(to_hex(sha256("a")), clock.now())) << "the digest is no token";
}

TEST(Tokens, bad_files_are_refused_by_line_and_key) {
  EXPECT_THAT(refusal("tokens:\n  - name: alice\n    sha256: abc\n    roles: [auditor]\n"),
              HasSubstr("tokens.yaml:3"));
  EXPECT_THAT(refusal("tokens:\n" + entry("a", "a", "    colour: blue\n")), HasSubstr("colour"));
  EXPECT_THAT(refusal("tokens:\n" + entry("a", "a") + entry("a", "b")), HasSubstr("name"));
  EXPECT_THAT(refusal("tokens:\n" + entry("a", "a") + entry("b", "a")), HasSubstr("sha256"));
  EXPECT_THAT(refusal("tokens:\n" + entry("a", "a", "    expires: soon\n")), HasSubstr("expires"));
  EXPECT_NE(refusal("token: []\n"), "");
  EXPECT_EQ(Tokens::load("/nowhere/tokens.yaml").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace holdfast::officers
