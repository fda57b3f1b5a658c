#include "officers/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.h"
#include "tests/support/fake_clock.h"

namespace holdfast::officers {
namespace {

using ::testing::ElementsAre;
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

Officer officer_of_account(const std::string& account) {
  Officer officer{.name = "Ada", .roles = {OfficerRole::kApprover}};
  officer.person = {.name = "Ada", .accounts = {account}, .names = {"ada@contoso.com"}};
  return officer;
}

TEST(Tokens, what_the_file_has_of_a_person_is_added_to_what_is_known_of_them) {
  const auto tokens = Tokens::parse(
      "tokens:\n" + entry("bob", "b", "    person: { tenant: T, user: Bob, apps: [BobsApp] }\n") +
          "people:\n  - tenant: T\n    user: Ada\n    names: [Ada@contoso.com, a@contoso.com]\n"
          "    accounts: [G/Alias]\n    apps: [AdasApp]\n"
          "  - { tenant: T, user: bob, names: [bob@contoso.com] }\n",
      "tokens.yaml");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  const Officer ada = tokens->with_person(officer_of_account("t/ada"));
  EXPECT_THAT(ada.person.accounts, ElementsAre("t/ada", "g/alias", "t/adasapp"));
  EXPECT_THAT(ada.person.names, ElementsAre("ada@contoso.com", "a@contoso.com"));
  EXPECT_EQ(ada.name, "Ada");
  const Officer guest = tokens->with_person(officer_of_account("g/alias"));
  EXPECT_THAT(guest.person.accounts, ElementsAre("g/alias", "t/ada", "t/adasapp"));
  const Officer signed_in = tokens->with_person(officer_of_account("t/bob"));
  EXPECT_THAT(signed_in.person.accounts, ElementsAre("t/bob", "t/bobsapp"));
  testing::FakeClock clock;
  const Officer by_token = *tokens->find("b", clock.now());
  EXPECT_THAT(by_token.person.accounts, ElementsAre("t/bob", "t/bobsapp"));
  EXPECT_THAT(by_token.person.names, ElementsAre("bob@contoso.com"));
  EXPECT_THAT(tokens->with_person(officer_of_account("g/ada")).person.accounts,
              ElementsAre("g/ada"));
  EXPECT_TRUE(tokens->with_person({.name = "x", .roles = {}}).person.accounts.empty());
}

TEST(Tokens, bad_people_are_refused_by_line_and_key) {
  const std::string begin = "tokens: []\npeople:\n  - tenant: T\n    user: ada\n";
  EXPECT_EQ(refusal(begin), "");
  EXPECT_THAT(refusal(begin + "    app: [X]\n"),
              ::testing::AllOf(HasSubstr("tokens.yaml:5"), HasSubstr("app")));
  EXPECT_THAT(refusal(begin + "    apps: X\n"),
              ::testing::AllOf(HasSubstr("tokens.yaml:5"), HasSubstr("apps")));
  EXPECT_THAT(refusal(begin + "    accounts: [X]\n"),
              ::testing::AllOf(HasSubstr("tokens.yaml:5"), HasSubstr("accounts")));
  EXPECT_THAT(refusal(begin + "  - tenant: t\n    user: ADA\n"),
              ::testing::AllOf(HasSubstr("tokens.yaml:6"), HasSubstr("user: is used twice")));
  EXPECT_THAT(refusal("tokens: []\npeople:\n  - tenant: T\n"), HasSubstr("user"));
  const auto is_a_name = ::testing::AllOf(HasSubstr("tokens.yaml:"), HasSubstr("object id"));
  EXPECT_THAT(refusal("tokens: []\npeople:\n  - tenant: T\n    user: ada@contoso.com\n"),
              is_a_name);
  EXPECT_THAT(refusal(begin + "    accounts: [T/ada@contoso.com]\n"), is_a_name);
  EXPECT_THAT(refusal(begin + "    apps: [\"the app\"]\n"), is_a_name);
  EXPECT_NE(refusal("tokens: []\npeople: {}\n"), "");
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
