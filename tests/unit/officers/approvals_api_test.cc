// Officers' decisions over HTTP: who may, who may not and why, and the record of each.
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using approval::ApprovalState;
using ::testing::HasSubstr;

class ApprovalsApiTest : public ApiTest {
 protected:
  ApprovalsApiTest() { add(ApprovalState::kPending); }

  std::string add(ApprovalState state, approval::Identity requester = {
                                           .name = "app", .accounts = {"t/app"}, .names = {}}) {
    const Uuid code = make_uuid_v4();
    approvals_.add(approval::filing(code, approval::Binding(), requester,
                                    {.stages = {{.from = "compliance", .group = "g", .count = 1}}}),
                   state);
    code_ = to_string(code);
    return code_;
  }
  // The record that filed it.
  void filed_by(const std::string& record) {
    approvals_.all.back().document["history"] = {{{"step", 1},
                                                  {"name", "file"},
                                                  {"state", "PENDING"},
                                                  {"at", "2026-10-05T08:00:00.000000Z"},
                                                  {"record", to_string(make_uuid_v4())},
                                                  {"content", nlohmann::json::object()}}};
    records_.page.records = {{.index = 0, .entry = record}};
  }
  http::Response post(const std::string& verb, const std::string& who,
                      const std::string& content = "") {
    return get("/api/v1/approvals/" + code_ + "/" + verb, who, "POST", content);
  }
  std::string why(const http::Response& response) { return body(response).value("detail", ""); }

  std::string code_;
};

TEST_F(ApprovalsApiTest, the_queue_is_listed_newest_first_and_recorded) {
  const std::string newest = add(ApprovalState::kApproved);
  const nlohmann::json page = body(get("/api/v1/approvals"));
  ASSERT_EQ(page["count"], 2);
  EXPECT_EQ(page["value"][0]["code"], newest);
  EXPECT_EQ(page["value"][0]["you"]["can_approve"], false);
  EXPECT_EQ(body(get("/api/v1/approvals?state=PENDING"))["count"], 1);
  EXPECT_EQ(body(get("/api/v1/approvals?state=pending,approved"))["count"], 2);
  EXPECT_EQ(log_.entries().back().record.content["access"]["endpoint"], "/api/v1/approvals");
  const nlohmann::json first = body(get("/api/v1/approvals?limit=1"));
  const std::string next = first["@odata.nextLink"];
  EXPECT_EQ(body(get(next.substr(next.find("/api"))))["value"][0]["state"], "PENDING");
}

TEST_F(ApprovalsApiTest, one_is_shown_with_what_there_is_to_know_for_deciding) {
  approvals_.known = {{"holds", nlohmann::json::array({{{"reason", "CASE-7"}}})},
                      {"preimage", {{"size_bytes", 7}}}};
  const nlohmann::json shown = body(get("/api/v1/approvals/" + code_));
  EXPECT_EQ(shown["holds"][0]["reason"], "CASE-7");
  EXPECT_EQ(shown["preimage"]["size_bytes"], 7);
  EXPECT_EQ(shown["state"], "PENDING");
  approvals_.context_away = true;
  EXPECT_EQ(get("/api/v1/approvals/" + code_).status, 503) << "nobody decides on half of it";
  EXPECT_EQ(get("/api/v1/approvals").status, 200);
}

TEST_F(ApprovalsApiTest, one_is_shown_with_what_the_rules_in_force_say_of_it_now) {
  const auto shown = [&] { return body(get("/api/v1/approvals/" + code_)); };
  EXPECT_FALSE(shown().contains("now")) << "its record says too little";
  filed_by(R"({"kind":"decision","actor":{"kind":"app","app":"bot"},
    "operation":{"action":"permanentDelete","resource":"message"},
    "decision":{"effect":"require_approval","matched":[],"rules":[],"facts":{"actor_kind":"app",
      "at":"2026-10-05T07:00:00.000000Z","mailbox":["held@contoso.com"],"message_age_seconds":60}}})");
  generations_.ruled.generation = 7;
  generations_.ruled.decision.by = {
      {.id = "hold", .title = "On hold", .effect = approval::Effect::kDeny}};
  EXPECT_EQ(shown()["now"], nlohmann::json::parse(R"({"effect":"deny","generation":7,
    "why":[{"rule":"hold","title":"On hold"}]})"));
  const approval::Facts& facts = generations_.decided.back();
  EXPECT_EQ(facts.mailbox->names, std::vector<std::string>{"held@contoso.com"});
  EXPECT_EQ(facts.now, clock_.now());
  const WallTime then = *parse_rfc3339("2026-10-05T07:00:00.000000Z");
  EXPECT_EQ(
      facts.item.message_age,
      std::chrono::seconds(60) + std::chrono::floor<std::chrono::seconds>(clock_.now() - then));
  generations_.broken = true;
  EXPECT_EQ(shown()["now"], nlohmann::json({{"problem", "generation 2: 3: no such condition"}}));
  generations_.away = true;
  EXPECT_EQ(get("/api/v1/approvals/" + code_).status, 503);
  approvals_.all.back().state = ApprovalState::kExecuted;
  EXPECT_EQ(get("/api/v1/approvals/" + code_).status, 200) << "it is over";
}

TEST_F(ApprovalsApiTest, bad_questions_are_400_and_unknown_codes_404) {
  for (const std::string query :
       {"state=NONE", "limit=0", "limit=1001", "cursor=x", "colour=red"}) {
    EXPECT_EQ(get("/api/v1/approvals?" + query).status, 400) << query;
  }
  EXPECT_EQ(get("/api/v1/approvals/" + to_string(make_uuid_v4())).status, 404);
  EXPECT_EQ(get("/api/v1/approvals/nonsense").status, 404);
  EXPECT_EQ(get("/api/v1/approvals/nonsense/approve", "bob", "POST").status, 404);
  EXPECT_EQ(get("/api/v1/approvals", "bob", "POST").status, 405);
}

TEST_F(ApprovalsApiTest, who_may_approve_does_and_the_record_says_so) {
  const http::Response response = post("approve", "bob", R"({"comment":"seen"})");
  EXPECT_EQ(response.status, 200) << response.content;
  const audit::Record record = log_.entries().back().record;
  EXPECT_EQ(record.kind, audit::Kind::kApproval);
  EXPECT_EQ(record.approval_step, audit::ApprovalStep::kApprove);
  EXPECT_EQ(record.content["approval"]["state"], "APPROVED");
  EXPECT_EQ(record.content["approval"]["by"]["person"], "t/bob");
  EXPECT_EQ(record.content["approval"]["by"]["via"], "token");
  EXPECT_EQ(record.content["approval"]["comment"], "seen");
}

// Carol belongs to both stages and came first: shown is the stage that she counts for by now.
TEST_F(ApprovalsApiTest, who_approved_is_shown_with_the_stage_that_counts_them) {
  code_ = to_string(make_uuid_v4());
  approvals_.add(approval::filing(*parse_uuid(code_), approval::Binding(),
                                  {.name = "app", .accounts = {"t/app"}, .names = {}},
                                  {.stages = {{.from = "compliance", .group = "g", .count = 1},
                                              {.from = "legal", .group = "h", .count = 1}}}),
                 ApprovalState::kPending);
  const auto take = [this](const std::string& name, const nlohmann::json& content) {
    nlohmann::json document = approvals_.all.back().document;
    document["step"] = document["step"].get<int>() + 1;
    document["state"] = content.at("state");
    document["history"].push_back({{"step", document["step"]},
                                   {"name", name},
                                   {"state", content.at("state")},
                                   {"at", "2026-10-05T09:00:00.000000Z"},
                                   {"record", to_string(make_uuid_v4())},
                                   {"content", content}});
    approvals_.all.back() = *approval::read_approval(std::move(document));
  };
  const auto names = [this](std::size_t stage) {
    nlohmann::json given = nlohmann::json::array();
    const nlohmann::json shown = body(get("/api/v1/approvals/" + code_));
    for (const auto& one : shown["stages"][stage]["approved"]) given.push_back(one["name"]);
    return given.dump();
  };
  const nlohmann::json carol = {{"name", "carol"},
                                {"accounts", nlohmann::json::array({"t/carol"})},
                                {"names", nlohmann::json::array()}};
  take("approve", {{"by", carol},
                   {"state", "PENDING"},
                   {"stage", 0},
                   {"stages", nlohmann::json::array({0, 1})}});
  EXPECT_EQ(names(0) + names(1), R"(["carol"][])");
  EXPECT_EQ(body(get("/api/v1/approvals/" + code_, "bob"))["you"]["can_approve"], true);
  ASSERT_EQ(post("approve", "bob").status, 200);
  const nlohmann::json content = log_.entries().back().record.content["approval"];
  EXPECT_EQ(content["state"], "APPROVED");
  take("approve", content);
  EXPECT_EQ(names(0) + names(1), R"(["bob"]["carol"])");
}

TEST_F(ApprovalsApiTest, a_decision_is_sealed_where_the_record_that_filed_the_approval_is) {
  nlohmann::json& document = approvals_.all.back().document;
  document["filing"]["operation"] = {{"mailbox", {{"kind", "user"}, {"key", "ceo@contoso.com"}}}};
  document["history"].push_back(nlohmann::json({{"step", 1},
                                                {"name", "file"},
                                                {"state", "PENDING"},
                                                {"at", "2026-10-05T08:00:00.000000Z"},
                                                {"record", to_string(make_uuid_v4())},
                                                {"content", nlohmann::json::object()}}));
  const auto decided = [this](const std::string& verb, const std::string& content) {
    const http::Response response = post(verb, "bob", content);
    EXPECT_EQ(response.status, 200) << response.content;
    const audit::Record record = log_.entries().back().record;
    EXPECT_EQ(record.content["operation"]["mailbox"]["key"], "ceo@contoso.com");
    return record.personal_data;
  };
  EXPECT_EQ(decided("approve", ""), audit::PersonalData::kClear);
  records_.page.records.front().documents = {{.bytes = "{}"}};
  EXPECT_EQ(decided("approve", ""), audit::PersonalData::kSealed);
  EXPECT_EQ(decided("reject", R"({"reason":"no case"})"), audit::PersonalData::kSealed);
  records_.page.records.clear();
  EXPECT_EQ(decided("approve", ""), audit::PersonalData::kSealed) << "nobody can say";
  const std::size_t before = log_.entries().size();
  records_.error = Error{ErrorCode::kUnavailable, "database away"};
  EXPECT_EQ(post("approve", "bob").status, 503);
  EXPECT_EQ(log_.entries().size(), before);
}

TEST_F(ApprovalsApiTest, who_may_not_is_told_why) {
  EXPECT_EQ(post("approve", "secret").status, 403);
  EXPECT_THAT(why(post("approve", "secret")),
              HasSubstr("You can't approve this because your role does not"));
  EXPECT_THAT(
      why(post("approve", "carol")),
      HasSubstr("because it still needs compliance to approve, and you are not one of them"));
  token_approvals_ = approval::TokenApprovals::kRefused;
  EXPECT_THAT(why(post("approve", "bob")), HasSubstr("because API tokens may not approve here"));
  EXPECT_TRUE(std::ranges::all_of(log_.entries(), [](const auto& entry) {
    return entry.record.kind != audit::Kind::kApproval;
  }));
}

TEST_F(ApprovalsApiTest, nobody_approves_what_they_asked_for_under_any_name) {
  const std::vector<approval::Identity> selves = {
      {.name = "bob", .accounts = {"t/bob"}, .names = {}},
      {.name = "guest",
       .accounts = {"other/guest"},
       .names = {approval::home_name("Bob_contoso.com#EXT#@fabrikam.onmicrosoft.com")}},
      {.name = "BOB",
       .accounts = {"t/elsewhere"},
       .names = {approval::home_name("BOB@Contoso.com")}}};
  for (const approval::Identity& self : selves) {
    add(ApprovalState::kPending, self);
    const http::Response response = post("approve", "bob");
    EXPECT_EQ(response.status, 403);
    EXPECT_EQ(why(response), "You can't approve this because you asked for it yourself.");
  }
}

TEST_F(ApprovalsApiTest, nobody_approves_what_an_app_of_theirs_asked_for) {
  const auto tokens = Tokens::parse(
      "tokens:\n  - name: dan\n    sha256: \"" + to_hex(sha256("dan")) +
          "\"\n    roles: [approver]\n    groups: [compliance]\n    person:\n      tenant: T\n"
          "      user: dan\n      apps: [BOT]\n      accounts: [\"Other/Dan\"]\n",
      "tokens.yaml");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  tokens_ = *tokens;
  for (const char* account : {"t/bot", "other/dan"}) {
    add(ApprovalState::kPending, {.name = "x", .accounts = {account}, .names = {}});
    EXPECT_EQ(post("approve", "dan").status, 403) << account;
  }
}

TEST_F(ApprovalsApiTest, rejecting_needs_a_reason) {
  EXPECT_EQ(post("reject", "bob").status, 400);
  EXPECT_EQ(post("reject", "bob", R"({"reason":" "})").status, 400);
  EXPECT_EQ(post("reject", "bob", R"({"comment":"x"})").status, 400);
  EXPECT_EQ(post("reject", "bob", "no json").status, 400);
  EXPECT_EQ(post("reject", "carol", R"({"reason":"no case"})").status, 403);
  EXPECT_EQ(post("reject", "bob", R"({"reason":"no case"})").status, 200);
  EXPECT_EQ(log_.entries().back().record.content["approval"]["reason"], "no case");
}

TEST_F(ApprovalsApiTest, what_is_over_is_409) {
  for (const ApprovalState state : {ApprovalState::kExpired, ApprovalState::kExecuted,
                                    ApprovalState::kRejected, ApprovalState::kRevoked}) {
    add(state);
    EXPECT_EQ(post("approve", "bob").status, 409);
    EXPECT_EQ(post("revoke", "bob").status, 409);
  }
  add(ApprovalState::kPending);
  EXPECT_EQ(post("revoke", "bob").status, 409);
  add(ApprovalState::kApproved);
  EXPECT_EQ(post("revoke", "secret").status, 403);
  EXPECT_EQ(post("revoke", "bob").status, 200);
}

TEST_F(ApprovalsApiTest, an_overtaken_decision_is_judged_again) {
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  log_.before_next_append([this] { approvals_.all.back().state = ApprovalState::kRejected; });
  const http::Response response = post("approve", "bob");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(why(response), "You can't approve this because it was rejected.");
}

TEST_F(ApprovalsApiTest, a_token_that_ends_meanwhile_decides_nothing) {
  log_.fail_nth(1, {ErrorCode::kNotFound, "the token was revoked or has expired"});
  const http::Response response = post("approve", "bob");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(why(response), "the token was revoked or has expired");
}

TEST_F(ApprovalsApiTest, the_record_says_when_a_token_of_the_file_ends) {
  const auto actor = [this] { return log_.entries().back().record.content["actor"]; };
  EXPECT_EQ(post("approve", "bob").status, 200);
  EXPECT_FALSE(actor().contains("expires_at"));
  const auto tokens = Tokens::parse(
      "tokens:\n  - name: dan\n    sha256: \"" + to_hex(sha256("dan")) +
          "\"\n    roles: [approver]\n    groups: [compliance]\n"
          "    expires: \"2027-01-01T01:00:00+01:00\"\n    person: { tenant: T, user: dan }\n",
      "tokens.yaml");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  tokens_ = *tokens;
  add(ApprovalState::kPending);
  EXPECT_EQ(post("approve", "dan").status, 200);
  EXPECT_EQ(actor()["expires_at"], "2027-01-01T00:00:00.000000Z");
}

TEST_F(ApprovalsApiTest, what_cannot_be_recorded_is_not_decided) {
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(post("approve", "bob").status, 503);
  approvals_.away = true;
  EXPECT_EQ(post("approve", "bob").status, 503);
  EXPECT_EQ(get("/api/v1/approvals").status, 503);
}

}  // namespace
}  // namespace holdfast::officers
