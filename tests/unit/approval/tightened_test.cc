#include "approval/tightened.h"

#include <gtest/gtest.h>

#include "approval/list_file.h"
#include "approval/loosening.h"
#include "approval/rule_model.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

const WallTime kNow = at("2026-10-05T08:00:00Z");
const WallTime kOld = at("2026-10-04T08:00:00Z");
const WallTime kNew = at("2026-10-05T07:00:00Z");
const std::string kRules = R"(
schema: 1
revision: a
lists: { hold: { file: hold.csv, max_age: 24h }, vip: { file: vip.csv } }
rules:
  - { id: any, effect: allow, when: { actor: { user: { in: vip } } } }
  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }
)";
const std::string kVip = "11111111-0000-4000-8000-000000000001\n";
const std::string kVips = kVip + "11111111-0000-4000-8000-000000000002\n";

RuleSet rules(const std::string& hold, const std::string& vip, WallTime modified,
              const std::string& text = kRules) {
  const SourceFiles files = {{.name = "rules", .bytes = text, .modified = modified},
                             {.name = "hold.csv", .bytes = hold, .modified = modified},
                             {.name = "vip.csv", .bytes = vip, .modified = modified}};
  const Result<RuleSet> loaded = load_rules(files, "rules", kNow);
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  return *loaded;
}

const SourceFile& file(const RuleSet& rules, std::size_t index) {
  return rules.data().sources->at(index);
}

TEST(Tightened, a_list_keeps_what_it_had_and_gets_what_is_new) {
  const RuleSet active = rules("mailbox\na@x.org\nb@x.org", kVip, kOld);
  const RuleSet own = rules("mailbox\nb@x.org\n\"c@x.org\"\n#d@x.org\n", kVip, kNew);
  const RuleSet both = tightened(active, own, kNow);
  EXPECT_EQ(file(both, 1).bytes, "mailbox\na@x.org\nb@x.org\nc@x.org\n");
  EXPECT_EQ(file(both, 1).modified, kNew);
  EXPECT_EQ(both.data().lists[0].stale_from, kNew + std::chrono::hours(24));
  EXPECT_EQ(file(both, 2).modified, kOld);
  EXPECT_TRUE(loosenings(active, both).empty());
  EXPECT_FALSE(loosenings(active, own).empty());
}

TEST(Tightened, a_list_that_only_lost_names_is_only_newer) {
  const RuleSet active = rules("a@x.org\nb@x.org\n", kVip, kOld);
  const RuleSet same = tightened(active, rules("b@x.org\n", kVip, kNew), kNow);
  EXPECT_EQ(same.sha256(), active.sha256());
  EXPECT_EQ(file(same, 1).modified, kNew);
  const RuleSet older = tightened(rules("a@x.org\n", kVip, kNew), rules("#\n", kVip, kOld), kNow);
  EXPECT_EQ(file(older, 1).modified, kNew);
}

TEST(Tightened, the_rule_file_and_what_else_is_new_stay_out) {
  std::string looser = kRules;
  looser.replace(looser.find("effect: deny"), 12, "effect: allow");
  const RuleSet active = rules("a@x.org\n", kVip, kOld);
  const RuleSet both = tightened(active, rules("b@x.org\n", kVip, kNew, looser), kNow);
  EXPECT_EQ(file(both, 0).bytes, kRules);
  EXPECT_EQ(file(both, 1).bytes, "a@x.org\nb@x.org\n");
}

TEST(Tightened, a_list_that_opens_is_left_alone_and_does_not_stop_others) {
  const RuleSet active = rules("a@x.org\n", kVip, kOld);
  const RuleSet both = tightened(active, rules("b@x.org\n", kVips, kNew), kNow);
  EXPECT_EQ(file(both, 1).bytes, "a@x.org\nb@x.org\n");
  EXPECT_EQ(file(both, 2).bytes, kVip);
  EXPECT_EQ(file(both, 2).modified, kOld);
}

TEST(Tightened, an_opening_list_that_lost_a_name_is_no_newer_for_it) {
  // Whoever is no longer on it must not be let in for longer.
  const RuleSet active = rules("a@x.org\n", kVips, kOld);
  const RuleSet both = tightened(active, rules("b@x.org\n", kVip, kNew), kNow);
  EXPECT_EQ(file(both, 2).bytes, kVips);
  EXPECT_EQ(file(both, 2).modified, kOld);
}

TEST(Tightened, a_list_of_which_the_rules_own_tests_say_otherwise_is_left_alone) {
  const std::string tested = kRules + R"(
tests:
  - name: b is free
    given: { action: recall, resource: message, mailbox: b@x.org,
             actor: { user: 11111111-0000-4000-8000-000000000001 } }
    expect: { effect: allow }
)";
  const RuleSet active = rules("a@x.org\n", kVip, kOld, tested);
  const RuleSet both = tightened(active, rules("b@x.org\n", kVip, kNew), kNow);
  EXPECT_EQ(file(both, 1).bytes, "a@x.org\n");
  EXPECT_EQ(file(both, 1).modified, kOld);
}

}  // namespace
}  // namespace holdfast::approval
