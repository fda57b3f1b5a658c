// The small parts: networks, list files, the examples that are shipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "approval/decide.h"
#include "approval/explain.h"
#include "approval/list_file.h"
#include "approval/network.h"
#include "tests/unit/approval/full_example.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

TEST(Network, RefusesWhatIsNotOneNetwork) {
  for (const char* text : {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0",
                           "010.0.0.1", "2001:db8::/129", "fe80::1%eth0", "localhost", "10.0.0.1/8",
                           "2001:db8::1/32", "10.0.0.0 /8"}) {
    EXPECT_FALSE(parse_network(text).ok()) << text;
  }
}

TEST(Network, HoldsItsAddresses) {
  const auto holds = [](const char* network, const char* address) {
    return contains(parse_network(network).value(), parse_ip(address).value());
  };
  EXPECT_TRUE(holds("10.0.0.0/9", "10.127.255.255"));
  EXPECT_FALSE(holds("10.0.0.0/9", "10.128.0.0"));
  EXPECT_TRUE(holds("0.0.0.0/0", "203.0.113.1"));
  EXPECT_TRUE(holds("::ffff:10.0.0.0/104", "10.1.1.1"));
  EXPECT_TRUE(holds("10.1.1.1", "::ffff:10.1.1.1"));
  EXPECT_TRUE(holds("fe80::/10", "fe80::1%eth0"));
  EXPECT_FALSE(holds("::/0", "10.1.1.1"));
  EXPECT_FALSE(holds("0.0.0.0/0", "2001:db8::1"));
}

TEST(ListFile, TakesTheFirstColumnOfWhateverWasExported) {
  const auto entries = parse_list(
      "\xEF\xBB\xBF# holds\r\n\r\nUPN;Name\r\na@x.com;Adele\r\n \"b@x.com\" , B\r\nc@x.com\tC\r\n"
      "\"d\"\"e@x.com\"\n,, \t\nupn");
  std::vector<std::string> texts;
  for (const ListEntry& entry : entries.value()) texts.push_back(entry.text);
  EXPECT_THAT(texts, testing::ElementsAre("a@x.com", "b@x.com", "c@x.com", "d\"e@x.com", "upn"));
  EXPECT_EQ(entries->at(0).line, 4);
}

TEST(ListFile, AListOfNobodyIsWrittenDown) {
  EXPECT_TRUE(parse_list("# nobody\n").value().empty());
  EXPECT_FALSE(parse_list("").ok());
}

// Each of them would else be read as fewer values than were written.
TEST(ListFile, WhatIsReadWronglyIsRefusedByItsLine) {
  struct Case {
    std::string text;
    const char* problem;
  };
  constexpr const char* kLineEnds = "line ends must be LF or CRLF";
  constexpr const char* kControl = "control characters are not allowed";
  constexpr const char* kEmpty = "the first column is empty";
  for (const auto& [text, problem] : {
           Case{"# on hold\ra@x.com\rb@x.com\r", kLineEnds},
           Case{"mailbox,case\ra@x.com,7", kLineEnds},
           Case{"a@x.com\r", kLineEnds},
           Case{"a@x.com,7\rb@x.com\r\n", kLineEnds},
           Case{"a@x.com\r\r\n", kLineEnds},
           Case{"# on hold\x0b"
                "a@x.com\n",
                kControl},
           Case{"mailbox,case\xC2\x85"
                "a@x.com,7\n",
                kControl},
           Case{"mailbox\xE2\x80\xA8"
                "a@x.com\n",
                kControl},
           Case{"mailbox,case\xE2\x80\xA9"
                "a@x.com\n",
                kControl},
           Case{"a@x.com\x7f\n", kControl},
           Case{"\"a@x.com\x1b\"\n", kControl},
           Case{",CASE-17\n", kEmpty},
           Case{" ;b@x.com\n", kEmpty},
           Case{"\tb@x.com\n", kEmpty},
           Case{"\"\",\"b@x.com\"\n", kEmpty},
           Case{",mailbox\n0,a@x.com\n", kEmpty},
       }) {
    const auto entries = parse_list("first@x.com\r\n" + text);
    ASSERT_FALSE(entries.ok()) << text;
    EXPECT_EQ(entries.error().code, ErrorCode::kInvalid) << text;
    EXPECT_EQ(entries.error().message, std::string("2: ") + problem) << text;
  }
  EXPECT_TRUE(parse_list("a@x.com,caf\xC3\xA9 \xE2\x80\x93\xC2\xA0\tb\n").ok());
}

TEST(Explain, SaysWhyAndWhatWouldChangeIt) {
  const RuleFiles files;
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: a\nlists: { hold: { values: [h@x.com] } }\n"
                                "rules:\n"
                                "  - { id: hold, effect: deny, when: {mailbox: {in: hold}} }\n"
                                "  - { id: own, effect: allow, when: {mailbox: {own: true}} }\n")
                            .value();
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  facts.actor_kind = identity::ActorKind::kUser;
  facts.own_mailbox = true;
  const nlohmann::json unknown = to_json(explain(rules, facts));
  EXPECT_EQ(unknown["effect"], "deny");
  EXPECT_EQ(unknown["by"], nlohmann::json({"hold"}));
  EXPECT_EQ(unknown["rules"][0]["unknown_facts"], nlohmann::json({"mailbox"}));
  EXPECT_EQ(unknown["changes"].size(), 1U);
  EXPECT_EQ(unknown["changes"][0]["effect"], "allow");
  EXPECT_EQ(unknown["changes"][0]["not_matching"], nlohmann::json({"hold"}));
  EXPECT_EQ(unknown["changes"][0]["needs"][0], "mailbox is not in hold (now unknown)");

  facts.mailbox = MailboxNames{{"a@x.com"}};
  const nlohmann::json known = to_json(explain(rules, facts));
  EXPECT_EQ(known["effect"], "allow");
  EXPECT_EQ(known["rules"][0]["when"][0]["truth"], "false");
  EXPECT_EQ(known["changes"][0]["effect"], "deny");
  EXPECT_EQ(known["changes"][0]["matching"], nlohmann::json({"hold"}));
  EXPECT_EQ(known["changes"][0]["needs"][0], "mailbox is in hold (now a@x.com)");
}

TEST(Explain, TellsWhoMayBreakTheGlassAndThatItDecidesNothing) {
  const RuleFiles files;
  const RuleSet rules =
      files
          .load(
              "schema: 1\nrevision: r\nrules:\n"
              "  - { id: a, effect: require_approval, when: { resource: message } }\n"
              "  - { id: g, effect: break_glass, review_within: 2h }\n"
              "  - { id: h, effect: break_glass, when: { action: recall } }\n")
          .value();
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  const nlohmann::json told = to_json(explain(rules, facts));
  EXPECT_EQ(told["effect"], "require_approval");
  EXPECT_EQ(told["break_glass"],
            nlohmann::json::parse(R"([{"rule": "g", "review_within_seconds": 7200,
                                       "require": {"justification": 1, "ticket": []}}])"));
  EXPECT_EQ(told["rules"][1]["effect"], "break_glass");
  ASSERT_EQ(told["changes"].size(), 1U) << "only without the approval rule";
  EXPECT_EQ(told["changes"][0]["effect"], "deny");
}

class FullExample : public testing::Test {
 protected:
  FullExample() {
    std::filesystem::create_directory(files_.path("lists"));
    files_.write("lists/legal-hold.csv", kFullExampleHold);
    files_.set_modified("lists/legal-hold.csv", at("2026-10-05T07:00:00Z"));
  }
  RuleFiles files_;
};

TEST_F(FullExample, LoadsAndItsTestPasses) {
  const Result<RuleSet> rules = files_.load(kFullExample);
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->data().tests, 1U);
}

TEST_F(FullExample, ExplainsEachOfItsRules) {
  const RuleSet rules = *files_.load(kFullExample);
  Facts facts;
  facts.action = "recall";
  facts.resource = "message";
  facts.mailbox = MailboxNames{{"ceo@contoso.com"}};
  facts.affected = affected_by_path(facts);
  facts.item.message_age = std::chrono::hours(3);
  facts.now = at("2026-10-05T08:00:00Z");
  const Explanation explanation = explain(rules, facts);
  ASSERT_EQ(explanation.rules.size(), 4U);
  const auto& executives = explanation.rules[0];
  EXPECT_EQ(executives.when.at(0).wants, "in executives");
  const auto& hold = explanation.rules[1];
  EXPECT_EQ(hold.when.at(0).wants, "any in legal-hold");
  EXPECT_EQ(hold.when.at(0).value, "ceo@contoso.com; others unknown");
  EXPECT_EQ(hold.result.unknown_facts, std::vector<std::string>{"affected_mailboxes"});
  const auto& late = explanation.rules[2];
  EXPECT_EQ(late.unless.at(0).wants, "at most 2h");
  EXPECT_EQ(late.unless.at(0).value, "10800s");
  EXPECT_TRUE(late.result.matched);
  EXPECT_FALSE(explanation.rules[3].result.matched);
}

// A hold in the way and no rule that allows: neither is enough by itself.
TEST_F(FullExample, ExplainsWhatTakesOneRuleLessAndOneMore) {
  const RuleSet rules = *files_.load(kFullExample);
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  facts.actor_kind = identity::ActorKind::kApp;
  facts.app = "6a1e55aa-0000-4000-8000-000000000004";
  facts.mailbox = MailboxNames{{"held@contoso.com"}};
  facts.affected = affected_by_path(facts);
  facts.now = at("2026-10-05T20:00:00Z");
  const nlohmann::json told = to_json(explain(rules, facts));
  EXPECT_EQ(told["by"], nlohmann::json({"hold-is-absolute"}));
  const nlohmann::json& change = told["changes"].back();
  EXPECT_EQ(change["effect"], "allow");
  EXPECT_EQ(change["matching"], nlohmann::json({"retention-bot"}));
  EXPECT_EQ(change["not_matching"], nlohmann::json({"hold-is-absolute"}));
  EXPECT_EQ(change["needs"],
            nlohmann::json({"time is during office (now 2026-10-05T20:00:00.000000Z)",
                            "affected_mailboxes is not any in legal-hold (now held@contoso.com)"}));
}

// Not knowing how old the message is exempts from nothing, and is for people to judge.
TEST_F(FullExample, ARecallOfUnknownAgeNeedsAnApproval) {
  const RuleSet rules = *files_.load(kFullExample);
  Facts facts;
  facts.action = "recall";
  facts.resource = "message";
  facts.mailbox = MailboxNames{{"adele@contoso.com"}};
  facts.affected = {.known = {*facts.mailbox}, .complete = true};
  facts.now = at("2026-10-05T08:00:00Z");
  const Explanation explanation = explain(rules, facts);
  const Decision& decision = explanation.decision;
  EXPECT_EQ(decision.effect, Effect::kRequireApproval);
  ASSERT_EQ(decision.by.size(), 1U);
  EXPECT_EQ(decision.by[0].id, "late-recall");
  EXPECT_EQ(decision.by[0].unknown_facts, std::vector<std::string>{"message_age"});
  EXPECT_EQ(decision.approve.use_within, std::chrono::minutes(30));
  const nlohmann::json told = to_json(explanation);
  EXPECT_EQ(told["by"], nlohmann::json({"late-recall"}));
  const auto& without = told["changes"].at(1);
  EXPECT_EQ(without["not_matching"], nlohmann::json({"late-recall"}));
  EXPECT_EQ(without["effect"], "deny");
  EXPECT_EQ(without["needs"][0],
            "action is not recall (now recall), or message_age is at most 2h (now unknown)");
}

// The changes that `rules` leave a call to delete a message of a@x.com, which is on hold.
nlohmann::json changes_by(const std::string& rules) {
  const RuleFiles files;
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  facts.mailbox = MailboxNames{{"a@x.com"}};
  return to_json(explain(
      files.load("schema: 1\nrevision: r\nlists: { hold: { values: [a@x.com] } }\nrules:\n" + rules)
          .value(),
      facts))["changes"];
}

TEST(Explain, LooserRulesThatMatchAreLeftByAllStricterOnes) {
  const nlohmann::json changes = changes_by(
      "  - { id: d, effect: deny, when: { mailbox: a@x.com } }\n"
      "  - { id: p, effect: require_approval, when: { resource: message } }\n"
      "  - { id: a, effect: allow }\n"
      "  - { id: b, effect: allow, when: { action: permanentDelete } }\n"
      "  - { id: c, effect: allow, when: { action: recall } }\n"
      "  - { id: g, effect: break_glass, when: { action: recall } }\n"
      "  - { id: m, effect: allow, mode: monitor, when: { action: recall } }\n");
  ASSERT_EQ(changes.size(), 2U) << changes;
  EXPECT_EQ(changes[0]["effect"], "require_approval");
  EXPECT_EQ(changes[0]["not_matching"], nlohmann::json({"d"}));
  EXPECT_EQ(changes[1]["effect"], "allow");
  EXPECT_EQ(changes[1]["matching"], nlohmann::json::array());
  EXPECT_EQ(changes[1]["not_matching"], nlohmann::json({"d", "p"}));
  EXPECT_EQ(changes[1]["needs"], nlohmann::json({"mailbox is not a@x.com (now a@x.com)",
                                                 "resource is not message (now message)"}));
}

TEST(Explain, ALooserRuleIsNotNeededWhereTheRestIsAsLoose) {
  const nlohmann::json changes = changes_by(
      "  - { id: d, effect: deny, when: { mailbox: a@x.com } }\n"
      "  - { id: p, effect: require_approval, when: { action: recall } }\n"
      "  - { id: a, effect: allow }\n");
  ASSERT_EQ(changes.size(), 1U) << changes;
  EXPECT_EQ(changes[0]["effect"], "allow");
}

// What the looser rule wants cannot fail for the stricter one.
TEST(Explain, WhatOneRuleWantsAndAnotherMustMissIsNoWay) {
  EXPECT_EQ(
      changes_by("  - { id: d, effect: deny, when: { mailbox: { in: hold } } }\n"
                 "  - { id: a, effect: allow, when: { mailbox: { in: hold }, action: recall } "
                 "}\n"),
      nlohmann::json::array());
  const nlohmann::json changes = changes_by(
      "  - { id: d, effect: deny, when: { mailbox: { in: hold }, resource: message } }\n"
      "  - { id: a, effect: allow, when: { mailbox: { in: hold }, action: recall } }\n");
  ASSERT_EQ(changes.size(), 1U) << changes;
  EXPECT_EQ(changes[0]["needs"], nlohmann::json({"action is recall (now permanentDelete)",
                                                 "resource is not message (now message)"}));
  EXPECT_EQ(changes_by("  - { id: d, effect: deny }\n"
                       "  - { id: a, effect: allow, when: { action: recall } }\n"),
            nlohmann::json::array())
      << "nothing exempts from it";
}

TEST(Explain, WhatIsNotKnownIsNoReasonWhyAnApprovalRuleDoesNotMatch) {
  const RuleFiles files;
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: r\nrules:\n"
                                "  - { id: a, effect: require_approval, when: { action: recall,\n"
                                "      folder: inbox }, unless: { mailbox: a@x.com } }\n")
                            .value();
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  const nlohmann::json told = to_json(explain(rules, facts));
  EXPECT_EQ(told["effect"], "deny");
  ASSERT_EQ(told["changes"].size(), 1U);
  EXPECT_EQ(told["changes"][0]["effect"], "require_approval");
  EXPECT_EQ(told["changes"][0]["needs"],
            nlohmann::json({"action is recall (now permanentDelete)"}));
}

TEST(Examples, TheStarterLoads) {
  const Result<RuleSet> rules =
      load_rules(HOLDFAST_SOURCE_DIR "/config/rules.example.yaml", system_clock().now());
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_THAT(conditions_nobody_meets(*rules), testing::IsEmpty());
}

// Every ```yaml block of the reference is a whole rule file or the rules of one.
TEST(Examples, TheReferenceLoads) {
  std::ifstream file(HOLDFAST_SOURCE_DIR "/docs/rules.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string document = text.str();
  int blocks = 0;
  constexpr std::string_view kOpen = "```yaml\n";
  for (std::size_t i = 0; (i = document.find(kOpen, i)) != std::string::npos; ++blocks) {
    i += kOpen.size();
    const std::string block = document.substr(i, document.find("```", i) - i);
    const RuleFiles files;
    files.write("hold.csv", "mailbox,case\nheld@contoso.com,CASE-17\n");
    const Result<RuleSet> rules = files.load(block);
    ASSERT_TRUE(rules.ok()) << rules.error().message << "\n" << block;
    EXPECT_THAT(conditions_nobody_meets(*rules), testing::IsEmpty()) << block;
  }
  EXPECT_GE(blocks, 3);
}

}  // namespace
}  // namespace holdfast::approval
