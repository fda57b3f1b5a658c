#include "identity/claims.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/encoding.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/identity/tokens.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

enum class Found { kToken, kNothing, kBad };

struct HeaderCase {
  std::string name;
  std::string target = "/v1.0/me";
  std::vector<std::string> authorization;
  Found found = Found::kNothing;
  std::string token;
};

void PrintTo(const HeaderCase& row, std::ostream* out) {
  *out << row.name;
}

class BearerTokens : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(BearerTokens, AreTakenOrRefused) {
  const HeaderCase& row = GetParam();
  http::RequestHead head{"POST", row.target, 1, {}};
  for (const std::string& value : row.authorization) head.headers.add("AuthoriZation", value);
  const Result<std::optional<BearerToken>> token = bearer_token(head);
  ASSERT_EQ(token.ok(), row.found != Found::kBad);
  if (!token.ok()) {
    EXPECT_EQ(token.error().code, ErrorCode::kInvalid);
    return;
  }
  ASSERT_EQ(token->has_value(), row.found == Found::kToken);
  if (row.found == Found::kToken) {
    EXPECT_EQ((*token)->text, row.token);
  }
}

const std::string kMe = "/v1.0/me";

INSTANTIATE_TEST_SUITE_P(
    Rows, BearerTokens,
    ::testing::Values(
        HeaderCase{"plain", kMe, {"Bearer a.b.c"}, Found::kToken, "a.b.c"},
        HeaderCase{"scheme_in_any_case", kMe, {"bEARER a.b.c"}, Found::kToken, "a.b.c"},
        HeaderCase{"several_spaces", kMe, {"Bearer   a.b.c"}, Found::kToken, "a.b.c"},
        HeaderCase{"padding", kMe, {"Bearer abc=="}, Found::kToken, "abc=="},
        HeaderCase{
            "other_parameters", "/me?$select=id&x=access_token", {"Bearer a"}, Found::kToken, "a"},
        HeaderCase{"name_contains_it",
                   "/me?my_access_token=1&access_tokens=2",
                   {"Bearer a"},
                   Found::kToken,
                   "a"},
        HeaderCase{"in_the_path", "/v1.0/access_token=x", {"Bearer a"}, Found::kToken, "a"},
        HeaderCase{"absent", kMe, {}, Found::kNothing, ""},
        HeaderCase{"empty", kMe, {""}, Found::kNothing, ""},
        HeaderCase{"scheme_only", kMe, {"Bearer"}, Found::kNothing, ""},
        HeaderCase{"scheme_and_spaces", kMe, {"Bearer  "}, Found::kNothing, ""},
        HeaderCase{"basic", kMe, {"Basic YTpi"}, Found::kNothing, ""},
        HeaderCase{"longer_scheme", kMe, {"BearerX a"}, Found::kNothing, ""},
        HeaderCase{"tab_after_scheme", kMe, {"Bearer\ta"}, Found::kNothing, ""},
        HeaderCase{"two_words", kMe, {"Bearer a b"}, Found::kNothing, ""},
        HeaderCase{"a_list", kMe, {"Bearer a, Bearer b"}, Found::kNothing, ""},
        HeaderCase{"quoted", kMe, {"Bearer \"a\""}, Found::kNothing, ""},
        HeaderCase{"padding_inside", kMe, {"Bearer a=b"}, Found::kNothing, ""},
        HeaderCase{"padding_only", kMe, {"Bearer =="}, Found::kNothing, ""},
        HeaderCase{"longest",
                   kMe,
                   {"Bearer " + std::string(kTokenBytesMax, 'a')},
                   Found::kToken,
                   std::string(kTokenBytesMax, 'a')},
        HeaderCase{"too_long",
                   kMe,
                   {"Bearer " + std::string(kTokenBytesMax + 1, 'a')},
                   Found::kNothing,
                   ""},
        HeaderCase{"attack_twice", kMe, {"Bearer a", "Bearer a"}, Found::kBad, ""},
        HeaderCase{"attack_second_is_empty", kMe, {"Bearer a", ""}, Found::kBad, ""},
        HeaderCase{"attack_second_is_basic", kMe, {"Bearer a", "Basic YTpi"}, Found::kBad, ""},
        HeaderCase{"attack_query", "/me?access_token=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_and_header", "/me?access_token=x", {"Bearer a"}, Found::kBad, ""},
        HeaderCase{"attack_query_without_value", "/me?a=b&access_token", {}, Found::kBad, ""},
        HeaderCase{"attack_query_in_any_case", "/me?ACCESS_Token=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_encoded", "/me?%61ccess%5Ftoken=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_encoded_twice", "/me?access%255Ftoken=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_encoded_beside_broken",
                   "/me?%zz&%41CCESS%5ftoken=x",
                   {},
                   Found::kBad,
                   ""},
        HeaderCase{"attack_query_with_space", "/me?+access_token%20=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_after_semicolon", "/me?a=b;access_token=x", {}, Found::kBad, ""},
        HeaderCase{"attack_query_after_question", "/me?a?access_token=x", {}, Found::kBad, ""}),
    [](const auto& row) { return row.param.name; });

TEST(Claims, OfAUser) {
  const BearerToken token = token_of(user_claims());
  const Result<Actor> actor = read_claims(token);
  ASSERT_TRUE(actor.ok()) << actor.error().message;
  EXPECT_EQ(actor->kind, ActorKind::kUser);
  EXPECT_FALSE(actor->verified());
  EXPECT_EQ(actor->tenant_id, kTenant);
  EXPECT_EQ(actor->object_id, kAdele);
  EXPECT_EQ(actor->app_id, kClientApp);
  EXPECT_EQ(actor->name, "adele@contoso.com");
  EXPECT_EQ(actor->scopes, (std::vector<std::string>{"Mail.ReadWrite", "User.Read"}));
  EXPECT_EQ(actor->wids, (std::vector<std::string>{"62e90394-69f5-4237-9190-012177145e10"}));
  EXPECT_EQ(actor->token_id, "u-1");
  EXPECT_EQ(actor->token_sha256, to_hex(sha256(token.text)));
  ASSERT_TRUE(actor->expires);
  EXPECT_EQ(*actor->expires, testing::FakeClock::kStart + std::chrono::hours(1));
}

TEST(Claims, OfAnApp) {
  const Result<Actor> actor = read_claims(token_of(app_claims()));
  ASSERT_TRUE(actor.ok()) << actor.error().message;
  EXPECT_EQ(actor->kind, ActorKind::kApp);
  EXPECT_EQ(actor->app_id, kClientApp);
  EXPECT_EQ(actor->name, "Retention bot");
  EXPECT_EQ(actor->roles, (std::vector<std::string>{"Mail.ReadWrite"}));
}

TEST(Claims, OfVersionTwoTokens) {
  json claims = user_claims();
  claims.erase("appid");
  claims.erase("upn");
  claims["azp"] = kClientApp;
  claims["preferred_username"] = "adele@contoso.com";
  const Result<Actor> actor = read_claims(token_of(claims));
  ASSERT_TRUE(actor.ok()) << actor.error().message;
  EXPECT_EQ(actor->app_id, kClientApp);
  EXPECT_EQ(actor->name, "adele@contoso.com");
}

TEST(Claims, IdsAreComparedInOneCase) {
  json claims = user_claims();
  claims["oid"] = "ADE1E000-0000-4000-8000-00000000000B";
  const Result<Actor> actor = read_claims(token_of(claims));
  ASSERT_TRUE(actor.ok());
  EXPECT_EQ(actor->object_id, kAdele);
}

TEST(Claims, KindWithoutIdtyp) {
  json user = user_claims();
  user.erase("idtyp");
  EXPECT_EQ(read_claims(token_of(user))->kind, ActorKind::kUser);
  user["roles"] = json::array({"x"});
  EXPECT_EQ(read_claims(token_of(user))->kind, ActorKind::kUser);
  json app = app_claims();
  app.erase("idtyp");
  EXPECT_EQ(read_claims(token_of(app))->kind, ActorKind::kApp);
}

TEST(Claims, MayLackAnExpiry) {
  json claims = user_claims();
  claims.erase("exp");
  const Result<Actor> actor = read_claims(token_of(claims));
  ASSERT_TRUE(actor.ok());
  EXPECT_FALSE(actor->expires);
}

struct ClaimCase {
  std::string name;
  json patch;  // Merged over a user's claims; null removes (RFC 7396).
  json base = user_claims();
};

void PrintTo(const ClaimCase& row, std::ostream* out) {
  *out << row.name;
}

class UnreadableClaims : public ::testing::TestWithParam<ClaimCase> {};

TEST_P(UnreadableClaims, AreRefusedWithoutQuotingThem) {
  json claims = GetParam().base;
  claims.merge_patch(GetParam().patch);
  const BearerToken token = token_of(claims);
  const Result<Actor> actor = read_claims(token);
  ASSERT_FALSE(actor.ok());
  EXPECT_EQ(actor.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(actor.error().message.find("secret"), std::string::npos) << actor.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UnreadableClaims,
    ::testing::Values(
        ClaimCase{"no_tenant", {{"tid", nullptr}}}, ClaimCase{"no_user", {{"oid", nullptr}}},
        ClaimCase{"no_app", {{"appid", nullptr}}, app_claims()},
        ClaimCase{"tenant_no_guid", {{"tid", "secret"}}},
        ClaimCase{"user_no_guid", {{"oid", "secret"}}}, ClaimCase{"user_empty", {{"oid", ""}}},
        ClaimCase{"user_with_braces", {{"oid", "{" + kAdele + "}"}}},
        ClaimCase{"user_a_number", {{"oid", 7}}},
        ClaimCase{"user_a_list", {{"oid", json::array({kAdele})}}},
        ClaimCase{"app_no_guid", {{"appid", "secret"}}},
        ClaimCase{"attack_apps_contradict", {{"azp", kAdele}}},
        ClaimCase{"name_a_number", {{"upn", 1}}},
        ClaimCase{"scopes_a_list", {{"scp", json::array({"Mail.Read"})}}},
        ClaimCase{"roles_a_text", {{"roles", "secret"}}},
        ClaimCase{"roles_of_numbers", {{"roles", json::array({1})}}},
        ClaimCase{"wids_an_object", {{"wids", json::object({{"a", 1}})}}},
        ClaimCase{"expiry_a_text", {{"exp", "1791190800"}}},
        ClaimCase{"expiry_a_fraction", {{"exp", 1.5}}}, ClaimCase{"expiry_negative", {{"exp", -1}}},
        ClaimCase{"expiry_beyond_calendars", {{"exp", 253402300800}}},
        ClaimCase{"expiry_beyond_integers", {{"exp", 18446744073709551615U}}},
        ClaimCase{"kind_unknown", {{"idtyp", "device"}}},
        ClaimCase{"kind_a_number", {{"idtyp", 1}}},
        ClaimCase{"kind_in_other_case", {{"idtyp", "User"}}},
        ClaimCase{"kind_missing", {{"idtyp", nullptr}, {"scp", nullptr}}},
        ClaimCase{"attack_app_with_scopes", {{"scp", "Mail.Read"}}, app_claims()}),
    [](const auto& row) { return row.param.name; });

struct TextCase {
  std::string name;
  std::string text;
};

void PrintTo(const TextCase& row, std::ostream* out) {
  *out << row.name;
}

class UnreadableTokens : public ::testing::TestWithParam<TextCase> {};

TEST_P(UnreadableTokens, AreRefused) {
  const Result<Actor> actor = read_claims(BearerToken{GetParam().text});
  ASSERT_FALSE(actor.ok());
  EXPECT_EQ(actor.error().code, ErrorCode::kInvalid);
}

std::string good_text() {
  return token_of(user_claims()).text;
}

// The user's claims with `tail` written inside the object, behind the rest.
std::string with_tail(const std::string& tail) {
  std::string payload = user_claims().dump();
  payload.pop_back();
  return token_of_text(payload + tail);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UnreadableTokens,
    ::testing::Values(
        TextCase{"empty", ""}, TextCase{"opaque", "EwBgA8l6BAAU"}, TextCase{"two_parts", "e30.e30"},
        TextCase{"four_parts", good_text() + ".e30"}, TextCase{"leading_dot", "." + good_text()},
        TextCase{"unsigned", good_text().substr(0, good_text().rfind('.') + 1)},
        TextCase{"padded", good_text() + "="}, TextCase{"plain_base64", "+/+/." + good_text()},
        TextCase{"signature_not_base64", good_text() + "!"},
        TextCase{"header_not_json", "e." + good_text().substr(good_text().find('.') + 1)},
        TextCase{"header_a_list", to_base64url("[]") + good_text().substr(good_text().find('.'))},
        TextCase{"payload_empty", token_of_text("")},
        TextCase{"payload_a_list", token_of_text("[]")},
        TextCase{"payload_not_utf8", with_tail(",\"x\":\"\xff\"}")},
        TextCase{"payload_and_more", with_tail("}{}")},
        TextCase{"attack_duplicate_claim",
                 with_tail(R"(,"oid":"ade1e000-0000-4000-8000-0000000000ff"})")},
        TextCase{"attack_duplicate_claim_escaped",
                 with_tail(R"(,"\u006fid":"ade1e000-0000-4000-8000-0000000000ff"})")},
        TextCase{"deep", token_of_text(std::string(200, '[') + std::string(200, ']'))},
        TextCase{"huge", good_text() + std::string(kTokenBytesMax, 'A')}),
    [](const auto& row) { return row.param.name; });

TEST(Claims, CanStillBeReadBeforeTheTail) {
  // Guards the rows above: what they append is what makes them unreadable.
  EXPECT_TRUE(read_claims(BearerToken{with_tail("}")}).ok());
  EXPECT_TRUE(read_claims(BearerToken{with_tail(R"(,"OID":"other"})")}).ok());
}

}  // namespace
}  // namespace holdfast::identity
