#include "identity/sign_in.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/unit/identity/tokens.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;
using testing::FakeClock;

const Issuer kIssuer{
    .issuer = "https://login.example/v2.0", .audience = "api://holdfast", .tenant = kTenant};

json good_claims() {
  return {{"iss", kIssuer.issuer},
          {"aud", kIssuer.audience},
          {"tid", kTenant},
          {"oid", kAdele},
          {"name", "Adele Vance"},
          {"preferred_username", "adele@contoso.com"},
          {"email", "adele@contoso.com"},
          {"scp", "access"},
          {"roles", {"approver"}},
          {"groups", {"3f2c0a52-0000-4000-8000-000000000001"}},
          {"nbf", 1'791'187'200},
          {"exp", 1'791'190'800}};  // An hour after FakeClock starts.
}

json with(const char* claim, const json& value) {
  json claims = good_claims();
  claims[claim] = value;
  return claims;
}

json without(const char* claim) {
  json claims = good_claims();
  claims.erase(claim);
  return claims;
}

Result<SignedIn> read(const json& claims, std::chrono::seconds later = std::chrono::seconds(0)) {
  return read_sign_in(claims.dump(), kIssuer, FakeClock::kStart + later);
}

std::string problem(const json& claims, std::chrono::seconds later = std::chrono::seconds(0)) {
  const Result<SignedIn> person = read(claims, later);
  return person.ok() ? "" : person.error().message;
}

TEST(SignIn, SaysWhoSignedIn) {
  const Result<SignedIn> person = read(good_claims());
  ASSERT_TRUE(person.ok()) << person.error().message;
  EXPECT_EQ(person->tenant, kTenant);
  EXPECT_EQ(person->user, kAdele);
  EXPECT_EQ(person->expires, FakeClock::kStart + std::chrono::minutes(61));
  EXPECT_EQ(person->name, "Adele Vance");
  EXPECT_EQ(person->names, std::vector<std::string>{"adele@contoso.com"});
  EXPECT_EQ(person->roles, std::vector<std::string>{"approver"});
  EXPECT_EQ(person->groups, std::vector<std::string>{"3f2c0a52-0000-4000-8000-000000000001"});
}

TEST(SignIn, GroupsCountByTheirObjectIdsAlone) {
  const std::string id = "3F2C0A52-0000-4000-8000-000000000001";
  const auto groups = [](const json& claim) { return read(with("groups", claim)).value().groups; };
  EXPECT_EQ(groups({"compliance", id, id + " ", "CONTOSO\\compliance", ""}),
            std::vector<std::string>{id});
  EXPECT_EQ(groups(json::array({"compliance"})), std::vector<std::string>());
}

TEST(SignIn, IsForTheConfiguredIssuerAudienceAndTenantOnly) {
  for (const char* claim : {"iss", "aud", "tid"}) {
    EXPECT_NE(problem(without(claim)), "") << claim;
    EXPECT_NE(problem(with(claim, "")), "") << claim;
    EXPECT_NE(problem(with(claim, 1)), "") << claim;
  }
  EXPECT_EQ(problem(with("iss", kIssuer.issuer + "/")), "the access token is from another issuer");
  EXPECT_EQ(problem(with("aud", "api://other")), "the access token is for another audience");
  EXPECT_EQ(problem(with("aud", {"api://other", "x"})), "the access token is for another audience");
  EXPECT_EQ(problem(with("aud", {"api://other", kIssuer.audience})), "");
  EXPECT_EQ(problem(with("tid", kAdele)), "the access token is from another tenant");
}

TEST(SignIn, EndsWithItsTime) {
  using std::chrono::seconds;
  EXPECT_EQ(problem(good_claims(), seconds(3'659)), "");
  EXPECT_EQ(problem(good_claims(), seconds(3'660)), "the access token has expired");
  EXPECT_EQ(problem(good_claims(), seconds(-60)), "");
  EXPECT_EQ(problem(good_claims(), seconds(-61)), "the access token is not valid yet");
  EXPECT_EQ(problem(without("exp")), "the access token does not say when it expires");
  EXPECT_EQ(problem(without("nbf")), "");
  EXPECT_NE(problem(with("exp", "1791190800")), "");
}

TEST(SignIn, IsAPersons) {
  const std::string not_a_person = "the access token is not a person's";
  EXPECT_EQ(problem(with("idtyp", "app")), not_a_person);
  EXPECT_EQ(problem(with("idtyp", "user")), "");
  json app = without("scp");
  EXPECT_EQ(problem(app), "");  // An ID token.
  app.erase("preferred_username");
  app.erase("email");
  EXPECT_EQ(problem(app), not_a_person);
  EXPECT_EQ(problem(without("oid")), "the access token names no user");
}

TEST(SignIn, HasClaimsOfTheirTypes) {
  for (const char* claim : {"name", "preferred_username", "roles", "groups", "oid"}) {
    EXPECT_NE(problem(with(claim, 1)), "") << claim;
  }
  EXPECT_FALSE(read_sign_in("[]", kIssuer, FakeClock::kStart).ok());
  EXPECT_FALSE(read_sign_in("", kIssuer, FakeClock::kStart).ok());
}

}  // namespace
}  // namespace holdfast::identity
