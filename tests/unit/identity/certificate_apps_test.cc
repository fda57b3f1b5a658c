#include "identity/certificate_apps.h"

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

const std::string kPayrollApp = "a9900000-0000-4000-8000-0000000000ff";
const std::string kFabrikam = "7e000000-0000-4000-8000-0000000000ff";

const CertificateApps& apps() {
  static const CertificateApps made({
      {.name = "DNS:billing.contoso.com", .tenant_id = kTenant, .app_id = kClientApp},
      {.name = "URI:spiffe://contoso.com/Billing", .tenant_id = kTenant, .app_id = kClientApp},
      {.name = "DNS:payroll.contoso.com", .tenant_id = kTenant, .app_id = kPayrollApp},
      {.name = "DNS:billing.fabrikam.com", .tenant_id = kFabrikam, .app_id = kClientApp},
  });
  return made;
}

enum class Is { kBilling, kNobody, kSeveral };

struct NamesCase {
  const char* name;
  std::vector<std::string> names;
  Is is;
};

void PrintTo(const NamesCase& row, std::ostream* out) {
  *out << row.name;
}

class CertificateNames : public ::testing::TestWithParam<NamesCase> {};

TEST_P(CertificateNames, StandForOneAppOrNone) {
  const http::ClientCertificate certificate{
      .subject = "CN=billing.contoso.com", .names = GetParam().names, .sha256 = "00"};
  const Result<Actor> app = apps().app_of(certificate, BearerToken{"opaque"});
  if (GetParam().is == Is::kBilling) {
    ASSERT_TRUE(app.ok()) << app.error().message;
    EXPECT_EQ(app->tenant_id, kTenant);
    EXPECT_EQ(app->app_id, kClientApp);
    return;
  }
  ASSERT_FALSE(app.ok());
  EXPECT_EQ(app.error().code,
            GetParam().is == Is::kNobody ? ErrorCode::kNotFound : ErrorCode::kRefused);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CertificateNames,
    ::testing::Values(
        NamesCase{"dns", {"DNS:billing.contoso.com"}, Is::kBilling},
        NamesCase{"dns_in_any_case", {"DNS:Billing.CONTOSO.com"}, Is::kBilling},
        NamesCase{"uri", {"URI:spiffe://contoso.com/Billing"}, Is::kBilling},
        NamesCase{"uri_in_its_own_case_only", {"URI:spiffe://contoso.com/billing"}, Is::kNobody},
        NamesCase{"two_names_of_one_app",
                  {"DNS:billing.contoso.com", "URI:spiffe://contoso.com/Billing"},
                  Is::kBilling},
        NamesCase{"beside_names_that_are_not_listed",
                  {"DNS:host7.contoso.com", "IP:192.0.2.7", "DNS:billing.contoso.com"},
                  Is::kBilling},
        NamesCase{"no_name_but_the_common_one", {}, Is::kNobody},
        NamesCase{"unknown", {"DNS:host7.contoso.com"}, Is::kNobody},
        NamesCase{"below", {"DNS:a.billing.contoso.com"}, Is::kNobody},
        NamesCase{"above", {"DNS:contoso.com"}, Is::kNobody},
        NamesCase{"wildcard", {"DNS:*.contoso.com"}, Is::kNobody},
        NamesCase{"dot_at_the_end", {"DNS:billing.contoso.com."}, Is::kNobody},
        NamesCase{"dns_name_as_uri", {"URI:billing.contoso.com"}, Is::kNobody},
        NamesCase{"dns_name_as_address", {"email:billing.contoso.com"}, Is::kNobody},
        NamesCase{"two_apps", {"DNS:billing.contoso.com", "DNS:payroll.contoso.com"}, Is::kSeveral},
        NamesCase{"two_apps_far_apart",
                  {"DNS:billing.contoso.com", "DNS:a", "URI:spiffe://contoso.com/Billing",
                   "DNS:payroll.contoso.com"},
                  Is::kSeveral},
        NamesCase{
            "two_tenants", {"DNS:billing.contoso.com", "DNS:billing.fabrikam.com"}, Is::kSeveral}),
    [](const auto& row) { return row.param.name; });

// A forged token adds nothing that rules or approvals could go by.
TEST(CertificateApps, TakeNothingFromTheTokenButItsDigest) {
  const BearerToken token = token_of(app_claims());
  const http::ClientCertificate certificate{.names = {"DNS:x", "DNS:BILLING.contoso.com"}};
  const Result<Actor> app = apps().app_of(certificate, token);
  ASSERT_TRUE(app.ok());
  EXPECT_EQ(app->kind, ActorKind::kApp);
  EXPECT_EQ(app->verification, Verification::kCertificate);
  EXPECT_EQ(to_string(app->verification), "certificate");
  EXPECT_TRUE(app->verified());
  EXPECT_EQ(app->name, "DNS:billing.contoso.com");
  EXPECT_EQ(app->token_sha256, to_hex(sha256(token.text)));
  EXPECT_TRUE(app->roles.empty());
  EXPECT_EQ(app->object_id, "");
  EXPECT_EQ(app->token_id, "");
  EXPECT_EQ(app->expires, std::nullopt);
}

struct TokenCase {
  const char* name;
  std::string token;
  ErrorCode code;  // kInternal: none.
};

void PrintTo(const TokenCase& row, std::ostream* out) {
  *out << row.name;
}

class TokenBeside : public ::testing::TestWithParam<TokenCase> {};

TEST_P(TokenBeside, MayBeTheAppsOwn) {
  Actor app;
  app.kind = ActorKind::kApp;
  app.verification = Verification::kCertificate;
  app.tenant_id = kTenant;
  app.app_id = kClientApp;
  const Status status = check_token(BearerToken{GetParam().token}, app, testing::FakeClock::kStart);
  if (GetParam().code == ErrorCode::kInternal) {
    EXPECT_TRUE(status.ok()) << status.error().message;
    return;
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().message;
  EXPECT_EQ(status.error().message.find(GetParam().token), std::string::npos);
}

std::string token_with(json claims, const char* name, const json& value) {
  claims[name] = value;
  return token_of(claims).text;
}

json delegated_without_idtyp() {
  json claims = user_claims();
  claims.erase("idtyp");
  return claims;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, TokenBeside,
    ::testing::Values(
        TokenCase{"own", token_of(app_claims()).text, ErrorCode::kInternal},
        TokenCase{"own_in_upper_case",
                  token_with(app_claims(), "appid", "A9900000-0000-4000-8000-00000000000C"),
                  ErrorCode::kInternal},
        TokenCase{"opaque", "EwBwA8l6BAAU", ErrorCode::kInternal},
        TokenCase{"of_another_app", token_with(app_claims(), "appid", kPayrollApp),
                  ErrorCode::kRefused},
        TokenCase{"of_another_tenant", token_with(app_claims(), "tid", kFabrikam),
                  ErrorCode::kRefused},
        TokenCase{"of_a_user", token_of(user_claims()).text, ErrorCode::kRefused},
        TokenCase{"of_a_user_without_idtyp", token_of(delegated_without_idtyp()).text,
                  ErrorCode::kRefused},
        TokenCase{"of_a_user_and_another_app", token_with(user_claims(), "appid", kPayrollApp),
                  ErrorCode::kRefused},
        TokenCase{"expired", token_with(app_claims(), "exp", 1'791'187'200), ErrorCode::kInvalid},
        // To Graph, which may look less closely, it is still another app's.
        TokenCase{"padded", token_with(app_claims(), "appid", kPayrollApp) + "=",
                  ErrorCode::kInvalid},
        TokenCase{"with_a_dot_behind", token_with(app_claims(), "appid", kPayrollApp) + ".",
                  ErrorCode::kInvalid},
        TokenCase{"of_five_parts", "a.b.c.d.e", ErrorCode::kInvalid},
        TokenCase{"of_two_parts", "a.b", ErrorCode::kInvalid},
        TokenCase{"of_nobody", token_of({{"tid", kTenant}}).text, ErrorCode::kInvalid}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace holdfast::identity
