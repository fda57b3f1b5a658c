#include "approval/rule_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kOldRules = R"(schema: 1
revision: "1"
lists:
  hold: { values: [held@contoso.com, gone@contoso.com] }
  networks: { values: [10.0.0.0/8] }
calendars:
  office: { days: [mon], from: "08:00", to: "18:00" }
approvers:
  compliance: { group: 3f2c0a52-0000-4000-8000-000000000001 }
rules:
  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }
  - { id: home, effect: deny, unless: { source_ip: { in: networks } } }
  - id: bot
    effect: allow
    when: { actor: { app: 6a1e55aa-0000-4000-8000-000000000004 }, time: { during: office } }
    limit: { count: 200, per: 1h, distinct_mailboxes: 20 }
  - id: recall
    effect: require_approval
    when: { action: recall }
    approve: { stages: [ { from: compliance } ], decide_within: 4h }
)";

std::vector<std::string> changes(const std::vector<std::pair<std::string, std::string>>& edits) {
  std::string after(kOldRules);
  for (const auto& [from, to] : edits) {
    const std::size_t at = after.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    after.replace(at, from.size(), to);
  }
  const RuleFiles files;
  const Result<RuleSet> old = files.load(kOldRules);
  const Result<RuleSet> changed = files.load(after);
  if (!old.ok() || !changed.ok()) return {changed.ok() ? "" : changed.error().message};
  return describe_changes(*old, *changed);
}

TEST(RuleDiff, NothingChangesWhereOnlyWordsDo) {
  EXPECT_THAT(changes({}), IsEmpty());
  EXPECT_THAT(changes({{"revision: \"1\"", "revision: \"2\""}}), IsEmpty());
}

TEST(RuleDiff, NewAndGoneRulesAreToldWhole) {
  EXPECT_THAT(changes({{"id: hold,", "id: holds,"}}),
              ElementsAre("rule holds is new: it denies calls where mailbox is in hold",
                          "rule hold is gone: it denies calls where mailbox is in hold before"));
}

TEST(RuleDiff, WhoMayBreakTheGlassIsTold) {
  const std::string glass =
      "  - { id: glass, effect: break_glass, review_within: 4h }\n  - id: bot";
  EXPECT_THAT(changes({{"  - id: bot", glass}}),
              ElementsAre("rule glass is new: it lets break the glass for every call, to be "
                          "reviewed within 4h"));
  EXPECT_THAT(changes({{"id: hold, effect: deny",
                        "id: hold, effect: break_glass, "
                        "review_within: 90m"}}),
              ElementsAre("rule hold: now lets break the glass for calls; it denies them before",
                          "rule hold: the time to review is 90m; it was 1d",
                          "rule hold: the shortest justification is 1; it was 0"));
}

TEST(RuleDiff, EveryPartOfARuleIsCompared) {
  EXPECT_THAT(changes({{"id: hold, effect: deny", "id: hold, effect: allow, mode: monitor"}}),
              ElementsAre("rule hold: now allows calls; it denies them before",
                          "rule hold: is only monitored now, and has no effect"));
  EXPECT_THAT(
      changes({{"count: 200", "count: 300"}}),
      ElementsAre("rule bot: its limit is 300 calls on 20 mailboxes in 1h for each actor, "
                  "none beyond; it was 200 calls on 20 mailboxes in 1h for each actor, none "
                  "beyond"));
  EXPECT_THAT(changes({{"{ from: compliance }", "{ from: compliance, count: 2 }"},
                       {"decide_within: 4h", "decide_within: 90m, use_within: 1h"}}),
              ElementsAre("rule recall: who approves is 2 of compliance "
                          "(3f2c0a52-0000-4000-8000-000000000001); it was 1 of compliance "
                          "(3f2c0a52-0000-4000-8000-000000000001)",
                          "rule recall: the time to decide is 90m; it was 4h",
                          "rule recall: the time to use an approval is 1h; it was the default"));
  EXPECT_THAT(
      changes({{"when: { action: recall }", "when: { action: recall, resource: message }"}}),
      ElementsAre("rule recall: holds only where resource is message, which is new"));
  EXPECT_THAT(changes({{"unless: { source_ip: { in: networks } }", "when: { action: recall }"}}),
              ElementsAre("rule home: holds only where action is recall, which is new",
                          "rule home: no longer exempts by source_ip is in networks",
                          "list networks: nothing is compared with it any more; it had 1 entry "
                          "(10.0.0.0/8)"));
}

TEST(RuleDiff, ACalendarIsToldAsItIsAndAsItWasAndNotOfItsRules) {
  const std::string office = R"({ days: [mon], from: "08:00", to: "18:00" })";
  EXPECT_THAT(
      changes({{office, R"({ from: "00:00", to: "24:00" })"}}),
      ElementsAre("calendar office is every day 00:00 to 24:00 (UTC); it was Monday 08:00 to 18:00 "
                  "(UTC)"));
  EXPECT_THAT(changes({{office, R"({ days: [mon, tue, wed, fri, sat], from: "22:30", to: "06:05",
                                     timezone: Europe/Berlin })"}}),
              ElementsAre("calendar office is Monday to Wednesday, Friday, Saturday 22:30 to 06:05 "
                          "(Europe/Berlin); it was Monday 08:00 to 18:00 (UTC)"));
  EXPECT_THAT(changes({{"schema: 1", "schema: 1\ntimezone: Europe/Berlin"}}),
              ElementsAre("calendar office is Monday 08:00 to 18:00 (Europe/Berlin); it was Monday "
                          "08:00 to 18:00 (UTC)"));
}

TEST(RuleDiff, NewAndGoneCalendarsAreToldWithTheirHours) {
  EXPECT_THAT(changes({{"  office: {", "  late: {"}, {"during: office", "during: late"}}),
              ElementsAre("rule bot: holds where time is during late; it was during office",
                          "calendar late is new: Monday 08:00 to 18:00 (UTC)",
                          "calendar office is gone: it was Monday 08:00 to 18:00 (UTC)"));
}

// Whether a rule was widened or narrowed can be read only where both are told, time zones too.
TEST(RuleDiff, ConditionsThatChangeAreToldAsTheyAreAndAsTheyWere) {
  const RuleFiles files;
  const auto load = [&](const std::string& zone, const std::string& parts) {
    const Result<RuleSet> rules =
        files.load("schema: 1\nrevision: a\ntimezone: " + zone +
                   "\nrules: [ { id: a, effect: deny, " + parts + " } ]\n");
    EXPECT_TRUE(rules.ok()) << rules.error().message;
    return rules.value();
  };
  const std::string hours = R"(when: { time: { from: "08:00", to: "18:00" } })";
  EXPECT_THAT(
      describe_changes(load("UTC", hours), load("Europe/Berlin", hours)),
      ElementsAre("rule a: holds where time is every day 08:00 to 18:00 (Europe/Berlin); it was "
                  "every day 08:00 to 18:00 (UTC)"));
  const std::string weekend = R"(unless: { time: { days: [sat, sun] } })";
  const std::string sunday = R"(unless: { time: { days: [sun] } })";
  EXPECT_THAT(describe_changes(load("UTC", weekend), load("UTC", sunday)),
              ElementsAre("rule a: exempts where time is Sunday 00:00 to 24:00 (UTC); it was "
                          "Saturday, Sunday 00:00 to 24:00 (UTC)"));
  const std::string days = "valid_from: 2026-10-05, valid_to: \"2026-10-06T00:00:00Z\"";
  const std::string more = "valid_from: 2026-10-04, valid_to: \"2026-10-06T00:00:00Z\"";
  EXPECT_THAT(describe_changes(load("UTC", days), load("UTC", more)),
              ElementsAre("rule a: holds where valid is from 2026-10-04 (UTC) to "
                          "2026-10-06T00:00:00Z; it was from 2026-10-05 (UTC) to "
                          "2026-10-06T00:00:00Z"));
  EXPECT_THAT(describe_changes(load("UTC", days), load("Europe/Berlin", days)),
              ElementsAre("rule a: holds where valid is from 2026-10-05 (Europe/Berlin) to "
                          "2026-10-06T00:00:00Z; it was from 2026-10-05 (UTC) to "
                          "2026-10-06T00:00:00Z"));
}

TEST(RuleDiff, ListsAreComparedEntryByEntry) {
  EXPECT_THAT(changes({{"gone@contoso.com", "new@contoso.com"}, {"10.0.0.0/8", "10.0.0.0/9"}}),
              ElementsAre("list hold: gained 1 entry (new@contoso.com)",
                          "list hold: lost 1 entry (gone@contoso.com)",
                          "list networks: gained 1 entry (10.0.0.0/9)",
                          "list networks: lost 1 entry (10.0.0.0/8)"));
}

TEST(RuleDiff, WhereTheEntriesOfAListStandAndHowLongTheyCountIsCompared) {
  const std::string values = "hold: { values: [held@contoso.com, gone@contoso.com] }";
  const RuleFiles files;
  files.write("hold.csv", "held@contoso.com\ngone@contoso.com\n");
  const auto with = [&](const std::string& list) {
    std::string text(kOldRules);
    text.replace(text.find(values), values.size(), list);
    return files.load(text).value();
  };
  const RuleSet in_rules = with(values);
  const RuleSet in_file = with("hold: { file: hold.csv }");
  const RuleSet for_a_day = with("hold: { file: hold.csv, max_age: 24h }");
  const RuleSet for_less = with("hold: { file: hold.csv, max_age: 90m }");
  EXPECT_THAT(describe_changes(for_a_day, for_less),
              ElementsAre("list hold: the time that its file is believed is 90m; it was 1d"));
  EXPECT_THAT(describe_changes(for_a_day, in_file),
              ElementsAre("list hold: the time that its file is believed is unlimited; it was 1d"));
  EXPECT_THAT(describe_changes(in_rules, in_file),
              ElementsAre("list hold: its entries are in the file hold.csv now; they were in the "
                          "rule file itself"));
  EXPECT_THAT(describe_changes(for_a_day, in_rules),
              ElementsAre("list hold: its entries are in the rule file itself now; they were in "
                          "the file hold.csv",
                          "list hold: the time that its file is believed is unlimited; it was 1d"));
  EXPECT_THAT(describe_changes(for_a_day, for_a_day), IsEmpty());
}

TEST(RuleDiff, AListThatARuleBeginsToNameIsTold) {
  const RuleFiles files;
  std::string without(kOldRules);
  const std::string unless = ", unless: { source_ip: { in: networks } }";
  without.erase(without.find(unless), unless.size());
  const RuleSet before = files.load(without).value();
  const RuleSet after = files.load(kOldRules).value();
  EXPECT_THAT(describe_changes(before, after),
              Contains("list networks: calls are compared with it now, 1 entry (10.0.0.0/8)"));
}

}  // namespace
}  // namespace holdfast::approval
