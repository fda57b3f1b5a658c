#include "approval/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

json record() {
  return json::parse(R"({
    "kind": "intent",
    "actor": {"kind": "user", "tenant": "t", "user": "u1", "app": "a1"},
    "operation": {"action": "permanentDelete", "resource": "message"},
    "decision": {
      "effect": "allow",
      "rules": ["own"],
      "matched": [{"id": "own", "effect": "allow"}],
      "facts": {"actor_kind": "user", "at": "2026-10-05T08:00:00.000000Z", "folder": null,
                "groups": null, "mailbox": ["alex@contoso.com"], "own_mailbox": true,
                "roles": ["r1"], "source_ip": "10.0.0.1", "size_bytes": 10}}})");
}

class ReplayTest : public ::testing::Test {
 protected:
  Replayed again(const json& record, const std::string& rules) {
    const auto call = past_call(record);
    EXPECT_TRUE(call);
    const auto draft = files_.load("schema: 1\nrevision: draft\nrules:\n" + rules);
    EXPECT_TRUE(draft.ok()) << draft.error().message;
    return replay(*draft, *call);
  }
  RuleFiles files_;
};

TEST_F(ReplayTest, facts_and_decision_come_back_from_the_record) {
  const auto call = past_call(record());
  ASSERT_TRUE(call);
  EXPECT_EQ(call->effect, Effect::kAllow);
  EXPECT_THAT(call->by, ElementsAre("own"));
  EXPECT_EQ(call->facts.user, "u1");
  EXPECT_EQ(call->facts.roles, std::vector<std::string>{"r1"});
  EXPECT_EQ(call->facts.groups, std::nullopt);
  EXPECT_EQ(call->facts.item.size_bytes, 10);
  EXPECT_EQ(call->facts.item.sender, std::nullopt);
  EXPECT_TRUE(call->facts.affected.complete);
  EXPECT_EQ(call->facts.now, at("2026-10-05T08:00:00Z"));
}

TEST_F(ReplayTest, what_the_rules_said_counts_and_not_what_came_of_it) {
  json denied = record();
  // Its limit was spent.
  denied["decision"]["effect"] = "limit";
  EXPECT_EQ(past_call(denied)->effect, Effect::kAllow);
  denied["decision"]["matched"] = json::array();
  EXPECT_EQ(past_call(denied)->effect, Effect::kDeny);
  EXPECT_THAT(past_call(denied)->by, IsEmpty());
}

TEST_F(ReplayTest, an_approval_rule_in_doubt_asked_where_the_record_says_that_it_decided) {
  json asked = record();
  asked["decision"]["rules"] = json::array({"maybe"});
  asked["decision"]["matched"] = json::parse(
      R"([{"id": "maybe", "effect": "require_approval", "unknown_facts": ["sender"]}])");
  EXPECT_EQ(past_call(asked)->effect, Effect::kRequireApproval);
  EXPECT_THAT(past_call(asked)->by, ElementsAre("maybe"));
  asked["decision"]["rules"] = json::array();
  EXPECT_EQ(past_call(asked)->effect, Effect::kDeny);
  EXPECT_THAT(past_call(asked)->by, IsEmpty());
}

TEST_F(ReplayTest, a_draft_decides_by_the_facts_of_then) {
  EXPECT_EQ(again(record(), "  - { id: own, effect: allow, when: { mailbox: { own: true } } }\n")
                .decision.effect,
            Effect::kAllow);
  const Replayed denied = again(record(),
                                "  - { id: a, effect: allow }\n  - { id: net, effect: deny, when: "
                                "{ source_ip: 10.0.0.0/8 } }\n");
  EXPECT_EQ(denied.decision.effect, Effect::kDeny);
  EXPECT_EQ(denied.decision.by.at(0).id, "net");
  EXPECT_EQ(again(record(), "  - { id: a, effect: allow, valid_to: 2026-10-04 }\n").decision.effect,
            Effect::kDeny);
}

TEST_F(ReplayTest, what_was_not_recorded_is_unknown_and_named) {
  const Replayed replayed =
      again(record(),
            "  - { id: a, effect: allow }\n"
            "  - { id: b, effect: deny, when: { sender: boss@contoso.com } }\n");
  EXPECT_EQ(replayed.decision.effect, Effect::kDeny);
  EXPECT_THAT(replayed.not_recorded, ElementsAre("sender"));
}

TEST_F(ReplayTest, an_apps_call_and_a_recall) {
  json recall = record();
  recall["actor"] = {{"kind", "app"}, {"tenant", "t"}, {"app", "a1"}};
  recall["operation"]["action"] = "recall";
  json& facts = recall["decision"]["facts"];
  facts["actor_kind"] = "app";
  facts["own_mailbox"] = nullptr;
  facts["affected_mailboxes"] = {{"complete", true},
                                 {"known", {{"alex@contoso.com"}, {"b@x.com"}}}};
  const auto call = past_call(recall);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->facts.user, "");
  EXPECT_EQ(call->facts.affected.known.size(), 2U);
  EXPECT_TRUE(call->facts.affected.complete);
}

TEST_F(ReplayTest, records_that_tell_of_no_decision_of_rules_are_none) {
  json without = record();
  without["decision"].erase("facts");
  EXPECT_FALSE(past_call(without));
  for (const char* broken : {"{}", R"({"decision":{"facts":7}})", R"({"decision":7})",
                             R"({"decision":{"facts":{},"matched":[]}})"}) {
    EXPECT_FALSE(past_call(json::parse(broken))) << broken;
  }
  json odd = record();
  odd["decision"]["matched"][0]["effect"] = "perhaps";
  EXPECT_FALSE(past_call(odd));
}

}  // namespace
}  // namespace holdfast::approval
