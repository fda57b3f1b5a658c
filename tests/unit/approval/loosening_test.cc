#include "approval/loosening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "approval/rule_diff.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

constexpr std::string_view kBefore = R"(schema: 1
revision: "1"
lists:
  hold: { file: hold.csv, max_age: 24h }
  chiefs: { values: [ceo@contoso.com] }
  networks: { values: [10.0.0.0/8] }
  folders: { values: [inbox] }
  actions: { values: [recall] }
  dated-actions: { file: actions.csv, max_age: 24h }
calendars:
  office: { days: [mon, tue], from: "08:00", to: "18:00" }
approvers:
  compliance: { group: 3f2c0a52-0000-4000-8000-000000000001 }
  legal: { group: 91ab77de-0000-4000-8000-000000000002 }
  interns: { group: 3f2c0a52-0000-4000-8000-000000000001 }
rules:
  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }
  - { id: home, effect: deny, unless: { source_ip: { in: networks } } }
  - { id: large, effect: deny, when: { size: { min: 1000 } } }
  - id: bot
    effect: allow
    when: { actor: { app: 6a1e55aa-0000-4000-8000-000000000004 }, time: { during: office } }
    limit: { count: 200, per: 1h, distinct_mailboxes: 20 }
  - id: own
    effect: allow
    when: { mailbox: { own: true }, resource: [message, event] }
    unless: { folder: [archive] }
  - id: recall
    effect: require_approval
    when: { action: recall, mailbox: { in: chiefs } }
    approve: { stages: [ { from: compliance } ], decide_within: 4h }
    require: { justification: 20 }
  - { id: watched, effect: deny, mode: monitor, when: { action: recall } }
  - { id: small, effect: allow, when: { size: { min: 10, max: 99 } } }
  - { id: folders, effect: deny, when: { folder: { in: folders } } }
  - { id: board, effect: deny, when: { affected_mailboxes: { any_in: [board@contoso.com] } } }
  - { id: chiefs, effect: deny, when: { affected_mailboxes: { any_in: chiefs } } }
  - { id: partners, effect: deny, when: { mailbox: { domain: [fabrikam.com] } } }
  - { id: season, effect: deny, valid_to: 2027-03-31 }
  - id: few
    effect: allow
    when: { resource: calendar }
    limit: { count: 5, per: 2h, distinct_mailboxes: 3, over: require_approval }
    approve: { stages: [ { from: compliance, count: 2 } ] }
  - id: papers
    effect: require_approval
    when: { resource: contact }
    approve: { stages: [ { from: legal } ] }
    require: { ticket: "^CASE-" }
  - id: incident
    effect: break_glass
    when: { resource: [message, contact] }
    require: { justification: 10 }
    review_within: 4h
  - id: nightly
    effect: allow
    valid_from: 2027-01-01
    when: { action: { in: actions }, time: { from: "22:00", to: "23:00" } }
    unless: { time: { days: [sun] } }
  - { id: listed, effect: allow, when: { action: { in: dated-actions } } }
  - { id: tasks, effect: allow, when: { resource: outlookTask } }
  - { id: not-mine, effect: allow, when: { action: recall }, unless: { mailbox: { own: true } } }
)";

struct Edit {
  const char* name;
  std::string from;
  std::string to;
};

void PrintTo(const Edit& edit, std::ostream* out) {
  *out << edit.name;
}

class Loosening : public ::testing::TestWithParam<Edit> {
 protected:
  using Compare = std::vector<std::string> (*)(const RuleSet& before, const RuleSet& after);

  std::vector<std::string> found(const Edit& edit, const std::string& hold = "held@contoso.com\n",
                                 Compare compare = loosenings) {
    files_.write("hold.csv", "held@contoso.com\n");
    files_.write("actions.csv", "recall\n");
    const Result<RuleSet> old = files_.load(kBefore);
    std::string text(kBefore);
    const std::size_t at = text.find(edit.from);
    EXPECT_NE(at, std::string::npos) << edit.from;
    text.replace(at, edit.from.size(), edit.to);
    files_.write("hold.csv", hold);
    const Result<RuleSet> now = files_.load(text);
    EXPECT_TRUE(now.ok()) << now.error().message;
    if (!old.ok() || !now.ok()) return {"does not load"};
    return compare(*old, *now);
  }
  RuleFiles files_;
};

class Looser : public Loosening {};
class NoLooser : public Loosening {};

TEST_P(Looser, IsTold) {
  EXPECT_EQ(found(GetParam()).size(), 1U);
}

// Whoever is asked to approve it sees what it is.
TEST_P(Looser, IsDescribed) {
  EXPECT_THAT(found(GetParam(), "held@contoso.com\n", describe_changes),
              ::testing::Not(::testing::IsEmpty()));
}

TEST_P(NoLooser, IsTold) {
  EXPECT_THAT(found(GetParam()), ::testing::IsEmpty());
}

const std::string kHold = "  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }\n";

const Edit kLooser[] = {
    {"deny_gone", kHold, ""},
    {"deny_renamed_goes_and_comes", "id: hold,", "id: holds,"},
    {"deny_monitored", "id: hold, effect: deny", "id: hold, mode: monitor, effect: deny"},
    {"deny_becomes_approval", "id: hold, effect: deny", "id: hold, effect: require_approval"},
    {"deny_gains_a_condition", "in: hold } }", "in: hold }, action: recall }"},
    {"deny_exempts", kHold, kHold.substr(0, kHold.size() - 3) + ", unless: { action: recall } }\n"},
    {"deny_exempts_more", "unless: { source_ip: { in: networks } }",
     "unless: { source_ip: [10.0.0.0/8, 11.0.0.0/8] }"},
    {"exempting_list_grows", "values: [10.0.0.0/8]", "values: [10.0.0.0/8, 11.0.0.0/8]"},
    {"range_narrows", "min: 1000 }", "min: 1001 }"},
    {"range_ends", "min: 1000 }", "min: 1000, max: 2000 }"},
    {"max_age_longer", "max_age: 24h", "max_age: 25h"},
    {"max_age_gone", ", max_age: 24h", ""},
    {"allow_new", "rules:\n", "rules:\n  - { id: new, effect: allow, when: { action: recall } }\n"},
    {"approval_new", "rules:\n",
     "rules:\n  - { id: new, effect: require_approval, when: { action: recall } }\n"},
    {"way_past_approvals_new", "rules:\n",
     "rules:\n  - { id: new, effect: break_glass, when: { action: recall } }\n"},
    {"deny_becomes_a_way_past_approvals", "id: hold, effect: deny",
     "id: hold, effect: break_glass"},
    {"allow_loses_a_condition", "mailbox: { own: true }, resource", "resource"},
    {"allow_other_ownership", "own: true", "own: false"},
    {"allow_gains_a_value", "[message, event]", "[message, event, contact]"},
    {"allow_exempts_less", "    unless: { folder: [archive] }\n", ""},
    {"allow_limit_gone", "    limit: { count: 200, per: 1h, distinct_mailboxes: 20 }\n", ""},
    {"limit_higher", "count: 200", "count: 201"},
    {"limit_shorter", "per: 1h", "per: 30m"},
    {"limit_of_more_mailboxes", ", distinct_mailboxes: 20", ""},
    {"limit_by_another", "per: 1h,", "per: 1h, by: rule,"},
    {"limit_with_approval", "per: 1h,", "per: 1h, over: require_approval,"},
    {"limited_allow_counts_less", "time: { during: office }",
     "time: { during: office }, action: recall"},
    {"calendar_grows", "days: [mon, tue]", "days: [mon, tue, wed]"},
    {"approval_becomes_allow",
     "effect: require_approval\n    when: { action: recall, mailbox: { in: chiefs } }\n    "
     "approve: { stages: [ { from: compliance } ], decide_within: 4h }\n    require: { "
     "justification: 20 }\n",
     "effect: allow\n    when: { action: recall, mailbox: { in: chiefs } }\n"},
    {"approval_is_about_more", "action: recall, mailbox: { in: chiefs }", "action: recall"},
    {"approval_list_grows", "[ceo@contoso.com]", "[ceo@contoso.com, cfo@contoso.com]"},
    {"approval_by_others", "from: compliance", "from: legal"},
    {"approval_by_the_group_under_another_name", "from: compliance", "from: interns"},
    {"approval_beyond_a_limit_by_it", "from: compliance, count: 2", "from: interns, count: 2"},
    {"approval_lasts_longer", "decide_within: 4h", "decide_within: 5h"},
    {"approval_lasts_as_long_as_others_say", ", decide_within: 4h", ""},
    {"justification_shorter", "justification: 20", "justification: 19"},
    {"range_widens_and_a_condition_comes", "min: 1000 } }", "min: 999 }, action: recall }"},
    {"allowed_range_begins_earlier", "min: 10, max: 99", "min: 9, max: 99"},
    {"allowed_range_ends_later", "min: 10, max: 99", "min: 10, max: 100"},
    {"folder_list_shrinks", "[inbox]", "[drafts]"},
    {"deny_by_another_list", "mailbox: { in: hold }", "mailbox: { in: chiefs }"},
    {"affected_mailbox_changes", "any_in: [board@contoso.com]", "any_in: [other@contoso.com]"},
    {"affected_list_changes", "any_in: chiefs", "any_in: hold"},
    {"domain_changes", "[fabrikam.com]", "[contoso.com]"},
    {"ends_earlier", "valid_to: 2027-03-31", "valid_to: 2027-03-30"},
    {"limit_of_one_mailbox_more", "distinct_mailboxes: 3", "distinct_mailboxes: 4"},
    {"approval_beyond_a_limit_takes_less", "count: 2 }", "count: 1 }"},
    {"limited_allow_monitored", "id: bot\n", "id: bot\n    mode: monitor\n"},
    {"approval_is_used_later_than_by_default", "from: legal } ]",
     "from: legal } ], use_within: 2h"},
    {"ticket_not_wanted", "    require: { ticket: \"^CASE-\" }\n", ""},
    {"allow_becomes_approval_with_its_limit", "effect: allow\n    when: { actor",
     "effect: require_approval\n    when: { actor"},
    {"allow_of_a_measure_becomes_approval", "effect: allow, when: { size",
     "effect: require_approval, when: { size"},
    {"allow_by_a_list_that_may_be_too_old_becomes_approval", "id: listed, effect: allow",
     "id: listed, effect: require_approval"},
    {"allow_of_a_resource_becomes_approval", "id: tasks, effect: allow",
     "id: tasks, effect: require_approval"},
    {"allow_that_a_doubt_would_exempt_becomes_approval", "id: not-mine, effect: allow",
     "id: not-mine, effect: require_approval"},
    {"way_past_approvals_of_more", "resource: [message, contact]",
     "resource: [message, contact, calendar]"},
    {"way_past_approvals_takes_less", "justification: 10", "justification: 9"},
    {"way_past_approvals_is_reviewed_later", "review_within: 4h", "review_within: 5h"},
    {"way_past_approvals_becomes_allow",
     "effect: break_glass\n    when: { resource: [message, contact] }\n    require: { "
     "justification: "
     "10 "
     "}\n    review_within: 4h\n",
     "effect: allow\n    when: { resource: contact }\n"},
};

const Edit kNoLooser[] = {
    {"nothing", "revision", "revision"},
    {"another_revision_and_comment", "revision: \"1\"", "revision: \"2\" # why"},
    {"deny_new", "rules:\n", "rules:\n  - { id: new, effect: deny, when: { action: recall } }\n"},
    {"deny_loses_a_condition", ", when: { mailbox: { in: hold } }", ""},
    {"deny_gains_values", "in: hold } }", "in: hold } }"},
    {"deny_exempts_less", "unless: { source_ip: { in: networks } }",
     "unless: { source_ip: { in: networks }, action: recall }"},
    {"deny_exempts_nothing", ", unless: { source_ip: { in: networks } }", ""},
    {"range_widens", "min: 1000 }", "min: 999 }"},
    {"max_age_shorter", "max_age: 24h", "max_age: 23h"},
    {"monitored_rule_gone",
     "  - { id: watched, effect: deny, mode: monitor, when: { action: recall } }\n", ""},
    {"monitored_deny_takes_effect", ", mode: monitor", ""},
    {"monitored_allow", "rules:\n", "rules:\n  - { id: new, mode: monitor, effect: allow }\n"},
    {"allow_gains_a_condition", "own: true }", "own: true }, action: recall"},
    {"allow_loses_a_value", "[message, event]", "[message]"},
    {"allow_exempts_more", "[archive]", "[archive, inbox]"},
    {"limit_lower", "count: 200", "count: 199"},
    {"limit_longer", "per: 1h", "per: 2h"},
    {"allow_of_what_is_always_known_becomes_approval", "effect: allow\n    valid_from: 2027-01-01",
     "effect: require_approval\n    valid_from: 2027-01-01"},
    {"approval_becomes_deny",
     "effect: require_approval\n    when: { action: recall, mailbox: { in: chiefs } }\n    "
     "approve: { stages: [ { from: compliance } ], decide_within: 4h }\n    require: { "
     "justification: 20 }\n",
     "effect: deny\n    when: { action: recall, mailbox: { in: chiefs } }\n"},
    {"approval_by_more", "{ from: compliance }", "{ from: compliance, count: 2 }, { from: legal }"},
    {"approval_shorter", "decide_within: 4h", "decide_within: 4h, use_within: 30m"},
    {"ticket_wanted", "justification: 20", "justification: 20, ticket: \"CASE\""},
    {"title", "id: large,", "id: large, title: Large,"},
    {"allowed_range_narrows", "min: 10, max: 99", "min: 11, max: 98"},
    {"allow_of_what_is_always_known_becomes_an_approval_that_lasts",
     "effect: allow\n    valid_from: 2027-01-01",
     "effect: require_approval\n    approve: { stages: [ { from: legal } ], use_within: 2h }\n    "
     "valid_from: 2027-01-01"},
    {"way_past_approvals_of_less", "[message, contact]", "[contact]"},
    {"way_past_approvals_takes_more", "justification: 10", "justification: 11"},
    {"way_past_approvals_is_reviewed_earlier", "review_within: 4h", "review_within: 3h"},
    {"way_past_approvals_becomes_deny",
     "effect: break_glass\n    when: { resource: [message, contact] }\n    require: { "
     "justification: "
     "10 "
     "}\n    review_within: 4h\n",
     "effect: deny\n    when: { resource: contact }\n"},
    {"way_past_approvals_gone",
     "  - id: incident\n    effect: break_glass\n    when: { resource: [message, contact] }\n    "
     "require: { justification: 10 }\n    review_within: 4h\n",
     ""},
};

const auto kNamed = [](const auto& edit) { return std::string(edit.param.name); };
INSTANTIATE_TEST_SUITE_P(Edits, Looser, ::testing::ValuesIn(kLooser), kNamed);
INSTANTIATE_TEST_SUITE_P(Edits, NoLooser, ::testing::ValuesIn(kNoLooser), kNamed);

TEST_F(Loosening, ApproversThatGoByAnotherNameAreSaidToDoSo) {
  EXPECT_THAT(found({"", "from: compliance", "from: interns"}),
              ::testing::ElementsAre("rule recall: its approvers go by another name, and others "
                                     "may go by it too"));
}

// An allow rule in doubt does not match, and an approval rule does.
TEST_F(Loosening, AnAllowRuleThatBecomesAnApprovalIsSaidToOpenWhatIsInDoubt) {
  EXPECT_THAT(found({"", "id: not-mine, effect: allow", "id: not-mine, effect: require_approval"}),
              ::testing::ElementsAre(
                  "rule not-mine: it opens calls to approval where facts are not known"));
}

TEST_F(Loosening, AHoldListThatGrowsIsNoneAndOneThatShrinksIs) {
  const Edit none{"", "revision", "revision"};
  EXPECT_THAT(found(none, "held@contoso.com\nother@contoso.com\n"), ::testing::IsEmpty());
  EXPECT_THAT(found(none, "# nobody\n"),
              ::testing::ElementsAre("rule hold: it may deny fewer calls than before"));
  EXPECT_EQ(found(none, "other@contoso.com\n").size(), 1U);
}

}  // namespace
}  // namespace holdfast::approval
