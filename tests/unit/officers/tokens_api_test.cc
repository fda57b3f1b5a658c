// API tokens over HTTP: who may make and end them, what they open, and what the records say.
#include <set>

#include "base/encoding.h"
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using ::testing::HasSubstr;

class TokensApiTest : public ApiTest {
 protected:
  TokensApiTest() {
    const auto tokens =
        Tokens::parse("tokens:\n  - name: root\n    sha256: \"" + to_hex(sha256("root")) +
                          "\"\n    roles: [admin, approver]\n    groups: [compliance]\n"
                          "    person: { tenant: T, user: root, names: [root@contoso.com] }\n" +
                          "  - name: keeper\n    sha256: \"" + to_hex(sha256("keeper")) +
                          "\"\n    roles: [admin]\n" + officer("bob", "compliance"),
                      "tokens.yaml");
    tokens_ = *tokens;
  }

  http::Response make(const std::string& content, const std::string& who = "root") {
    return get("/api/v1/tokens", who, "POST", content);
  }
  nlohmann::json made(const std::string& roles, const std::string& who = "root") {
    const http::Response response =
        make(R"({"name":"siem","expires_in_s":3600,"roles":[)" + roles + "]}", who);
    EXPECT_EQ(response.status, 201) << response.content;
    return body(response);
  }
  http::Response revoke(const nlohmann::json& token, const std::string& who = "root",
                        const std::string& content = "") {
    return get("/api/v1/tokens/" + token.at("id").get<std::string>() + "/revoke", who, "POST",
               content);
  }
  int reads(const nlohmann::json& token) {
    return get("/api/v1/records", token.at("token").get<std::string>()).status;
  }
  audit::Record last() { return log_.entries().back().record; }
};

TEST_F(TokensApiTest, a_new_token_is_shown_once_and_recorded_as_a_digest) {
  const nlohmann::json token = made(R"("auditor")");
  const std::string text = token["token"];
  EXPECT_TRUE(is_token_text(text)) << text;
  const audit::Record record = last();
  EXPECT_EQ(record.kind, audit::Kind::kSystem);
  EXPECT_EQ(record.content["system"]["event"], "token_created");
  EXPECT_EQ(record.content["system"]["token"]["sha256"], to_hex(sha256(text)));
  EXPECT_EQ(record.content["system"]["token"]["created_by"]["name"], "root");
  EXPECT_EQ(record.content["system"]["token"]["expires_at"],
            to_rfc3339(clock_.now() + std::chrono::hours(1)));
  EXPECT_EQ(record.content.dump().find(text), std::string::npos);
  const http::Response listed = get("/api/v1/tokens", "bob");
  EXPECT_EQ(listed.status, 200);
  EXPECT_THAT(listed.content, HasSubstr("siem"));
  EXPECT_EQ(listed.content.find(text), std::string::npos);
  EXPECT_EQ(listed.content.find(to_hex(sha256(text))), std::string::npos);
}

TEST_F(TokensApiTest, what_it_reads_names_it) {
  const nlohmann::json token = made(R"("auditor")");
  EXPECT_EQ(reads(token), 200);
  EXPECT_EQ(last().content["access"]["by"], "root");
  EXPECT_EQ(last().content["access"]["token_id"], token["id"]);
  get("/api/v1/records", "bob");
  EXPECT_FALSE(last().content["access"].contains("token_id"));
}

TEST_F(TokensApiTest, it_has_the_roles_it_was_given_and_decides_as_its_maker) {
  const Uuid code = make_uuid_v4();
  const auto file = [&](const std::string& requester) {
    approvals_.add(approval::filing(code, approval::Binding(),
                                    {.name = "x", .accounts = {requester}, .names = {}},
                                    {.stages = {{.from = "compliance", .group = "g"}}}),
                   approval::ApprovalState::kPending);
  };
  const auto approve = [&](const nlohmann::json& token) {
    return get("/api/v1/approvals/" + to_string(code) + "/approve", token["token"], "POST").status;
  };
  const nlohmann::json reader = made(R"("auditor")");
  const nlohmann::json approver = made(R"("approver")");
  file("t/app");
  EXPECT_EQ(approve(reader), 403);
  EXPECT_EQ(make(R"({"name":"x","expires_in_s":60,"roles":["auditor"]})", reader["token"]).status,
            403);
  EXPECT_EQ(approve(approver), 200);
  EXPECT_EQ(last().content["actor"]["token_id"], approver["id"]);
  EXPECT_EQ(last().content["approval"]["by"]["person"], "t/root");
  EXPECT_EQ(last().content["approval"]["by"]["via"], "token");
  approvals_.all.clear();
  file("t/root");
  EXPECT_EQ(approve(approver), 403) << "its maker asked for the call";
  approvals_.all.clear();
  file("t/app");
  token_approvals_ = approval::TokenApprovals::kRefused;
  EXPECT_EQ(approve(approver), 403);
}

TEST_F(TokensApiTest, it_decides_as_the_person_whom_the_file_knows_now) {
  const nlohmann::json approver = made(R"("approver")");
  tokens_ = *Tokens::parse("tokens: []\npeople:\n  - { tenant: T, user: root, apps: [robot] }\n",
                           "tokens.yaml");
  const auto approve = [&](const std::string& requester) {
    approvals_.all.clear();
    const Uuid code = make_uuid_v4();
    approvals_.add(approval::filing(code, approval::Binding(),
                                    {.name = "x", .accounts = {requester}, .names = {}},
                                    {.stages = {{.from = "compliance", .group = "g"}}}),
                   approval::ApprovalState::kPending);
    return get("/api/v1/approvals/" + to_string(code) + "/approve", approver["token"], "POST")
        .status;
  };
  EXPECT_EQ(approve("t/robot"), 403);
  EXPECT_EQ(approve("t/another"), 200);
}

TEST_F(TokensApiTest, only_admins_make_and_revoke_and_give_no_more_than_they_have) {
  const nlohmann::json token = made(R"("auditor")");
  EXPECT_EQ(make(R"({"name":"x","expires_in_s":60,"roles":["approver"]})", "bob").status, 403);
  EXPECT_EQ(revoke(token, "bob").status, 403);
  const http::Response more =
      make(R"({"name":"x","expires_in_s":60,"roles":["approver"]})", "keeper");
  EXPECT_EQ(more.status, 403);
  EXPECT_EQ(body(more)["detail"],
            "You can't give the role approver because you do not have it yourself.");
  made(R"("auditor","admin")", "keeper");
  EXPECT_EQ(reads(token), 200);
}

TEST_F(TokensApiTest, a_token_makes_no_token_but_may_revoke) {
  const nlohmann::json token = made(R"("admin")");
  const std::string text = token["token"];
  EXPECT_EQ(make(R"({"name":"x","expires_in_s":60,"roles":["auditor"]})", text).status, 403);
  EXPECT_EQ(revoke(token, text).status, 200);
  EXPECT_EQ(last().content["system"]["by"]["token_id"], token["id"]);
  EXPECT_EQ(reads(token), 401);
}

TEST_F(TokensApiTest, a_revoked_token_opens_nothing_and_says_who_ended_it) {
  const nlohmann::json token = made(R"("auditor")");
  const http::Response ended = revoke(token, "keeper", R"({"reason":"leaked"})");
  EXPECT_EQ(ended.status, 200) << ended.content;
  EXPECT_EQ(body(ended)["state"], "revoked");
  EXPECT_EQ(body(ended)["revoked_by"]["name"], "keeper");
  EXPECT_EQ(body(ended)["reason"], "leaked");
  EXPECT_EQ(last().content["system"]["event"], "token_revoked");
  EXPECT_EQ(reads(token), 401);
  EXPECT_EQ(revoke(token).status, 409);
  EXPECT_EQ(body(get("/api/v1/tokens", "bob"))["count"], 0);
  EXPECT_EQ(body(get("/api/v1/tokens?state=all", "bob"))["count"], 1);
}

TEST_F(TokensApiTest, bad_questions_are_400) {
  for (const std::string content :
       {"", "[]", R"({"name":"x","roles":["auditor"]})",
        R"({"name":"x","roles":["auditor"],"expires_in_s":59})",
        R"({"name":"x","roles":["auditor"],"expires_in_s":31622401})",
        R"({"name":"x","roles":["auditor"],"expires_in_s":-60})",
        R"({"name":"x","roles":["auditor"],"expires_in_s":"60"})",
        R"({"name":" ","roles":["auditor"],"expires_in_s":60})",
        R"({"name":"a\u0007","roles":["auditor"],"expires_in_s":60})",
        R"({"name":7,"roles":["auditor"],"expires_in_s":60})",
        R"({"name":"x","roles":[],"expires_in_s":60})",
        R"({"name":"x","roles":"auditor","expires_in_s":60})",
        R"({"name":"x","roles":["owner"],"expires_in_s":60})",
        R"({"name":"x","roles":[1],"expires_in_s":60})",
        R"({"name":"x","roles":["auditor","auditor"],"expires_in_s":60})",
        R"({"name":"x","roles":["auditor"],"expires_in_s":60,"person":"y"})"}) {
    EXPECT_EQ(make(content).status, 400) << content;
  }
  EXPECT_EQ(
      make(R"({"name":")" + std::string(101, 'x') + R"(","roles":["auditor"],"expires_in_s":60})")
          .status,
      400);
  EXPECT_TRUE(log_.entries().empty());
  EXPECT_EQ(body(make(R"({"name":"x","roles":["owner"],"expires_in_s":60})"))["detail"],
            "roles must be a list of auditor, approver and admin, each once");
  const nlohmann::json token = made(R"("auditor")");
  EXPECT_EQ(revoke(token, "root", R"({"why":"x"})").status, 400);
  EXPECT_EQ(revoke(token, "root", R"({"reason":")" + std::string(2049, 'x') + R"("})").status, 400);
  EXPECT_EQ(get("/api/v1/tokens?state=old", "bob").status, 400);
  EXPECT_EQ(get("/api/v1/tokens?limit=1", "bob").status, 400);
  for (const std::string path : {"/x/revoke", "/revoke", "/", "//revoke"}) {
    EXPECT_EQ(get("/api/v1/tokens" + path, "root", "POST").status, 404) << path;
  }
  EXPECT_EQ(revoke({{"id", to_string(make_uuid_v4())}}).status, 404);
  EXPECT_EQ(get("/api/v1/tokens", "root", "DELETE").status, 405);
}

TEST_F(TokensApiTest, what_cannot_be_recorded_or_looked_up_does_not_happen) {
  const nlohmann::json token = made(R"("auditor")");
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(make(R"({"name":"x","expires_in_s":60,"roles":["auditor"]})").status, 503);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(revoke(token).status, 503);
  EXPECT_EQ(reads(token), 200);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(get("/api/v1/tokens", "bob").status, 503);
  stored_tokens_.away = true;
  EXPECT_EQ(reads(token), 503);
  EXPECT_EQ(get("/api/v1/records", "bob").status, 200) << "the file's tokens need no database";
  EXPECT_EQ(get("/api/v1/records", "wrong").status, 401);
}

TEST_F(TokensApiTest, there_is_a_most_of_tokens) {
  made(R"("auditor")");
  stored_tokens_.crowded = true;
  EXPECT_EQ(make(R"({"name":"x","expires_in_s":60,"roles":["auditor"]})").status, 409);
}

TEST(TokenText, is_256_random_bits_that_can_be_told_from_other_tokens) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string text = make_token_text();
    EXPECT_EQ(text.size(), 47U);
    EXPECT_TRUE(is_token_text(text));
    EXPECT_TRUE(seen.insert(text).second);
    EXPECT_FALSE(is_token_text(text.substr(1)));
    EXPECT_FALSE(is_token_text(text + "A"));
  }
  EXPECT_FALSE(is_token_text("hft_"));
}

TEST(StoredToken, what_is_no_token_is_an_error) {
  EXPECT_EQ(read_token(nlohmann::json::object()).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace holdfast::officers
