#include "approval/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "approval/rule_model.h"
#include "base/crypto.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

struct Mistake {
  const char* name;
  std::string text;     // Of the rule file, from line 3 on; lines 1 and 2 are kRulesHead.
  const char* problem;  // Exactly, all lines.
};

constexpr const char* kRulesHead = "schema: 1\nrevision: test\n";
constexpr const char* kNoRules = "rules: []\n";

void PrintTo(const Mistake& c, std::ostream* out) {
  *out << c.name;
}

std::string mistake_name(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

// One rule with the given further members.
std::string rule(const std::string& members) {
  return "rules:\n  - id: r\n    effect: deny\n    " + members + "\n";
}

class BadRules : public testing::TestWithParam<Mistake> {};

TEST_P(BadRules, AreRefusedWithFileLineAndKey) {
  const RuleFiles files;
  files.write("people.csv", "# people\nmailbox\nheld@contoso.com\nJane Doe\n");
  files.write("empty.csv", "");
  files.write("utf16.csv", "\xff\xfeh\0e\0");
  files.write("quote.csv", "a@contoso.com\n\"b@contoso.com\n");
  files.write("old_mac.csv", "# people\rmailbox\rheld@contoso.com\r");
  files.write("joined.csv", "mailbox\nheld@contoso.com\n\"a@contoso.com,b@contoso.com\"\n");
  files.write("comma.csv", "\"Doe,held@contoso.com\"\n");
  files.write("tab.csv", "\"held\t@contoso.com\"\n");
  EXPECT_EQ(files.problem(kRulesHead + GetParam().text), GetParam().problem);
}

INSTANTIATE_TEST_SUITE_P(
    Schema, BadRules,
    testing::Values(
        Mistake{"not_yaml", "rules: [",
                "rules.yaml:3: not valid YAML: end of sequence flow not found"},
        Mistake{"duplicate_key", "rules: []\nrules: []\n",
                "rules.yaml:4: the key \"rules\" is already on line 3"},
        Mistake{"unknown_key", "rules: []\nrulez: []\n",
                "rules.yaml:4: /rulez: unknown key \"rulez\""},
        Mistake{"unknown_rule_key", rule("colour: red"),
                "rules.yaml:6: /rules/0/colour: unknown key \"colour\""},
        Mistake{"unknown_condition", rule("when: { moon: full }"),
                "rules.yaml:6: /rules/0/when/moon: unknown key \"moon\""},
        Mistake{"unknown_actor_key", rule("when: { actor: { name: Adele } }"),
                "rules.yaml:6: /rules/0/when/actor/name: unknown key \"name\""},
        Mistake{"no_rules", "", "rules.yaml:1: missing key rules"},
        Mistake{"default_allow", "default: allow\nrules: []\n",
                "rules.yaml:3: /default: must be deny"},
        Mistake{"missing_id", "rules:\n  - effect: deny\n",
                "rules.yaml:4: /rules/0: missing key id"},
        Mistake{"missing_effect", "rules:\n  - id: a\n",
                "rules.yaml:4: /rules/0: missing key effect"},
        Mistake{"bad_effect", "rules:\n  - { id: a, effect: maybe }\n",
                "rules.yaml:4: /rules/0/effect: must be one of deny, require_approval, allow, "
                "break_glass"},
        Mistake{"bad_mode", rule("mode: off"),
                "rules.yaml:6: /rules/0/mode: must be one of enforce, monitor"},
        Mistake{"bad_id", "rules:\n  - { id: 'a b', effect: deny }\n",
                "rules.yaml:4: /rules/0/id: must be a name of at most 64 letters, digits, dots, "
                "hyphens and underscores"},
        Mistake{"wrong_type", rule("when: [action]"),
                "rules.yaml:6: /rules/0/when: must be a mapping (key: value)"},
        Mistake{
            "number_for_text", rule("when: { action: 7 }"),
            "rules.yaml:6: /rules/0/when/action: must be one of the types string, array, object"},
        Mistake{"empty_when", rule("when: {}"), "rules.yaml:6: /rules/0/when: must not be empty"},
        Mistake{"empty_array", rule("when: { action: [] }"),
                "rules.yaml:6: /rules/0/when/action: must not be empty"},
        Mistake{"any_in_is_for_affected_mailboxes", rule("when: { mailbox: { any_in: x } }"),
                "rules.yaml:6: /rules/0/when/mailbox/any_in: unknown key \"any_in\""},
        Mistake{"bad_duration", "lists: { l: { file: x.csv, max_age: 1 day } }\nrules: []\n",
                "rules.yaml:3: /lists/l/max_age: must be a duration such as 30s, 15m, 24h or 7d"},
        Mistake{"bad_time_of_day", rule("when: { time: { from: '8:00', to: '18:00' } }"),
                "rules.yaml:6: /rules/0/when/time/from: must be a time of day such as 08:00"},
        Mistake{"bad_day", rule("when: { time: { days: [monday] } }"),
                "rules.yaml:6: /rules/0/when/time/days/0: must be one of mon, tue, wed, thu, fri, "
                "sat, sun"},
        Mistake{"nameless_approver",
                "approvers: { \"\": { group: 3f2c0a52-0000-4000-8000-000000000001 } }\nrules: []\n",
                "rules.yaml:3: /approvers/: must be a name that is not empty"},
        Mistake{"nul_in_an_approvers_name",
                "approvers:\n  \"a\\0\": { group: 3f2c0a52-0000-4000-8000-000000000001 }\n"
                "rules: []\n",
                "rules.yaml:4: a string must not hold a NUL character"},
        Mistake{"list_with_nul",
                "lists: { l: { values: [\"a\\0@b.c\"] } }\n" + rule("when: { mailbox: { in: l } }"),
                "rules.yaml:3: a string must not hold a NUL character"},
        Mistake{"bad_approver", "approvers: { a: { group: lawyers } }\nrules: []\n",
                "rules.yaml:3: /approvers/a/group: must be an object id such as "
                "3f2c0a52-0000-4000-8000-000000000001"}),
    mistake_name);

INSTANTIATE_TEST_SUITE_P(
    Lint, BadRules,
    testing::Values(
        Mistake{"unknown_approvers",
                "rules:\n  - id: r\n    effect: require_approval\n    approve:\n"
                "      stages: [ { from: nobody } ]\n",
                "rules.yaml:7: /rules/0/approve/stages/0/from: unknown approvers \"nobody\""},
        Mistake{"the_same_approvers_twice",
                "approvers: { c: { group: 3f2c0a52-0000-4000-8000-000000000001 } }\n"
                "rules:\n  - id: r\n    effect: require_approval\n    approve:\n"
                "      stages: [ { from: c }, { from: c } ]\n",
                "rules.yaml:8: /rules/0/approve/stages/1/from: the same people in two stages: give "
                "one stage a higher count"},
        Mistake{"duplicate_id",
                "rules:\n  - { id: a, effect: deny }\n  - { id: a, effect: allow }\n",
                "rules.yaml:5: /rules/1/id: duplicate rule id \"a\" (also /rules/0)"},
        Mistake{"unknown_list", rule("when: { mailbox: { in: nobody } }"),
                "rules.yaml:6: /rules/0/when/mailbox/in: unknown list \"nobody\""},
        Mistake{"limit_on_a_denial", rule("limit: { count: 2, per: 1h }"),
                "rules.yaml:6: /rules/0/limit: limit is for rules with effect: allow or "
                "require_approval"},
        Mistake{"limit_on_break_glass",
                "rules:\n  - { id: r, effect: break_glass, limit: { count: 2, per: 1h } }\n",
                "rules.yaml:4: /rules/0/limit: limit is for rules with effect: allow or "
                "require_approval"},
        Mistake{"approve_on_break_glass",
                "rules:\n  - { id: r, effect: break_glass, approve: { use_within: 1h } }\n",
                "rules.yaml:4: /rules/0/approve: approve is only for rules with effect: "
                "require_approval"},
        Mistake{
            "review_of_what_is_allowed",
            "rules:\n  - { id: r, effect: allow, review_within: 1h }\n",
            "rules.yaml:4: /rules/0/review_within: review_within is only for rules with effect: "
            "break_glass"},
        Mistake{"limit_without_a_time", rule("limit: { count: 2 }"),
                "rules.yaml:6: /rules/0/limit: missing key per"},
        Mistake{"limit_over_too_long",
                "rules:\n  - id: r\n    effect: allow\n"
                "    limit: { count: 2, per: 32d }\n",
                "rules.yaml:6: /rules/0/limit/per: at most 31d"},
        Mistake{"one_mailbox_of_each_mailbox",
                "rules:\n  - id: r\n    effect: allow\n"
                "    limit: { count: 2, per: 1h, by: mailbox, distinct_mailboxes: 2 }\n",
                "rules.yaml:6: /rules/0/limit/distinct_mailboxes: by mailbox there is only one"},
        Mistake{"approval_terms_of_a_plain_limit",
                "rules:\n  - id: r\n    effect: allow\n"
                "    limit: { count: 2, per: 1h }\n    approve: { use_within: 1h }\n",
                "rules.yaml:7: /rules/0/approve: approve is only for rules with effect: "
                "require_approval"},
        Mistake{"approval_over_approval",
                "rules:\n  - id: r\n    effect: require_approval\n"
                "    limit: { count: 2, per: 1h, over: require_approval }\n",
                "rules.yaml:6: /rules/0/limit/over: this rule's calls need approval anyway"},
        Mistake{"unknown_list_of_affected",
                rule("when: { affected_mailboxes: { any_in: nobody } }"),
                "rules.yaml:6: /rules/0/when/affected_mailboxes/any_in: unknown list \"nobody\""},
        Mistake{
            "affected_by_name", rule("when: { affected_mailboxes: { any_in: [Jane] } }"),
            "rules.yaml:6: /rules/0/when/affected_mailboxes/any_in/0: \"Jane\" is neither a mail "
            "address nor an object id"},
        Mistake{
            "nothing_between", rule("when: { message_age: { min: 2h, max: 90m } }"),
            "rules.yaml:6: /rules/0/when/message_age: min is more than max, so nothing is between "
            "them"},
        Mistake{
            "nothing_of_that_size", rule("when: { size: { min: 2, max: 1 } }"),
            "rules.yaml:6: /rules/0/when/size: min is more than max, so nothing is between them"},
        Mistake{
            "no_day", rule("valid_from: next-week"),
            "rules.yaml:6: /rules/0/valid_from: \"next-week\" is neither a day such as 2026-10-05 "
            "nor a time such as 2026-10-05T10:00:00+02:00"},
        Mistake{"never_valid", rule("valid_from: 2026-10-05\n    valid_to: 2026-10-04"),
                "rules.yaml:7: /rules/0/valid_to: valid_to is not after valid_from"},
        Mistake{"unknown_calendar", rule("when: { time: { during: holidays } }"),
                "rules.yaml:6: /rules/0/when/time/during: unknown calendar \"holidays\""},
        Mistake{"quoted_text_adds_no_line",
                rule(R"(when: { time: { during: "x\nrules.yaml:1: \e[2K" } })"),
                "rules.yaml:6: /rules/0/when/time/during: unknown calendar "
                "\"x?rules.yaml:1: ?[2K\""},
        Mistake{"a_quoted_key_adds_no_line", rule(R"("colour\nrules.yaml:1:": red)"),
                "rules.yaml:6: /rules/0/colour?rules.yaml:1:: unknown key "
                "\"colour?rules.yaml:1:\""},
        Mistake{"a_key_that_stands_twice_adds_no_line", rule("\"a\\nb\": red\n    \"a\\nb\": red"),
                "rules.yaml:7: the key \"a?b\" is already on line 6"},
        Mistake{
            "unknown_action", rule("when: { action: [recall, delete] }"),
            "rules.yaml:6: /rules/0/when/action/1: \"delete\" is not an action (permanentDelete, "
            "recall, hardDelete, remediate, purgeData)"},
        Mistake{
            "unknown_kind", rule("when: { actor: { kind: robot } }"),
            "rules.yaml:6: /rules/0/when/actor/kind: \"robot\" is not a kind of actor (user, app)"},
        Mistake{
            "user_by_name", rule("when: { actor: { user: adele@contoso.com } }"),
            "rules.yaml:6: /rules/0/when/actor/user: \"adele@contoso.com\" is not an id such as "
            "6a1e55aa-0000-4000-8000-000000000004"},
        Mistake{"mailbox_by_alias", rule("when: { mailbox: adele }"),
                "rules.yaml:6: /rules/0/when/mailbox: \"adele\" is neither a mail address nor an "
                "object id"},
        Mistake{"mailbox_of_whoever_calls", rule("when: { mailbox: Me }"),
                "rules.yaml:6: /rules/0/when/mailbox: \"Me\" is whoever calls: name a mailbox, or "
                "write mailbox: { own: true }"},
        Mistake{
            "list_of_whoever_calls",
            "lists: { l: { values: [a@b.c, me] } }\n" + rule("when: { mailbox: { in: l } }"),
            "rules.yaml:3: /lists/l/values/1: \"me\" is whoever calls: name a mailbox, or write "
            "mailbox: { own: true }"},
        Mistake{"mailbox_by_another_kind_of_address", rule("when: { mailbox: sip:adele@b.c }"),
                "rules.yaml:6: /rules/0/when/mailbox: \"sip:adele@b.c\" is neither a mail address "
                "nor an object id"},
        Mistake{
            "bad_domain", rule("when: { mailbox: { domain: '@contoso.com' } }"),
            "rules.yaml:6: /rules/0/when/mailbox/domain: \"@contoso.com\" is not a domain such as "
            "contoso.com: letters, digits and hyphens, with one dot between them and none at the "
            "ends"},
        Mistake{
            "one_bad_domain_of_two",
            rule("when: { mailbox: { domain: [contoso.com, contoso.com.] } }"),
            "rules.yaml:6: /rules/0/when/mailbox/domain/1: \"contoso.com.\" is not a domain such "
            "as contoso.com: letters, digits and hyphens, with one dot between them and none at "
            "the ends"},
        Mistake{
            "mailbox_at_no_domain", rule("when: { mailbox: held@contoso.com. }"),
            "rules.yaml:6: /rules/0/when/mailbox: \"held@contoso.com.\" is neither a mail address "
            "nor an object id"},
        Mistake{
            "bad_network", rule("when: { source_ip: 10.0.0.0/33 }"),
            "rules.yaml:6: /rules/0/when/source_ip: \"10.0.0.0/33\" is not an IP address or CIDR "
            "network"},
        Mistake{"bits_after_prefix", rule("when: { source_ip: [10.0.0.1/8] }"),
                "rules.yaml:6: /rules/0/when/source_ip/0: \"10.0.0.1/8\" has bits set after its "
                "prefix"},
        Mistake{"bad_zone", "timezone: Mars/Olympus\nrules: []\n",
                "rules.yaml:3: /timezone: unknown time zone \"Mars/Olympus\""},
        Mistake{"zone_of_the_machine", "timezone: localtime\nrules: []\n",
                "rules.yaml:3: /timezone: unknown time zone \"localtime\""},
        Mistake{"zone_with_leap_seconds", "timezone: right/UTC\nrules: []\n",
                "rules.yaml:3: /timezone: unknown time zone \"right/UTC\""},
        Mistake{"zone_is_no_path", "timezone: ../../../etc/passwd\nrules: []\n",
                "rules.yaml:3: /timezone: unknown time zone \"../../../etc/passwd\""},
        Mistake{"bad_calendar_zone",
                "calendars: { c: { days: [mon], timezone: Berlin } }\n" +
                    rule("when: { time: { during: c } }"),
                "rules.yaml:3: /calendars/c/timezone: unknown time zone \"Berlin\""},
        Mistake{"half_a_window", rule("when: { time: { from: '08:00' } }"),
                "rules.yaml:6: /rules/0/when/time: from and to belong together"},
        Mistake{"empty_window", rule("when: { time: { from: '08:00', to: '08:00' } }"),
                "rules.yaml:6: /rules/0/when/time/from: from must be before to, or after it to run "
                "over midnight"},
        Mistake{"during_and_from",
                "calendars: { c: { days: [mon] } }\n" +
                    rule("when: { time: { during: c, days: [tue] } }"),
                "rules.yaml:7: /rules/0/when/time: time has either during or from, to and days"},
        Mistake{"require_on_deny", rule("require: { justification: 3 }"),
                "rules.yaml:6: /rules/0/require: require is only for rules with effect: "
                "require_approval or break_glass"},
        Mistake{"approve_on_deny", rule("approve: { use_within: 3h }"),
                "rules.yaml:6: /rules/0/approve: approve is only for rules with effect: "
                "require_approval"},
        Mistake{"bad_regex",
                "rules:\n  - { id: r, effect: require_approval, require: { ticket: '([a-z' } }\n",
                "rules.yaml:4: /rules/0/require/ticket: \"([a-z\" is not a regular expression "
                "(RE2): missing ]: [a-z"},
        Mistake{"look_around",
                "rules:\n  - { id: r, effect: require_approval, require: { ticket: 'A(?=B)' } }\n",
                "rules.yaml:4: /rules/0/require/ticket: \"A(?=B)\" is not a regular expression "
                "(RE2): invalid perl operator: (?="},
        Mistake{
            "list_name", "lists: { 'a b': { values: [x] } }\nrules: []\n",
            "rules.yaml:3: /lists: the name \"a b\" must be of at most 64 letters, digits, dots, "
            "hyphens and underscores"},
        Mistake{"list_without_source", "lists: { l: { max_age: 24h } }\nrules: []\n",
                "rules.yaml:3: /lists/l: a list has either values or a file"},
        Mistake{"list_with_two_sources", "lists: { l: { values: [x], file: y } }\nrules: []\n",
                "rules.yaml:3: /lists/l: a list has either values or a file"},
        Mistake{"age_of_values", "lists: { l: { values: [x], max_age: 24h } }\nrules: []\n",
                "rules.yaml:3: /lists/l/max_age: max_age is only for lists with a file"},
        Mistake{"missing_list_file", "lists: { l: { file: gone.csv } }\nrules: []\n",
                "rules.yaml:3: /lists/l/file: cannot read \"gone.csv\": No such file or directory"},
        Mistake{"list_file_is_a_directory", "lists: { l: { file: . } }\nrules: []\n",
                "rules.yaml:3: /lists/l/file: cannot read \".\": not a regular file"},
        Mistake{
            "list_file_of_no_bytes", "lists: { l: { file: empty.csv } }\nrules: []\n",
            "empty.csv:1: the list file has no bytes; a list of nobody needs at least a # comment"},
        Mistake{"list_file_in_utf16", "lists: { l: { file: utf16.csv } }\nrules: []\n",
                "utf16.csv:1: the list file is not UTF-8 text"},
        Mistake{"list_file_with_open_quote", "lists: { l: { file: quote.csv } }\nrules: []\n",
                "quote.csv:2: a quote is not closed"},
        Mistake{"list_file_with_cr_alone", "lists: { l: { file: old_mac.csv } }\nrules: []\n",
                "old_mac.csv:1: line ends must be LF or CRLF"},
        Mistake{"list_file_of_two_in_one",
                "lists: { l: { file: joined.csv } }\n" + rule("when: { mailbox: { in: l } }"),
                "joined.csv:3: \"a@contoso.com,b@contoso.com\" is neither a mail address nor an "
                "object id"},
        Mistake{"list_file_with_a_comma_in_quotes",
                "lists: { l: { file: comma.csv } }\n" + rule("when: { mailbox: { in: l } }"),
                "comma.csv:1: \"Doe,held@contoso.com\" is neither a mail address nor an object id"},
        Mistake{"list_file_with_a_tab_in_quotes",
                "lists: { l: { file: tab.csv } }\n" + rule("when: { mailbox: { in: l } }"),
                "tab.csv:1: a value must not hold control characters"},
        Mistake{"list_with_a_line_end",
                "lists: { l: { values: [x@b.c, \"a@b.c\\r\"] } }\n" +
                    rule("when: { mailbox: { in: l } }"),
                "rules.yaml:3: /lists/l/values/1: a value must not hold control characters"},
        Mistake{"list_of_two_in_one",
                "lists: { l: { values: [\"a@b\\nc\"] } }\n" + rule("when: { mailbox: { in: l } }"),
                "rules.yaml:3: /lists/l/values/0: a value must not hold control characters"},
        Mistake{
            "list_with_a_second_at",
            "lists: { l: { values: [a@b@c] } }\n" + rule("when: { mailbox: { in: l } }"),
            "rules.yaml:3: /lists/l/values/0: \"a@b@c\" is neither a mail address nor an object "
            "id"},
        Mistake{"folder_in_a_block", rule("when: { folder: \"inbox\\n\" }"),
                "rules.yaml:6: /rules/0/when/folder: a value must not hold control characters"},
        Mistake{"mailboxes_with_a_semicolon", rule("when: { mailbox: 'x;a@b.c' }"),
                "rules.yaml:6: /rules/0/when/mailbox: \"x;a@b.c\" is neither a mail address nor an "
                "object id"},
        Mistake{"list_file_of_people",
                "lists: { l: { file: people.csv } }\n" + rule("when: { mailbox: { in: l } }"),
                "people.csv:4: \"Jane Doe\" is neither a mail address nor an object id"},
        Mistake{"list_of_wrong_kind",
                "lists: { l: { values: [10.0.0.0/8, a@b.c] } }\n" +
                    rule("when: { source_ip: { in: l } }"),
                "rules.yaml:3: /lists/l/values/1: \"a@b.c\" is not an IP address or CIDR network"},
        Mistake{
            "several_at_once",
            rule("when: { mailbox: { in: nobody }, action: delete, source_ip: home }"),
            "rules.yaml:6: /rules/0/when/action: \"delete\" is not an action (permanentDelete, "
            "recall, hardDelete, remediate, purgeData)\nrules.yaml:6: /rules/0/when/mailbox/in: "
            "unknown list \"nobody\"\nrules.yaml:6: /rules/0/when/source_ip: \"home\" is not an "
            "IP address or CIDR network"}),
    mistake_name);

std::string test_of(const std::string& given, const std::string& expect) {
  return "rules:\n  - { id: ok, effect: allow, when: { action: recall } }\ntests:\n"
         "  - name: the test\n    given: { resource: message, " +
         given + " }\n    expect: { " + expect + " }\n";
}

INSTANTIATE_TEST_SUITE_P(
    Tests, BadRules,
    testing::Values(
        Mistake{"wrong_effect", test_of("action: recall", "effect: deny"),
                "rules.yaml:6: /tests/0: test \"the test\" expected deny, got allow by [ok]"},
        Mistake{"wrong_rule", test_of("action: recall", "effect: allow, by: [other, another]"),
                "rules.yaml:6: /tests/0: test \"the test\" expected allow by [another, other], got "
                "allow by [ok]"},
        Mistake{"no_way_past", test_of("action: recall", "effect: allow, break_glass: [b, a]"),
                "rules.yaml:6: /tests/0: test \"the test\" expected allow, break_glass [a, b], got "
                "allow by [ok], break_glass []"},
        Mistake{"right_effect_by_nobody",
                test_of("action: permanentDelete", "effect: deny, by: [ok]"),
                "rules.yaml:6: /tests/0: test \"the test\" expected deny by [ok], got deny by []"},
        Mistake{
            "no_such_action", test_of("action: destroy", "effect: deny"),
            "rules.yaml:7: /tests/0/given/action: \"destroy\" is not an action (permanentDelete, "
            "recall, hardDelete, remediate, purgeData)"},
        Mistake{
            "no_such_resource",
            "rules: []\ntests:\n  - name: n\n    given: { action: recall, resource: foo }\n"
            "    expect: { effect: deny }\n",
            "rules.yaml:6: /tests/0/given/resource: \"foo\" is not a type that can be destroyed "
            "or recalled, such as message or event"},
        Mistake{
            "no_such_call",
            "rules: []\ntests:\n  - name: n\n    given: { action: delete, resource: messages }\n"
            "    expect: { effect: deny }\n",
            "rules.yaml:6: /tests/0/given/action: \"delete\" is not an action (permanentDelete, "
            "recall, hardDelete, remediate, purgeData)\nrules.yaml:6: /tests/0/given/resource: "
            "\"messages\" is not a type that can be destroyed or recalled, such as message or "
            "event"},
        Mistake{"no_action", test_of("folder: inbox", "effect: deny"),
                "rules.yaml:7: /tests/0/given: missing key action"},
        Mistake{"bad_time", test_of("action: recall, at: noon", "effect: allow"),
                "rules.yaml:7: /tests/0/given/at: \"noon\" is not a time such as "
                "2026-10-05T10:00:00+02:00"},
        Mistake{"bad_address", test_of("action: recall, source_ip: home", "effect: allow"),
                "rules.yaml:7: /tests/0/given/source_ip: \"home\" is not an IP address"},
        Mistake{"unknown_list", test_of("action: recall, stale_lists: [x]", "effect: allow"),
                "rules.yaml:7: /tests/0/given/stale_lists/0: unknown list \"x\""},
        Mistake{"unknown_given", test_of("action: recall, colour: red", "effect: allow"),
                "rules.yaml:7: /tests/0/given/colour: unknown key \"colour\""}),
    mistake_name);

TEST(LoadRules, DomainsThatNothingCanMatchAreRefused) {
  const RuleFiles files;
  const auto problem = [&](const std::string& members) {
    return files.problem(kRulesHead + rule("when: { " + members + " }"));
  };
  for (const std::string domain :
       {".", ".y", "y.", "x..y", "x.y.", "a@x.y", "@", " ", "x y", " x.y", "x.y ", "x.y\\n",
        "x\\t.y", "*.x.y", "x.y\\u00A0", "x,y", "x.y;", "x/y"}) {
    EXPECT_THAT(problem("mailbox: { domain: \"" + domain + "\" }"),
                testing::HasSubstr("/mailbox/domain: \""))
        << domain;
    if (domain.find_first_of(" \\") == std::string::npos) {
      EXPECT_THAT(problem("sender: \"a@" + domain + "\""),
                  testing::HasSubstr("is neither a mail address nor"))
          << domain;
    }
  }
  for (const std::string domain :
       {"x.y", "X-1.Contoso.com", "xn--bcher-kva.example", "b\xC3\xBC.de", "my_x.y", "localhost"}) {
    EXPECT_EQ(problem("mailbox: { domain: \"" + domain + "\" }, sender: \"a@" + domain + "\""),
              "none");
  }
}

TEST(LoadRules, AMissingFileIsNotFound) {
  const RuleFiles files;
  const Result<RuleSet> rules = load_rules(files.path("gone.yaml"), at("2026-10-05T08:00:00Z"));
  ASSERT_FALSE(rules.ok());
  EXPECT_EQ(rules.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rules.error().message, files.path("gone.yaml") + ": No such file or directory");
}

TEST(LoadRules, GivenFactsDecideTestsAndAllOthersAreUnknown) {
  const RuleFiles files;
  files.write("hold.csv", "held@contoso.com\n");
  files.set_modified("hold.csv", at("2026-01-01T00:00:00Z"));
  const Result<RuleSet> rules = files.load(R"(schema: 1
revision: "7"
default: deny
lists: { hold: { file: hold.csv, max_age: 1h } }
rules:
  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }
  - id: night
    effect: require_approval
    when: { time: { from: "22:00", to: "06:00" }, actor: { group: 3f2c0a52-0000-4000-8000-000000000001 } }
  - { id: own, effect: allow, when: { mailbox: { own: true }, actor: { role: R } } }
tests:
  - name: everything given, and lists count as fresh
    given: { action: recall, resource: message, mailbox: a@b.c, own_mailbox: true, actor: { group: [], role: R }, at: "2026-10-05T10:00:00Z" }
    expect: { effect: allow, by: [own] }
  - name: no time
    given: { action: recall, resource: message, mailbox: a@b.c, own_mailbox: true, actor: { group: 3f2c0a52-0000-4000-8000-000000000001, role: [R] } }
    expect: { effect: require_approval }
  - name: unknown in words
    given: { action: recall, resource: message, mailbox: unknown, own_mailbox: unknown }
    expect: { effect: deny, by: [hold] }
  - name: stale where a test says so
    given: { action: recall, resource: message, mailbox: a@b.c, stale_lists: [hold] }
    expect: { effect: deny, by: [hold] }
  - name: an app is not a user
    given: { action: recall, resource: message, mailbox: a@b.c, actor: { app: x, group: [] }, at: "2026-10-05T10:00:00Z" }
    expect: { effect: deny, by: [] }
)");
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->revision(), "7");
  EXPECT_EQ(rules->data().tests, 5U);
}

TEST(LoadRules, GivenActionsAndResourcesAreNamedInAnyCaseOrUnknown) {
  const RuleFiles files;
  const Result<RuleSet> rules = files.load(R"(schema: 1
revision: "1"
rules:
  - { id: purge, effect: deny, when: { action: purgeData, resource: ediscoverySearch } }
  - { id: rest, effect: allow }
tests:
  - name: in any case
    given: { action: PURGEDATA, resource: EdiscoverySearch }
    expect: { effect: deny, by: [purge] }
  - name: unknown
    given: { action: unknown, resource: unknown }
    expect: { effect: deny, by: [purge] }
  - name: another
    given: { action: hardDelete, resource: unknown }
    expect: { effect: allow, by: [rest] }
)");
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->data().tests, 3U);
}

TEST(LoadRules, GivenMailboxesAreNamedInAnyForm) {
  const RuleFiles files;
  const Result<RuleSet> rules = files.load(R"(schema: 1
revision: "1"
rules:
  - { id: hold, effect: deny, when: { mailbox: ade1e000-0000-4000-8000-00000000000b } }
  - { id: reach, effect: deny, when: { affected_mailboxes: { any_in: [held@contoso.com] } } }
  - { id: rest, effect: allow }
tests:
  - name: the id with its tenant
    given: { action: permanentDelete, resource: message, mailbox: ADE1E000-0000-4000-8000-00000000000B@d3b07384-0000-4000-8000-000000000005 }
    expect: { effect: deny, by: [hold] }
  - name: a proxy address among others
    given: { action: recall, resource: message, mailbox: a@b.c, affected_mailboxes: [a@b.c, [x@b.c, SMTP:Held@contoso.com]] }
    expect: { effect: deny, by: [reach] }
  - name: a proxy address
    given: { action: recall, resource: message, mailbox: a@b.c, affected_mailboxes: [SMTP:Held@contoso.com] }
    expect: { effect: deny, by: [reach] }
)");
  EXPECT_TRUE(rules.ok()) << rules.error().message;
}

TEST(LoadRules, AffectedMailboxesAreTheMailboxButForARecall) {
  const RuleFiles files;
  const Result<RuleSet> rules = files.load(R"(schema: 1
revision: "1"
rules:
  - { id: hold, effect: deny, when: { affected_mailboxes: { any_in: [held@contoso.com] } } }
  - { id: rest, effect: allow }
tests:
  - name: a purge reaches the mailbox alone
    given: { action: permanentDelete, resource: message, mailbox: a@b.c }
    expect: { effect: allow }
  - name: a recall reaches somebody who is not known
    given: { action: recall, resource: message, mailbox: a@b.c }
    expect: { effect: deny }
  - name: all of them known
    given: { action: recall, resource: message, affected_mailboxes: [a@b.c, [x@b.c, y@b.c]] }
    expect: { effect: allow }
  - name: one of them held
    given: { action: recall, resource: message, affected_mailboxes: [a@b.c, [x@b.c, held@contoso.com]] }
    expect: { effect: deny }
  - name: one of them unknown
    given: { action: recall, resource: message, affected_mailboxes: [a@b.c, unknown] }
    expect: { effect: deny }
)");
  EXPECT_TRUE(rules.ok()) << rules.error().message;
}

// No token and no look-up tells of them, whatever a file's tests give.
TEST(LoadRules, ConditionsOnGroupsAreToldWithWhatComesOfThem) {
  const RuleFiles files;
  const std::string group = "actor: { group: 3f2c0a52-0000-4000-8000-000000000001 }";
  const auto lines = [&](const std::string& members) {
    const Result<RuleSet> rules =
        files.load(std::string(kRulesHead) + "rules:\n  - { id: r, " + members + " }\n");
    return rules.ok() ? conditions_nobody_meets(*rules)
                      : std::vector<std::string>{rules.error().message};
  };
  const std::string unknown = "actor.group is unknown in calls: rule r ";
  using testing::ElementsAre;
  for (const char* opening :
       {"effect: allow", "effect: break_glass", "effect: allow, mode: monitor"}) {
    EXPECT_THAT(lines(opening + (", when: { action: recall, " + group + " }")),
                ElementsAre(unknown + "never opens anything"));
    EXPECT_THAT(lines(opening + (", unless: { " + group + " }")),
                ElementsAre(unknown + "never opens anything"));
    EXPECT_THAT(lines(opening + (", unless: { action: recall, " + group + " }")),
                ElementsAre(unknown + "never opens what the rest of its unless may hold for"));
  }
  for (const char* restricting : {"effect: deny", "effect: require_approval"}) {
    EXPECT_THAT(lines(restricting + (", when: { " + group + " }, unless: { " + group + " }")),
                ElementsAre(unknown + "restricts whoever calls, in that group or not",
                            unknown + "exempts nobody"));
  }
  EXPECT_THAT(lines("effect: allow, when: { actor: { role: R, kind: user } }"), testing::IsEmpty());
}

TEST(LoadRules, TheHashCoversTheFileAndItsLists) {
  const RuleFiles files;
  const std::string plain = std::string(kRulesHead) + kNoRules;
  EXPECT_EQ(files.load(plain)->sha256(), to_hex(sha256(plain)));

  files.write("b.csv", "b@contoso.com\n");
  files.write("a.csv", "a@contoso.com\n");
  const std::string text = plain + "lists: { b: { file: a.csv }, a: { file: b.csv } }\n";
  const std::string expected =
      to_hex(sha256(to_hex(sha256(text)) + "\n" + to_hex(sha256("b@contoso.com\n")) + "\n" +
                    to_hex(sha256("a@contoso.com\n")) + "\n"));
  EXPECT_EQ(files.load(text)->sha256(), expected);
  files.write("a.csv", "a@contoso.com\nc@contoso.com\n");
  EXPECT_NE(files.load(text)->sha256(), expected);
}

}  // namespace
}  // namespace holdfast::approval
