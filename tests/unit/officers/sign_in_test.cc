// Officers who sign in with tokens of an identity provider.
#include "tests/support/fake_key_source.h"
#include "tests/unit/identity/issuer_cjose.h"
#include "tests/unit/identity/tokens.h"
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using testing::SigningKey;

constexpr const char* kGroup = "3f2c0a52-0000-4000-8000-000000000001";

const SigningKey& key() {
  static const SigningKey made = SigningKey::rsa("one");
  return made;
}

class SignInTest : public ApiTest {
 protected:
  SignInTest() {
    sign_in_ = std::make_unique<identity::SignInVerifier>(
        identity::Issuer{
            .issuer = "https://login.example", .audience = "holdfast", .tenant = identity::kTenant},
        std::make_unique<testing::FakeKeySource>(fetches_, jwks_), clock_);
  }

  static std::string token(const json& roles, const SigningKey& by = key(),
                           const std::string& group = kGroup) {
    return by.sign(json({{"iss", "https://login.example"},
                         {"aud", "holdfast"},
                         {"tid", identity::kTenant},
                         {"oid", identity::kAdele},
                         {"scp", "access"},
                         {"name", "Adele Vance"},
                         {"preferred_username", "Adele@contoso.com"},
                         {"groups", json::array({group})},
                         {"roles", roles},
                         {"exp", 1'791'190'800}})
                       .dump());
  }

  int fetches_ = 0;
  Result<std::string> jwks_ = testing::jwks_of({key().published()});
};

TEST_F(SignInTest, a_person_reads_under_their_name) {
  EXPECT_EQ(get("/api/v1/records", token({"auditor"})).status, 200);
  EXPECT_EQ(log_.entries().back().record.content["access"]["by"], "Adele Vance");
  EXPECT_EQ(log_.entries().back().record.content["actor"], (json{{"kind", "user"},
                                                                 {"name", "Adele Vance"},
                                                                 {"tenant", identity::kTenant},
                                                                 {"user", identity::kAdele}}));
}

TEST_F(SignInTest, a_person_approves_without_any_setting_for_tokens) {
  token_approvals_ = approval::TokenApprovals::kRefused;
  const Uuid code = make_uuid_v4();
  approvals_.add(approval::filing(
                     code, approval::Binding(), {.name = "app", .accounts = {"t/app"}, .names = {}},
                     {.stages = {{.from = "compliance", .group = kGroup, .count = 1}}}),
                 approval::ApprovalState::kPending);
  const std::string target = "/api/v1/approvals/" + to_string(code) + "/approve";
  const http::Response refused = get(target, token({"auditor"}), "POST");
  EXPECT_EQ(refused.status, 403) << refused.content;
  const http::Response approved = get(target, token({"approver"}), "POST");
  EXPECT_EQ(approved.status, 200) << approved.content;
  const json actor = log_.entries().back().record.content["actor"];
  EXPECT_EQ(actor["expires_at"], "2026-10-05T09:01:00.000000Z");  // `exp`, and what clocks differ.
  EXPECT_EQ(actor["user"], identity::kAdele);
  const json by = log_.entries().back().record.content["approval"]["by"];
  EXPECT_EQ(by["via"], "sign_in");
  EXPECT_EQ(by["accounts"], json::array({identity::kTenant + "/" + identity::kAdele}));
  EXPECT_EQ(by["names"], json::array({"adele@contoso.com"}));
}

TEST_F(SignInTest, a_group_of_the_name_that_rules_give_approvers_lets_nobody_in) {
  const Uuid code = make_uuid_v4();
  approvals_.add(approval::filing(
                     code, approval::Binding(), {.name = "app", .accounts = {"t/app"}, .names = {}},
                     {.stages = {{.from = "compliance", .group = kGroup, .count = 1}}}),
                 approval::ApprovalState::kPending);
  const http::Response refused = get("/api/v1/approvals/" + to_string(code) + "/approve",
                                     token({"approver"}, key(), "compliance"), "POST");
  EXPECT_EQ(refused.status, 403) << refused.content;
}

TEST_F(SignInTest, who_asked_does_not_approve_by_signing_in) {
  const Uuid code = make_uuid_v4();
  approvals_.add(
      approval::filing(
          code, approval::Binding(),
          {.name = "Adele", .accounts = {identity::kTenant + "/" + identity::kAdele}, .names = {}},
          {.stages = {{.from = "compliance", .group = kGroup, .count = 1}}}),
      approval::ApprovalState::kPending);
  const http::Response refused =
      get("/api/v1/approvals/" + to_string(code) + "/approve", token({"approver"}), "POST");
  EXPECT_EQ(refused.status, 403) << refused.content;
}

TEST_F(SignInTest, who_asked_by_an_app_or_as_a_guest_does_not_approve_by_signing_in) {
  tokens_ = *Tokens::parse("tokens: []\npeople:\n  - tenant: " + identity::kTenant +
                               "\n    user: " + identity::kAdele +
                               "\n    names: [a.vance@contoso.com]\n    accounts: [fabrikam/guest]"
                               "\n    apps: [robot]\n",
                           "tokens.yaml");
  const auto approve = [this](const approval::Identity& requester) {
    approvals_.all.clear();
    const Uuid code = make_uuid_v4();
    approvals_.add(
        approval::filing(code, approval::Binding(), requester,
                         {.stages = {{.from = "compliance", .group = kGroup, .count = 1}}}),
        approval::ApprovalState::kPending);
    return get("/api/v1/approvals/" + to_string(code) + "/approve", token({"approver"}), "POST")
        .status;
  };
  const auto asked_as = [](const std::string& account, const std::string& name) {
    return approval::Identity{.name = "x", .accounts = {account}, .names = {name}};
  };
  EXPECT_EQ(approve(asked_as(identity::kTenant + "/robot", "")), 403);
  EXPECT_EQ(approve(asked_as("fabrikam/guest", "")), 403);
  EXPECT_EQ(approve(asked_as("fabrikam/other", "a.vance@contoso.com")), 403);
  EXPECT_EQ(approve(asked_as(identity::kTenant + "/another", "b@contoso.com")), 200);
}

TEST_F(SignInTest, without_a_role_nothing_is_shown) {
  EXPECT_EQ(get("/api/v1/records", token({"owner"})).status, 403);
  EXPECT_EQ(get("/api/v1/records", token(json::array())).status, 403);
}

TEST_F(SignInTest, a_forged_token_is_nobodys) {
  const SigningKey impostor = SigningKey::rsa("one");
  EXPECT_EQ(get("/api/v1/records", token({"admin"}, impostor)).status, 401);
  EXPECT_EQ(get("/api/v1/records", "a.b.c").status, 401);
}

TEST_F(SignInTest, without_the_issuers_keys_nobody_signs_in) {
  jwks_ = Error{ErrorCode::kUnavailable, "away"};
  EXPECT_EQ(get("/api/v1/records", token({"admin"})).status, 503);
  EXPECT_EQ(get("/api/v1/records").status, 200);  // With an API token.
}

TEST_F(SignInTest, api_tokens_are_no_business_of_the_issuer) {
  EXPECT_EQ(get("/api/v1/records").status, 200);
  EXPECT_EQ(get("/api/v1/records", "unknown").status, 401);
  EXPECT_EQ(fetches_, 0);
}

TEST_F(SignInTest, unless_configured_there_is_none) {
  sign_in_.reset();
  EXPECT_EQ(get("/api/v1/records", token({"admin"})).status, 401);
}

}  // namespace
}  // namespace holdfast::officers
