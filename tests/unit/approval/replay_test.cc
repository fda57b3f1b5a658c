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
      "rules_generation": 7,
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
    return replay(*draft, *call, nullptr);
  }
  // What would change with `draft` where `then` decided.
  std::vector<std::string> changes(const json& record, const std::string& then,
                                   const std::string& draft) {
    const std::string head =
        "schema: 1\nrevision: r\n"
        "approvers: { c: { group: 3f2c0a52-0000-4000-8000-000000000001 } }\n";
    const auto call = past_call(record);
    // Its lists are not at hand, and its tests would fail without them.
    const auto old = load_rules_without_lists(
        head + "lists: { gone: { file: gone.csv } }\nrules:\n" + then +
            "  - { id: listed, effect: deny, when: { mailbox: { in: gone } } }\n"
            "tests:\n  - { name: t, given: { action: recall, resource: message }, "
            "expect: { effect: allow } }\n",
        "then");
    const auto now = files_.load(head + "rules:\n" + draft);
    if (!call || !old.ok() || !now.ok()) return {"does not load"};
    return replay(*now, *call, &*old).changes;
  }
  RuleFiles files_;
};

TEST_F(ReplayTest, facts_and_decision_come_back_from_the_record) {
  const auto call = past_call(record());
  ASSERT_TRUE(call);
  EXPECT_EQ(call->effect, Effect::kAllow);
  EXPECT_THAT(call->by, ElementsAre("own"));
  EXPECT_EQ(call->generation, 7);
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
  denied["decision"]["effect"] = "deny";
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

TEST_F(ReplayTest, every_part_of_an_approval_is_compared) {
  json asked = record();
  asked["decision"]["effect"] = "approval_required";
  asked["decision"]["matched"] = json::parse(
      R"([{"id": "own", "effect": "require_approval"}, {"id": "way", "effect": "break_glass"}])");
  const std::string then =
      "  - id: own\n    effect: require_approval\n"
      "    approve: { stages: [ { from: c, count: 2 } ], decide_within: 4h, use_within: 30m }\n"
      "    require: { justification: 20, ticket: CASE }\n"
      "  - { id: way, effect: break_glass, review_within: 4h }\n";
  const std::string c = " of c (3f2c0a52-0000-4000-8000-000000000001)";
  const std::string way = "way with 1 characters of justification, to be reviewed within ";
  const struct {
    std::string from;
    std::string to;
    std::string change;
  } edits[] = {
      {"count: 2", "count: 1", "who approves is 1" + c + "; it was 2" + c},
      {"decide_within: 4h", "decide_within: 5h", "the time to decide is 5h; it was 4h"},
      {"use_within: 30m", "use_within: 5m", "the time to use an approval is 5m; it was 30m"},
      {", use_within: 30m", "", "the time to use an approval is 1h; it was 30m"},
      {", ticket: CASE", "",
       "what the caller brings is 20 characters of justification; it was 20 characters of "
       "justification and a ticket of CASE"},
      {"justification: 20", "justification: 5",
       "what the caller brings is 5 characters of justification and a ticket of CASE; it was 20 "
       "characters of justification and a ticket of CASE"},
      {"review_within: 4h", "review_within: 5h",
       "who may break the glass is " + way + "5h; it was " + way + "4h"},
      {"  - { id: way, effect: break_glass, review_within: 4h }\n", "",
       "who may break the glass is none; it was " + way + "4h"},
      {"id: own", "id: mine", "what decides is mine; it was own"},
  };
  EXPECT_THAT(changes(asked, then, then), IsEmpty());
  for (const auto& edit : edits) {
    std::string draft = then;
    draft.replace(draft.find(edit.from), edit.from.size(), edit.to);
    EXPECT_THAT(changes(asked, then, draft), ElementsAre(edit.change));
  }
  // What other calls would have to bring changes nothing for this one.
  EXPECT_THAT(changes(asked, then,
                      then + "  - { id: x, effect: require_approval, when: { action: recall }, "
                             "require: { justification: 99 } }\n"),
              IsEmpty());
}

TEST_F(ReplayTest, limits_are_compared_where_the_record_tells_of_them) {
  const std::string then = "  - { id: own, effect: allow, limit: { count: 9, per: 1h } }\n";
  const std::string draft = "  - { id: own, effect: allow, limit: { count: 8, per: 1h } }\n";
  json limited = record();
  limited["decision"]["limits"] = json::parse(R"([{"rule": "own", "count": 9, "per_s": 3600}])");
  EXPECT_THAT(changes(limited, then, then), IsEmpty());
  EXPECT_THAT(changes(limited, then, draft),
              ElementsAre("the limit is own with 8 calls in 1h for each actor, none beyond; it was "
                          "own with 9 calls in 1h for each actor, none beyond"));
  EXPECT_THAT(changes(record(), "  - { id: own, effect: allow }\n", draft),
              ElementsAre("the limit is own with 8 calls in 1h for each actor, none beyond; it was "
                          "none"));
  // It was spent, or an approval was used beyond it.
  limited["decision"].erase("limits");
  limited["decision"]["effect"] = "require_approval";
  EXPECT_THAT(changes(limited, then, draft), IsEmpty());
  limited["kind"] = "decision";
  limited["decision"]["effect"] = "deny";
  EXPECT_THAT(changes(limited, then, draft), IsEmpty());
}

TEST_F(ReplayTest, without_the_rules_of_then_the_effect_and_its_rules_are_compared) {
  const std::string strict =
      "  - { id: own, effect: require_approval, require: { justification: 9 } }\n";
  EXPECT_THAT(again(record(), strict).changes,
              ElementsAre("the effect is require_approval; it was allow"));
  EXPECT_THAT(again(record(), "  - { id: other, effect: allow }\n").changes,
              ElementsAre("what decides is other; it was own"));
  EXPECT_THAT(again(record(), "  - { id: no, effect: allow, mode: monitor }\n").changes,
              ElementsAre("the effect is deny; it was allow", "what decides is none; it was own"));
  json asked = record();
  asked["decision"]["matched"][0]["effect"] = "require_approval";
  EXPECT_THAT(again(asked, strict).changes, IsEmpty());
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

// The rule that decided may be the hundred and first.
TEST_F(ReplayTest, a_part_of_what_matched_is_not_decided_again) {
  EXPECT_FALSE(is_partial(record()));
  for (const char* member : {"matched_more", "shortened"}) {
    json part = record();
    part["decision"][member] = 1;
    EXPECT_TRUE(is_partial(part)) << member;
    EXPECT_FALSE(past_call(part)) << member;
  }
  EXPECT_FALSE(is_partial(json::parse(R"({"decision":7})")));
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
