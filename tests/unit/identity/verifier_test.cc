#include "identity/verifier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_graph.h"
#include "tests/unit/identity/tokens.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;
using testing::FakeClock;
using testing::FakeGraph;
using testing::run;

const std::string kAskUser = "/v1.0/me?$select=id";
const std::string kAskApp = "/v1.0/organization?$select=id";
const std::string kForbidden = R"({"error":{"code":"Authorization_RequestDenied","message":"no"}})";

std::string me(const std::string& id) {
  return json({{"id", id}}).dump();
}

std::string organization(const std::string& id) {
  return json({{"value", json::array({{{"id", id}}})}}).dump();
}

Result<Verdict> verify(Verifier& verifier, FakeGraph& graph, const json& claims) {
  const BearerToken token = token_of(claims);
  const Result<Actor> claimed = read_claims(token);
  EXPECT_TRUE(claimed.ok());
  return run(verifier.verify(graph, token, *claimed));
}

TEST(Verifier, BelievesAUserWhomGraphKnows) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  const Result<Verdict> verdict = verify(verifier, graph, user_claims());
  ASSERT_TRUE(verdict.ok()) << verdict.error().message;
  EXPECT_TRUE(verdict->actor.verified());
  EXPECT_FALSE(verdict->refusal);
  EXPECT_EQ(verdict->actor.object_id, kAdele);
  ASSERT_EQ(graph.asked().size(), 1U);
  EXPECT_EQ(graph.asked()[0].target, kAskUser);
  EXPECT_EQ(graph.asked()[0].token, token_of(user_claims()).text);
}

TEST(Verifier, BelievesAnAppOfTheTenantThatGraphNames) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskApp, 200, organization(kTenant));
  const Result<Verdict> verdict = verify(verifier, graph, app_claims());
  ASSERT_TRUE(verdict.ok()) << verdict.error().message;
  EXPECT_TRUE(verdict->actor.verified());
  ASSERT_EQ(graph.asked().size(), 1U);
  EXPECT_EQ(graph.asked()[0].target, kAskApp);
}

TEST(Verifier, HandsGraphsOwn401Back) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  const std::string challenge = R"(Bearer error="insufficient_claims", claims="e30=")";
  graph.answer(kAskUser, 401, R"({"error":{"code":"InvalidAuthenticationToken"}})",
               {{"request-id", "r1"}, {"WWW-Authenticate", challenge}});
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const Result<Verdict> verdict = verify(verifier, graph, user_claims());
    ASSERT_TRUE(verdict.ok());
    EXPECT_FALSE(verdict->actor.verified());
    ASSERT_TRUE(verdict->refusal);
    EXPECT_EQ(verdict->refusal->status, 401);
    EXPECT_EQ(verdict->refusal->headers.get("www-authenticate"), challenge);
    EXPECT_EQ(graph.asked().size(), static_cast<std::size_t>(attempt)) << "a refusal was kept";
  }
}

TEST(Verifier, IdsInAnyCaseAreTheSameCaller) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me("ADE1E000-0000-4000-8000-00000000000B"));
  EXPECT_TRUE(verify(verifier, graph, user_claims()).ok());
}

struct AnswerCase {
  std::string name;
  json claims;
  int status = 200;
  std::string body;
  http::Headers headers = {{"request-id", "r1"}};
  std::optional<ErrorCode> error;
};

void PrintTo(const AnswerCase& row, std::ostream* out) {
  *out << row.name;
}

class VerifierAnswers : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(VerifierAnswers, AreJudged) {
  const AnswerCase& row = GetParam();
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, row.status, row.body, row.headers);
  graph.answer(kAskApp, row.status, row.body, row.headers);
  const Result<Verdict> verdict = verify(verifier, graph, row.claims);
  if (!row.error) {
    ASSERT_TRUE(verdict.ok()) << verdict.error().message;
    EXPECT_TRUE(verdict->actor.verified());
    return;
  }
  ASSERT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.error().code, *row.error);
  EXPECT_FALSE(verify(verifier, graph, row.claims).ok());
  EXPECT_EQ(graph.asked().size(), 2U) << "what was not acceptance was remembered";
}

const std::string kStranger = "ffffffff-0000-4000-8000-000000000000";

INSTANTIATE_TEST_SUITE_P(
    Rows, VerifierAnswers,
    ::testing::Values(
        AnswerCase{
            "attack_another_users_id", user_claims(), 200, me(kStranger), {}, ErrorCode::kRefused},
        AnswerCase{"attack_another_tenant",
                   app_claims(),
                   200,
                   organization(kStranger),
                   {},
                   ErrorCode::kRefused},
        AnswerCase{"attack_user_answered_with_organization",
                   user_claims(),
                   200,
                   organization(kTenant),
                   {},
                   ErrorCode::kUnavailable},
        AnswerCase{"attack_app_answered_as_user",
                   app_claims(),
                   200,
                   me(kTenant),
                   {},
                   ErrorCode::kUnavailable},
        AnswerCase{"attack_app_passing_for_user",
                   user_claims(),
                   400,
                   R"({"error":{"code":"BadRequest","message":"delegated only"}})",
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{"two_organizations",
                   app_claims(),
                   200,
                   json({{"value", json::array({{{"id", kTenant}}, {{"id", kTenant}}})}}).dump(),
                   {},
                   ErrorCode::kUnavailable},
        AnswerCase{
            "no_organization", app_claims(), 200, R"({"value":[]})", {}, ErrorCode::kUnavailable},
        AnswerCase{
            "user_forbidden", user_claims(), 403, kForbidden, {{"Request-Id", "r1"}}, std::nullopt},
        AnswerCase{
            "app_forbidden", app_claims(), 403, kForbidden, {{"request-id", "r1"}}, std::nullopt},
        AnswerCase{"forbidden_without_request_id",
                   user_claims(),
                   403,
                   kForbidden,
                   {},
                   ErrorCode::kUnavailable},
        AnswerCase{"forbidden_with_empty_request_id",
                   user_claims(),
                   403,
                   kForbidden,
                   {{"request-id", ""}},
                   ErrorCode::kUnavailable},
        AnswerCase{"forbidden_in_html",
                   user_claims(),
                   403,
                   "<html>blocked</html>",
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{"forbidden_in_another_shape",
                   user_claims(),
                   403,
                   R"({"error":"forbidden"})",
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{"forbidden_without_code",
                   user_claims(),
                   403,
                   R"({"error":{"code":""}})",
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{
            "portal_page", user_claims(), 200, "<html>sign in</html>", {}, ErrorCode::kUnavailable},
        AnswerCase{"empty_200", user_claims(), 200, "", {}, ErrorCode::kUnavailable},
        AnswerCase{"duplicate_ids",
                   user_claims(),
                   200,
                   R"({"id":"x","id":")" + kAdele + R"("})",
                   {},
                   ErrorCode::kUnavailable},
        AnswerCase{"id_not_text", user_claims(), 200, R"({"id":1})", {}, ErrorCode::kUnavailable},
        AnswerCase{
            "right_id_wrong_status", user_claims(), 203, me(kAdele), {}, ErrorCode::kUnavailable},
        AnswerCase{"throttled",
                   user_claims(),
                   429,
                   kForbidden,
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{"not_found",
                   user_claims(),
                   404,
                   kForbidden,
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable},
        AnswerCase{
            "redirect", user_claims(), 302, "", {{"Location", "/"}}, ErrorCode::kUnavailable},
        AnswerCase{"graph_broken",
                   user_claims(),
                   500,
                   kForbidden,
                   {{"request-id", "r1"}},
                   ErrorCode::kUnavailable}),
    [](const auto& row) { return row.param.name; });

TEST(Verifier, IsUnavailableWhenGraphCannotBeAsked) {
  for (const ErrorCode code :
       {ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kLimit, ErrorCode::kInvalid}) {
    FakeClock clock;
    Verifier verifier(clock);
    FakeGraph graph;
    graph.fail(code);
    const Result<Verdict> verdict = verify(verifier, graph, user_claims());
    ASSERT_FALSE(verdict.ok());
    EXPECT_EQ(verdict.error().code, ErrorCode::kUnavailable) << static_cast<int>(code);
  }
}

TEST(Verifier, RemembersUntilTheTokenExpiresAndNotLonger) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  EXPECT_TRUE(verify(verifier, graph, user_claims())->actor.verified());
  clock.advance(std::chrono::minutes(59));
  EXPECT_TRUE(verify(verifier, graph, user_claims())->actor.verified());
  EXPECT_EQ(graph.asked().size(), 1U);

  graph.answer(kAskUser, 401, "{}");
  clock.advance(std::chrono::minutes(1));
  EXPECT_FALSE(verify(verifier, graph, user_claims())->actor.verified());
  EXPECT_EQ(graph.asked().size(), 2U);
}

TEST(Verifier, RemembersWhomATokenIsOf) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  const BearerToken token = token_of(user_claims());
  EXPECT_FALSE(verifier.remembered(token));
  ASSERT_TRUE(verify(verifier, graph, user_claims())->actor.verified());
  const std::optional<Actor> known = verifier.remembered(token);
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->verified());
  EXPECT_EQ(known->object_id, kAdele);
  EXPECT_EQ(known->token_sha256, read_claims(token)->token_sha256);
  EXPECT_FALSE(verifier.remembered(BearerToken{token.text + "x"}));
  clock.advance(std::chrono::hours(1));
  EXPECT_FALSE(verifier.remembered(token));
}

TEST(Verifier, DoesNotRememberWhomGraphRefused) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 401, "{}");
  ASSERT_TRUE(verify(verifier, graph, user_claims())->refusal);
  EXPECT_FALSE(verifier.remembered(token_of(user_claims())));
}

TEST(Verifier, attack_another_payload_under_a_known_signature) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  ASSERT_TRUE(verify(verifier, graph, user_claims())->actor.verified());
  graph.answer(kAskUser, 401, "{}");
  json forged = user_claims();
  forged["wids"] = json::array({kStranger});
  EXPECT_FALSE(verify(verifier, graph, forged)->actor.verified());
}

class UnrememberedTokens : public ::testing::TestWithParam<json> {};

TEST_P(UnrememberedTokens, AreAskedAboutEveryTime) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  json claims = user_claims();
  claims.merge_patch({{"exp", GetParam()}});
  EXPECT_TRUE(verify(verifier, graph, claims)->actor.verified());
  EXPECT_TRUE(verify(verifier, graph, claims)->actor.verified());
  EXPECT_EQ(graph.asked().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Expiries, UnrememberedTokens,
                         ::testing::Values(json(), json(1), json(1'791'187'200)));

TEST(Verifier, AsksAgainWhenTheCacheOverflowed) {
  FakeClock clock;
  Verifier verifier(clock, 2);
  FakeGraph graph;
  graph.answer(kAskUser, 200, me(kAdele));
  for (const char* uti : {"1", "2", "3", "1"}) {
    json claims = user_claims();
    claims["uti"] = uti;
    EXPECT_TRUE(verify(verifier, graph, claims)->actor.verified());
  }
  EXPECT_EQ(graph.asked().size(), 4U);
}

TEST(Verifier, attack_claimed_verification_is_not_believed) {
  FakeClock clock;
  Verifier verifier(clock);
  FakeGraph graph;
  graph.answer(kAskUser, 401, "{}");
  const BearerToken token = token_of(user_claims());
  Actor claimed = *read_claims(token);
  claimed.verification = Verification::kProbe;
  EXPECT_FALSE(run(verifier.verify(graph, token, claimed))->actor.verified());
}

TEST(Verifier, race_of_workers_with_one_token) {
  FakeClock clock;
  Verifier verifier(clock);
  std::atomic<int> verified = 0;
  std::vector<std::jthread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&] {
      FakeGraph graph;
      graph.answer(kAskUser, 200, me(kAdele));
      for (int i = 0; i < 50; ++i) {
        if (verify(verifier, graph, user_claims())->actor.verified()) ++verified;
      }
      EXPECT_LE(graph.asked().size(), 1U);
    });
  }
  workers.clear();
  EXPECT_EQ(verified, 200);
}

}  // namespace
}  // namespace holdfast::identity
