// Generations of rules over HTTP: who may decide on one that waits, and on what.
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using ::testing::HasSubstr;

class GenerationsApiTest : public ApiTest {
 protected:
  GenerationsApiTest() {
    const auto tokens =
        Tokens::parse("tokens:\n  - name: root\n    sha256: \"" + to_hex(sha256("root")) +
                          "\"\n    roles: [admin]\n    person: { tenant: T, user: root }\n" +
                          "  - name: nobody\n    sha256: \"" + to_hex(sha256("nobody")) +
                          "\"\n    roles: [admin]\n" + officer("bob", "compliance"),
                      "tokens.yaml");
    tokens_ = *tokens;
    generations_.add("active");
    generations_.add("pending");
  }

  http::Response decide(const std::string& verb, const std::string& content,
                        const std::string& who = "root", const std::string& number = "2") {
    return get("/api/v1/rules/" + number + "/" + verb, who, "POST", content);
  }
  http::Response approve(const std::string& who = "root") {
    return decide("approve", R"({"sha256":"hash2","comment":"seen"})", who);
  }
  std::size_t changes() const {
    return static_cast<std::size_t>(std::ranges::count_if(log_.entries(), [](const auto& entry) {
      return entry.record.kind == audit::Kind::kRules;
    }));
  }
};

TEST_F(GenerationsApiTest, approving_records_who_and_what_was_in_force) {
  const http::Response answer = approve();
  ASSERT_EQ(answer.status, 200) << answer.content;
  EXPECT_EQ(body(answer)["state"], "active");
  EXPECT_EQ(body(answer)["decision"]["by"]["person"], "t/root");
  const audit::Record record = log_.entries().back().record;
  EXPECT_EQ(body(answer)["record"], to_string(log_.entries().back().ref.id));
  EXPECT_EQ(
      record.content["rules"],
      nlohmann::json({{"event", "approved"},
                      {"generation", 2},
                      {"revision", "r2"},
                      {"sha256", "hash2"},
                      {"before", {{"generation", 1}, {"revision", "r1"}, {"sha256", "hash1"}}},
                      {"by", {{"name", "root"}, {"person", "t/root"}}},
                      {"comment", "seen"}}));
  EXPECT_EQ(body(get("/api/v1/rules/1", "bob"))["state"], "superseded");
  EXPECT_EQ(approve().status, 409);
}

TEST_F(GenerationsApiTest, rejecting_takes_a_reason) {
  EXPECT_EQ(decide("reject", R"({"sha256":"hash2"})").status, 400);
  EXPECT_EQ(decide("reject", R"({"sha256":"hash2","reason":" "})").status, 400);
  const http::Response answer = decide("reject", R"({"sha256":"hash2","reason":"no"})");
  EXPECT_EQ(body(answer)["state"], "rejected") << answer.content;
  EXPECT_EQ(body(answer)["decision"]["reason"], "no");
}

TEST_F(GenerationsApiTest, only_admins_who_are_known_people_decide) {
  const auto refusal = [this](const std::string& who) {
    const http::Response response = approve(who);
    EXPECT_EQ(response.status, 403) << response.content;
    return body(response)["detail"].get<std::string>();
  };
  EXPECT_EQ(refusal("bob"),
            "You can't decide on rules because your role does not allow it: it takes admin.");
  EXPECT_EQ(refusal("nobody"),
            "You can't decide on rules because your token does not say which person you are.");
  token_approvals_ = approval::TokenApprovals::kRefused;
  EXPECT_EQ(refusal("root"), "You can't decide on rules with an API token: sign in.");
  EXPECT_EQ(decide("reject", R"({"sha256":"hash2","reason":"no"})").status, 403);
  EXPECT_EQ(changes(), 0U);
}

TEST_F(GenerationsApiTest, what_is_decided_on_is_named_by_its_hash) {
  EXPECT_EQ(decide("approve", "{}").status, 400);
  EXPECT_EQ(decide("approve", R"({"sha256":7})").status, 400);
  EXPECT_EQ(decide("approve", R"({"sha256":"hash2","more":"x"})").status, 400);
  EXPECT_EQ(decide("approve", R"({"sha256":"hash1"})").status, 409);
  EXPECT_EQ(decide("approve", R"({"sha256":"hash1"})", "root", "1").status, 409);
  EXPECT_EQ(decide("approve", R"({"sha256":"hash3"})", "root", "3").status, 404);
  EXPECT_EQ(decide("approve", R"({"sha256":"hash2"})", "root", "two").status, 404);
  EXPECT_EQ(changes(), 0U);
}

TEST_F(GenerationsApiTest, rules_that_change_meanwhile_are_looked_at_again) {
  log_.fail_nth(1, {ErrorCode::kRefused, "other rules are in force"});
  EXPECT_EQ(approve().status, 200);
  generations_.add("pending");
  for (std::size_t n = 1; n <= 5; ++n) log_.fail_nth(n, {ErrorCode::kRefused, "again"});
  EXPECT_EQ(decide("approve", R"({"sha256":"hash3"})", "root", "3").status, 409);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "away"});
  EXPECT_EQ(decide("approve", R"({"sha256":"hash3"})", "root", "3").status, 503);
}

TEST_F(GenerationsApiTest, a_token_that_ends_meanwhile_decides_nothing) {
  log_.fail_nth(1, {ErrorCode::kNotFound, "the token was revoked or has expired"});
  EXPECT_EQ(approve().status, 401);
  EXPECT_EQ(changes(), 0U);
}

TEST_F(GenerationsApiTest, every_officer_reads_and_that_is_recorded) {
  const http::Response listed = get("/api/v1/rules?limit=1", "bob");
  EXPECT_EQ(body(listed)["count"], 1);
  EXPECT_EQ(body(listed)["value"][0]["generation"], 2);
  EXPECT_EQ(body(get("/api/v1/rules?cursor=2", "bob"))["value"][0]["generation"], 1);
  EXPECT_EQ(get("/api/v1/rules?limit=201", "bob").status, 400);
  EXPECT_EQ(get("/api/v1/rules?state=pending", "bob").status, 400);
  const nlohmann::json shown = body(get("/api/v1/rules/2", "bob"));
  EXPECT_EQ(shown["rules"], "schema: 1\n");
  EXPECT_THAT(shown["changes"][0].get<std::string>(), HasSubstr("hold is gone"));
  EXPECT_EQ(log_.entries().back().record.kind, audit::Kind::kAccess);
  generations_.broken = true;
  EXPECT_THAT(body(get("/api/v1/rules/2", "bob"))["changes_unknown"].get<std::string>(),
              HasSubstr("no such condition"));
  EXPECT_EQ(get("/api/v1/rules/3", "bob").status, 404);
  generations_.away = true;
  EXPECT_EQ(get("/api/v1/rules", "bob").status, 503);
}

}  // namespace
}  // namespace holdfast::officers
