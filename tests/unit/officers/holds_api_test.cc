// Legal holds over HTTP: who may take which step, and what the records say.
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kPath = "/api/v1/holds";

class HoldsApiTest : public ApiTest {
 protected:
  http::Response place(
      const std::string& who = "bob",
      const std::string& content =
          R"({"mailboxes":["CEO@contoso.com","6D4E1B2F-0000-4000-8000-000000000007"],)"
          R"("reason":"CASE-812"})") {
    return get(kPath, who, "POST", content);
  }
  http::Response step(const json& hold, const std::string& verb, const std::string& who,
                      const std::string& content = "") {
    return get(std::string(kPath) + "/" + hold.at("id").get<std::string>() + "/" + verb, who,
               "POST", content);
  }
  // The state after it; else the refusal.
  std::string after(const json& hold, const std::string& verb, const std::string& who) {
    const http::Response response = step(hold, verb, who);
    const json said = body(response);
    if (response.status == 200) return said.at("state");
    return std::to_string(response.status) + " " + said.at("detail").get<std::string>();
  }
  json last() { return log_.entries().back().record.content.at("system"); }
};

TEST_F(HoldsApiTest, counts_from_the_first_step_and_ends_with_a_second_person) {
  const http::Response placed = place();
  ASSERT_EQ(placed.status, 201) << placed.content;
  const json hold = body(placed);
  EXPECT_EQ(hold.at("state"), "placed");
  EXPECT_EQ(hold.at("mailboxes"),
            json::array({"ceo@contoso.com", "6d4e1b2f-0000-4000-8000-000000000007"}));
  EXPECT_EQ(last().at("event"), "hold_placed");
  EXPECT_EQ(last().at("by").at("person"), "t/bob");
  EXPECT_THAT(after(hold, "confirm", "bob"), HasSubstr("403 You can't"));
  EXPECT_EQ(after(hold, "confirm", "carol"), "held");
  EXPECT_THAT(after(hold, "confirm", "carol"), HasSubstr("409 "));
  EXPECT_EQ(after(hold, "lift", "bob"), "lifting");
  EXPECT_THAT(after(hold, "lift", "bob"), HasSubstr("403 You can't"));
  EXPECT_EQ(after(hold, "confirm", "bob"), "held");
  EXPECT_EQ(after(hold, "lift", "carol"), "lifting");
  EXPECT_EQ(body(get(kPath, "secret")).at("count"), 1);
  EXPECT_EQ(after(hold, "lift", "bob"), "lifted");
  EXPECT_THAT(after(hold, "lift", "carol"), HasSubstr("409 "));
  EXPECT_EQ(body(get(kPath, "secret")).at("count"), 0);
  const json all = body(get(std::string(kPath) + "?state=all", "secret")).at("value");
  EXPECT_EQ(all.at(0).at("history").size(), 6U);
}

TEST_F(HoldsApiTest, who_places_one_may_ask_to_lift_it_and_nobody_alone_lifts_it) {
  const json hold = body(place());
  EXPECT_EQ(after(hold, "lift", "bob"), "lifting");
  EXPECT_THAT(after(hold, "lift", "bob"), HasSubstr("somebody else has to agree"));
  EXPECT_EQ(after(hold, "lift", "carol"), "lifted");
}

TEST_F(HoldsApiTest, is_for_approvers_who_are_known_people) {
  EXPECT_EQ(place("secret").status, 403);
  const json hold = body(place());
  EXPECT_EQ(step(hold, "confirm", "secret").status, 403);
  token_approvals_ = approval::TokenApprovals::kRefused;
  EXPECT_THAT(after(hold, "confirm", "carol"), HasSubstr("API token"));
  EXPECT_EQ(place("carol").status, 201);
}

TEST_F(HoldsApiTest, the_role_or_a_person_alone_is_not_enough) {
  const auto token = [](const std::string& name, const std::string& more) {
    return "  - name: " + name + "\n    sha256: \"" + to_hex(sha256(name)) + "\"\n    " + more +
           "\n";
  };
  tokens_ =
      *Tokens::parse("tokens:\n" + officer("bob", "compliance") +
                         token("person", "roles: [auditor]\n    person: { tenant: T, user: p }") +
                         token("role", "roles: [approver]"),
                     "tokens.yaml");
  const json hold = body(place());
  for (const char* who : {"person", "role"}) {
    EXPECT_EQ(place(who).status, 403) << who;
    EXPECT_EQ(step(hold, "confirm", who).status, 403) << who;
  }
}

TEST_F(HoldsApiTest, the_same_person_under_another_account_is_the_same_person) {
  tokens_ =
      *Tokens::parse("tokens:\n" + officer("bob", "compliance") + "  - name: bob2\n    sha256: \"" +
                         to_hex(sha256("bob2")) +
                         "\"\n    roles: [approver]\n    person: { tenant: T, user: bob2, names: "
                         "[bob@contoso.com] }\n",
                     "tokens.yaml");
  const json hold = body(place());
  EXPECT_THAT(after(hold, "confirm", "bob2"), HasSubstr("403 "));
}

TEST_F(HoldsApiTest, says_what_is_wrong_with_a_request) {
  for (const char* content :
       {"{}", R"({"mailboxes":[],"reason":"x"})", R"({"mailboxes":["me"],"reason":"x"})",
        R"({"mailboxes":[1],"reason":"x"})", R"({"mailboxes":["a@b"],"reason":" "})",
        R"({"mailboxes":["a@b"]})", R"({"mailboxes":["a@b"],"reason":"x","more":1})",
        R"({"mailboxes":["a@b"],"reason":"x\u001b[2J"})"}) {
    EXPECT_EQ(place("bob", content).status, 400) << content;
  }
  EXPECT_EQ(body(place("bob", R"({"mailboxes":"a","reason":"x"})")).at("detail"),
            "mailboxes must be a list of 1 to 50 names: user principal names, addresses or object "
            "ids");
  const json hold = body(place());
  EXPECT_EQ(step(hold, "confirm", "carol", R"({"x":1})").status, 400);
  EXPECT_EQ(step({{"id", to_string(make_uuid_v4())}}, "lift", "bob").status, 404);
  EXPECT_EQ(step(hold, "drop", "bob").status, 404);
  EXPECT_EQ(get(std::string(kPath) + "?state=x", "bob").status, 400);
  EXPECT_EQ(get(std::string(kPath) + "?x=x", "bob").status, 400);
}

TEST_F(HoldsApiTest, a_name_that_no_record_can_have_is_refused_and_named) {
  for (const char* name :
       {"not a mailbox", "ceo", "me", "@contoso.com", "ceo@", "ceo@contoso.com\x7f",
        "6d4e1b2f-0000-4000-8000-00000000000", "CEO <ceo@contoso.com>", ""}) {
    const json content = {{"mailboxes", json::array({"ceo@contoso.com", name})}, {"reason", "x"}};
    const http::Response refused = place("bob", content.dump());
    EXPECT_EQ(refused.status, 400) << name;
    EXPECT_EQ(body(refused).at("parameter"), "mailboxes") << name;
    EXPECT_THAT(body(refused).at("detail").get<std::string>(),
                HasSubstr("\"" + ascii_lower(to_text(name)) + "\" is no "));
  }
  EXPECT_EQ(body(get(std::string(kPath) + "?state=all", "secret")).at("count"), 0);
}

TEST_F(HoldsApiTest, a_name_is_kept_as_records_have_it_and_once) {
  const json content = {{"mailboxes", json::array({"SMTP:CEO@contoso.com", "ceo@contoso.com",
                                                   "6D4E1B2F-0000-4000-8000-000000000001@"
                                                   "6d4e1b2f-0000-4000-8000-000000000002",
                                                   "MBX:6d4e1b2f-0000-4000-8000-000000000001@"
                                                   "6d4e1b2f-0000-4000-8000-000000000002"})},
                        {"reason", "x"}};
  EXPECT_EQ(body(place("bob", content.dump())).at("mailboxes"),
            json::array({"ceo@contoso.com", "6d4e1b2f-0000-4000-8000-000000000001",
                         "mbx:6d4e1b2f-0000-4000-8000-000000000001@"
                         "6d4e1b2f-0000-4000-8000-000000000002"}));
}

TEST_F(HoldsApiTest, a_reason_has_no_control_characters_and_is_not_too_long) {
  const json hold = body(place());
  for (const std::string& reason : {std::string("a\nb"), std::string(2049, 'a')}) {
    const json refused = {{"reason", reason}};
    EXPECT_EQ(step(hold, "confirm", "carol", refused.dump()).status, 400);
  }
  const json taken = {{"reason", std::string(2048, 'a')}};
  EXPECT_EQ(step(hold, "confirm", "carol", taken.dump()).status, 200);
}

TEST_F(HoldsApiTest, who_was_overtaken_is_told) {
  const json hold = body(place());
  holds_.overtaken = true;
  EXPECT_THAT(after(hold, "confirm", "carol"), HasSubstr("409 somebody else"));
}

TEST_F(HoldsApiTest, nothing_is_shown_or_changed_without_its_record) {
  const json hold = body(place());
  const Error away{ErrorCode::kUnavailable, "away"};
  log_.fail_nth(1, away);
  EXPECT_EQ(place().status, 503);
  log_.fail_nth(1, away);
  EXPECT_EQ(step(hold, "confirm", "carol").status, 503);
  log_.fail_nth(1, away);
  EXPECT_EQ(get(kPath, "bob").status, 503);
  EXPECT_EQ(body(get(kPath, "bob")).at("value").at(0).at("state"), "placed");
}

}  // namespace
}  // namespace holdfast::officers
