#include "approval/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "approval/evaluate.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;

constexpr const char* kAdele = "11111111-0000-4000-8000-000000000001";
constexpr const char* kBot = "6a1e55aa-0000-4000-8000-000000000004";
constexpr const char* kGroup = "3f2c0a52-0000-4000-8000-000000000001";

constexpr std::string_view kHead = R"(schema: 1
revision: "test"
timezone: Europe/Berlin
lists:
  hold: { values: [held@contoso.com, 22222222-0000-4000-8000-000000000002] }
  folders: { values: [AAMkAGI2, inbox] }
  networks: { values: [10.0.0.0/8] }
  apps: { values: [6a1e55aa-0000-4000-8000-000000000004] }
calendars:
  office: { days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00" }
  night: { days: [fri], from: "22:00", to: "06:00" }
  new-york: { from: "09:00", to: "17:00", timezone: America/New_York }
rules:
)";

// A user permanently deletes one of their own messages, everything about it known.
Facts plain_facts() {
  Facts facts;
  facts.action = "permanentDelete";
  facts.resource = "message";
  facts.actor_kind = ActorKind::kUser;
  facts.user = kAdele;
  facts.app = kBot;
  facts.groups = std::vector<std::string>{kGroup};
  facts.roles = std::vector<std::string>{"Mail.ReadWrite"};
  facts.mailbox = MailboxNames{{kAdele, "adele@contoso.com"}};
  facts.own_mailbox = true;
  facts.folder = "inbox";
  facts.source_ip = "10.1.2.3";
  facts.affected = affected_by_path(facts);
  facts.item = {.message_age = std::chrono::hours(2),
                .sender = std::vector<std::string>{"Boss@contoso.com"},
                .recipients = std::vector<std::string>{"adele@contoso.com", "x@fabrikam.com"},
                .categories = std::vector<std::string>{"Red category"},
                .size_bytes = 1000};
  facts.now = at("2026-10-05T08:00:00Z");  // Monday, ten o'clock in Berlin.
  return facts;
}

struct Case {
  const char* name;
  const char* when;                    // The condition map of one rule.
  std::function<void(Facts&)> change;  // Of plain_facts().
  Truth truth;
  const char* unknown = "";  // Facts that hung in the air, joined by commas.
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

class Conditions : public testing::TestWithParam<Case> {
 protected:
  static RuleSet rules(const std::string& effect, const std::string& key) {
    const RuleFiles files;
    std::string text = std::string(kHead) + "  - { id: r, effect: " + effect + ", " + key + ": " +
                       GetParam().when + " }\n";
    const Result<RuleSet> loaded = files.load(text);
    if (!loaded.ok()) throw std::runtime_error(loaded.error().message);
    return *loaded;
  }
};

// The three values as the effects show them: allow rules match on true only, deny rules on unknown
// too, and an exemption needs true for deny, and stands in the way of allow unless it is false.
TEST_P(Conditions, ShowInEveryEffect) {
  const Case& c = GetParam();
  Facts facts = plain_facts();
  if (c.change) c.change(facts);
  const bool is_true = c.truth == Truth::kTrue;
  const bool is_false = c.truth == Truth::kFalse;
  EXPECT_EQ(decide(rules("allow", "when"), facts).matched.size(), is_true ? 1U : 0U);
  EXPECT_EQ(decide(rules("allow", "unless"), facts).matched.size(), is_false ? 1U : 0U);
  EXPECT_EQ(decide(rules("deny", "unless"), facts).matched.size(), is_true ? 0U : 1U);
  EXPECT_EQ(decide(rules("require_approval", "when"), facts).matched.size(), is_false ? 0U : 1U);
  const Decision denied = decide(rules("deny", "when"), facts);
  ASSERT_EQ(denied.matched.size(), is_false ? 0U : 1U);
  if (is_false) return;
  std::string unknown;
  for (const std::string& fact : denied.matched[0].unknown_facts) {
    unknown += (unknown.empty() ? "" : ",") + fact;
  }
  EXPECT_EQ(unknown, c.unknown);
}

constexpr auto kTrue = Truth::kTrue;
constexpr auto kFalse = Truth::kFalse;
constexpr auto kUnknown = Truth::kUnknown;

void no_mailbox(Facts& f) {
  f.mailbox.reset();
}
void no_folder(Facts& f) {
  f.folder.reset();
}
void app_only(Facts& f) {
  f.actor_kind = ActorKind::kApp;
  f.user.reset();
  f.own_mailbox.reset();
}
void no_actor(Facts& f) {
  f.actor_kind = ActorKind::kUnknown;
  f.user.reset();
  f.app.reset();
}
auto mailbox(std::vector<std::string> names) {
  return [names](Facts& f) { f.mailbox = MailboxNames{names}; };
}
auto folder(std::string name) {
  return [name](Facts& f) { f.folder = name; };
}
auto ip(std::string address) {
  return [address](Facts& f) { f.source_ip = address; };
}
auto now(std::string_view time) {
  return [time](Facts& f) { f.now = at(time); };
}

INSTANTIATE_TEST_SUITE_P(
    Actor, Conditions,
    testing::Values(
        Case{"user", "{actor: {user: 11111111-0000-4000-8000-000000000001}}", {}, kTrue},
        Case{"user_in_capitals", "{actor: {user: 6A1E55AA-0000-4000-8000-000000000004}}",
             [](Facts& f) { f.user = kBot; }, kTrue},
        Case{"another_user", "{actor: {user: 11111111-0000-4000-8000-000000000009}}", {}, kFalse},
        Case{"unknown_user", "{actor: {user: 11111111-0000-4000-8000-000000000001}}", no_actor,
             kUnknown, "actor.user"},
        Case{"an_app_is_no_user", "{actor: {user: 11111111-0000-4000-8000-000000000001}}", app_only,
             kFalse},
        Case{"a_user_of_unknown_kind", "{actor: {user: 11111111-0000-4000-8000-000000000001}}",
             [](Facts& f) { f.actor_kind = ActorKind::kUnknown; }, kUnknown, "actor.user"},
        Case{"app", "{actor: {app: 6a1e55aa-0000-4000-8000-000000000004}}", {}, kTrue},
        Case{"app_in_list", "{actor: {app: {in: apps}}}", {}, kTrue},
        Case{"app_empty", "{actor: {app: {in: apps}}}", [](Facts& f) { f.app = ""; }, kUnknown,
             "actor.app"},
        Case{"group", "{actor: {group: 3f2c0a52-0000-4000-8000-000000000001}}", {}, kTrue},
        Case{"in_no_group", "{actor: {group: 3f2c0a52-0000-4000-8000-000000000001}}",
             [](Facts& f) { f.groups = std::vector<std::string>{}; }, kFalse},
        Case{"unknown_groups", "{actor: {group: 3f2c0a52-0000-4000-8000-000000000001}}",
             [](Facts& f) { f.groups.reset(); }, kUnknown, "actor.group"},
        Case{"role", "{actor: {role: mail.readwrite}}", {}, kTrue},
        Case{"unknown_roles", "{actor: {role: x}}", [](Facts& f) { f.roles.reset(); }, kUnknown,
             "actor.role"},
        Case{"kind", "{actor: {kind: user}}", {}, kTrue},
        Case{"other_kind", "{actor: {kind: [app]}}", {}, kFalse},
        Case{"unknown_kind", "{actor: {kind: app}}", no_actor, kUnknown, "actor.kind"},
        Case{"all_given_must_hold",
             "{actor: {user: 11111111-0000-4000-8000-000000000001, kind: app}}",
             {},
             kFalse},
        Case{"false_beats_unknown", "{actor: {kind: app}, folder: drafts}",
             [](Facts& f) { f.actor_kind = ActorKind::kUnknown; }, kFalse},
        Case{"unknown_beats_true", "{actor: {kind: user}, folder: inbox}",
             [](Facts& f) {
               f.folder.reset();
               f.actor_kind = ActorKind::kUnknown;
             },
             kUnknown, "actor.kind,folder"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Operation, Conditions,
    testing::Values(Case{"action", "{action: permanentDelete}", {}, kTrue},
                    Case{"action_in_any_case", "{action: PERMANENTDELETE}", {}, kTrue},
                    Case{"another_action", "{action: recall}", {}, kFalse},
                    Case{"one_of_actions", "{action: [recall, permanentDelete]}", {}, kTrue},
                    Case{"in_array", "{action: {in: [recall, hardDelete]}}", {}, kFalse},
                    Case{"action_empty", "{action: recall}", [](Facts& f) { f.action = ""; },
                         kUnknown, "action"},
                    Case{"resource", "{resource: {in: [message]}}", {}, kTrue},
                    Case{"another_resource", "{resource: event}", {}, kFalse},
                    Case{"resource_empty", "{resource: event}", [](Facts& f) { f.resource = ""; },
                         kUnknown, "resource"},
                    Case{
                        "all_must_hold", "{action: permanentDelete, resource: event}", {}, kFalse}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Mailbox, Conditions,
    testing::Values(
        Case{"literal", "{mailbox: Adele@contoso.com}", {}, kTrue},
        Case{"literal_array", "{mailbox: [x@contoso.com, adele@contoso.com]}", {}, kTrue},
        Case{"not_in_list", "{mailbox: {in: hold}}", {}, kFalse},
        Case{"in_list_by_address", "{mailbox: {in: hold}}", mailbox({"id", "HELD@contoso.com"}),
             kTrue},
        Case{"in_list_by_id", "{mailbox: {in: hold}}",
             mailbox({"22222222-0000-4000-8000-000000000002"}), kTrue},
        Case{"no_mailbox", "{mailbox: {in: hold}}", no_mailbox, kUnknown, "mailbox"},
        Case{"no_names", "{mailbox: {in: hold}}", mailbox({}), kUnknown, "mailbox"},
        Case{"domain", "{mailbox: {domain: Contoso.com}}", {}, kTrue},
        Case{"another_domain", "{mailbox: {domain: [fabrikam.com]}}", {}, kFalse},
        Case{"subdomain_is_another", "{mailbox: {domain: contoso.com}}",
             mailbox({"a@mail.contoso.com"}), kFalse},
        Case{"lookalike_domain", "{mailbox: {domain: contoso.com}}", mailbox({"a@evilcontoso.com"}),
             kFalse},
        Case{"id_has_no_domain", "{mailbox: {domain: contoso.com}}", mailbox({kAdele}), kUnknown,
             "mailbox"},
        Case{"domain_unknown", "{mailbox: {domain: contoso.com}}", no_mailbox, kUnknown, "mailbox"},
        Case{"own", "{mailbox: {own: true}}", {}, kTrue},
        Case{"not_own", "{mailbox: {own: false}}", {}, kFalse},
        Case{"own_unknown", "{mailbox: {own: true}}", [](Facts& f) { f.own_mailbox.reset(); },
             kUnknown, "own_mailbox"},
        Case{"own_of_unknown_kind", "{mailbox: {own: true}}",
             [](Facts& f) { f.actor_kind = ActorKind::kUnknown; }, kUnknown, "own_mailbox"},
        Case{"an_app_owns_none", "{mailbox: {own: true}}", app_only, kFalse},
        Case{"own_and_domain", "{mailbox: {own: true, domain: fabrikam.com}}", {}, kFalse}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Folder, Conditions,
    testing::Values(
        Case{"same", "{folder: inbox}", {}, kTrue},
        Case{"well_known_in_any_case", "{folder: Inbox}", folder("INBOX"), kTrue},
        Case{"two_well_known", "{folder: drafts}", {}, kFalse},
        Case{"id_and_well_known", "{folder: AAMkAGI2}", {}, kUnknown, "folder"},
        Case{"same_id", "{folder: AAMkAGI2}", folder("AAMkAGI2"), kTrue},
        Case{"ids_keep_their_case", "{folder: AAMkAGI2}", folder("AAMKAGI2"), kUnknown, "folder"},
        Case{"another_id", "{folder: AAMkAGI2}", folder("AAMkAGI3"), kUnknown, "folder"},
        Case{"in_list", "{folder: {in: folders}}", folder("AAMkAGI2"), kTrue},
        Case{"list_in_any_case", "{folder: {in: folders}}", folder("Inbox"), kTrue},
        Case{"perhaps_in_list", "{folder: {in: folders}}", folder("drafts"), kUnknown, "folder"},
        Case{"none", "{folder: inbox}", no_folder, kUnknown, "folder"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    SourceIp, Conditions,
    testing::Values(Case{"inside", "{source_ip: 10.0.0.0/8}", {}, kTrue},
                    Case{"outside", "{source_ip: [192.168.0.0/16, 172.16.0.0/12]}", {}, kFalse},
                    Case{"mapped", "{source_ip: 10.0.0.0/8}", ip("::ffff:10.1.2.3"), kTrue},
                    Case{"ipv6", "{source_ip: '2001:db8::/32'}", ip("2001:db8::7"), kTrue},
                    Case{"ipv6_is_not_ipv4", "{source_ip: '::/0'}", {}, kFalse},
                    Case{"list", "{source_ip: {in: networks}}", {}, kTrue},
                    Case{"not_in_list", "{source_ip: {in: networks}}", ip("11.0.0.1"), kFalse},
                    Case{"garbage", "{source_ip: {in: networks}}", ip("10.1.2.3.4"), kUnknown,
                         "source_ip"},
                    Case{"none", "{source_ip: 10.0.0.0/8}", [](Facts& f) { f.source_ip.reset(); },
                         kUnknown, "source_ip"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Time, Conditions,
    testing::Values(
        Case{"in_office_hours", "{time: {during: office}}", {}, kTrue},
        Case{"first_minute_in", "{time: {during: office}}", now("2026-10-05T06:00:00Z"), kTrue},
        Case{"last_moment", "{time: {during: office}}", now("2026-10-05T15:59:59.999999Z"), kTrue},
        Case{"to_is_out", "{time: {during: office}}", now("2026-10-05T16:00:00Z"), kFalse},
        Case{"sunday", "{time: {during: office}}", now("2026-10-04T08:00:00Z"), kFalse},
        Case{"summer_seven_utc_is_nine", "{time: {from: '09:00', to: '10:00'}}",
             now("2026-10-24T07:30:00Z"), kTrue},
        Case{"winter_seven_utc_is_eight", "{time: {from: '09:00', to: '10:00'}}",
             now("2026-10-26T07:30:00Z"), kFalse},
        Case{"repeated_hour_twice", "{time: {from: '02:00', to: '03:00'}}",
             now("2026-10-25T01:30:00Z"), kTrue},
        Case{"skipped_hour_is_never", "{time: {from: '02:00', to: '03:00'}}",
             now("2026-03-29T01:00:00Z"), kFalse},
        Case{"overnight_evening", "{time: {during: night}}", now("2026-10-09T21:00:00Z"), kTrue},
        Case{"overnight_morning_after", "{time: {during: night}}", now("2026-10-10T03:59:00Z"),
             kTrue},
        Case{"overnight_ends", "{time: {during: night}}", now("2026-10-10T04:00:00Z"), kFalse},
        Case{"overnight_belongs_to_its_start", "{time: {during: night}}",
             now("2026-10-09T03:00:00Z"), kFalse},
        Case{"own_zone", "{time: {during: new-york}}", now("2026-10-05T20:30:00Z"), kTrue},
        Case{"one_of_calendars", "{time: {during: [night, office]}}", {}, kTrue},
        Case{"days_only", "{time: {days: [sat, sun]}}", {}, kFalse},
        Case{"until_midnight", "{time: {from: '22:00', to: '24:00'}}", now("2026-10-05T21:59:00Z"),
             kTrue},
        Case{"no_time", "{time: {during: office}}", [](Facts& f) { f.now = WallTime{}; }, kUnknown,
             "time"}),
    case_name);

auto affected(std::vector<MailboxNames> known, bool complete) {
  return [known, complete](Facts& f) { f.affected = {known, complete}; };
}
void no_item(Facts& f) {
  f.item = {};
}

INSTANTIATE_TEST_SUITE_P(
    Affected, Conditions,
    testing::Values(
        Case{"nobody_listed", "{affected_mailboxes: {any_in: hold}}", {}, kFalse},
        Case{"one_listed", "{affected_mailboxes: {any_in: hold}}",
             affected({{{"a@contoso.com"}}, {{"b@contoso.com", "HELD@contoso.com"}}}, true), kTrue},
        Case{"one_listed_others_unknown", "{affected_mailboxes: {any_in: hold}}",
             affected({{{"held@contoso.com"}}}, false), kTrue},
        Case{"others_unknown", "{affected_mailboxes: {any_in: hold}}",
             affected({{{"a@contoso.com"}}}, false), kUnknown, "affected_mailboxes"},
        Case{"one_without_a_name", "{affected_mailboxes: {any_in: hold}}",
             affected({{{"a@contoso.com"}}, {{}}}, true), kUnknown, "affected_mailboxes"},
        Case{"nobody_known", "{affected_mailboxes: {any_in: [a@contoso.com]}}", affected({}, false),
             kUnknown, "affected_mailboxes"},
        Case{"literal", "{affected_mailboxes: {any_in: [SMTP:a@contoso.com]}}",
             affected({{{"a@contoso.com"}}}, true), kTrue}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Item, Conditions,
    testing::Values(
        Case{"as_old_as_allowed", "{message_age: {max: 2h}}", {}, kTrue},
        Case{"too_old", "{message_age: {max: 119m}}", {}, kFalse},
        Case{"old_enough", "{message_age: {min: 2h, max: 1d}}", {}, kTrue},
        Case{"not_old_enough", "{message_age: {min: 7201s}}", {}, kFalse},
        Case{"age_unknown", "{message_age: {max: 2h}}", no_item, kUnknown, "message_age"},
        Case{"sender", "{sender: boss@contoso.com}", {}, kTrue},
        Case{"another_sender", "{sender: {in: hold}}", {}, kFalse},
        Case{"sender_unknown", "{sender: {in: hold}}", no_item, kUnknown, "sender"},
        Case{"recipient", "{recipients: {any_in: [x@fabrikam.com]}}", {}, kTrue},
        Case{"no_such_recipient", "{recipients: {any_in: hold}}", {}, kFalse},
        Case{"recipients_unknown", "{recipients: {any_in: hold}}", no_item, kUnknown, "recipients"},
        Case{"category", "{categories: {any_in: [red category]}}", {}, kTrue},
        Case{"no_category", "{categories: {any_in: [x]}}",
             [](Facts& f) { f.item.categories = std::vector<std::string>{}; }, kFalse},
        Case{"categories_unknown", "{categories: {any_in: [x]}}", no_item, kUnknown, "categories"},
        Case{"size", "{size: {min: 1000, max: 1000}}", {}, kTrue},
        Case{"too_large", "{size: {max: 999}}", {}, kFalse},
        Case{"size_unknown", "{size: {max: 999}}", no_item, kUnknown, "size"}),
    case_name);

RuleSet load(const std::string& rules) {
  const RuleFiles files;
  return files.load(std::string(kHead) + rules).value();
}

std::vector<std::string> ids(const std::vector<RuleMatch>& matches) {
  std::vector<std::string> result;
  for (const RuleMatch& match : matches) result.push_back(match.id);
  return result;
}

TEST(Decide, NothingMatchesIsDeniedByDefault) {
  const Decision decision =
      decide(load("  - { id: a, effect: allow, when: {action: recall} }\n"), plain_facts());
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_TRUE(decision.by.empty());
}

TEST(Decide, DenyBeatsApprovalBeatsAllow) {
  const std::string allow = "  - { id: c, effect: allow }\n";
  const std::string approval = "  - { id: b, effect: require_approval }\n";
  const std::string deny = "  - { id: a, effect: deny }\n  - { id: a2, effect: deny }\n";
  EXPECT_EQ(decide(load(allow), plain_facts()).effect, Effect::kAllow);
  EXPECT_EQ(decide(load(allow + approval), plain_facts()).effect, Effect::kRequireApproval);
  const Decision decision = decide(load(allow + approval + deny), plain_facts());
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_THAT(ids(decision.by), testing::ElementsAre("a", "a2"));
  EXPECT_THAT(ids(decision.matched), testing::ElementsAre("a", "a2", "b", "c"));
}

TEST(Decide, AnApprovalRuleInDoubtAsksWhetherOthersAllowOrNot) {
  const std::string doubtful =
      "  - { id: b, effect: require_approval, when: {mailbox: {in: hold}} }\n";
  Facts facts = plain_facts();
  facts.mailbox.reset();
  const Decision alone = decide(load(doubtful), facts);
  EXPECT_EQ(alone.effect, Effect::kRequireApproval);
  ASSERT_THAT(ids(alone.by), testing::ElementsAre("b"));
  EXPECT_THAT(alone.by[0].unknown_facts, testing::ElementsAre("mailbox"));
  EXPECT_EQ(alone.approve.stages.size(), 1U) << "somebody";
  EXPECT_EQ(decide(load(doubtful + "  - { id: c, effect: allow }\n"), facts).effect,
            Effect::kRequireApproval);
  EXPECT_EQ(decide(load(doubtful + "  - { id: d, effect: deny }\n"), facts).effect, Effect::kDeny);
  EXPECT_EQ(decide(load(doubtful), plain_facts()).effect, Effect::kDeny) << "no doubt";
}

TEST(Decide, WhatTheAnswerHangsOnIsNamedWhetherTheRuleMatchedOrNot) {
  using testing::ElementsAre;
  using testing::IsEmpty;
  const std::string in_hold = "when: { mailbox: { in: hold } } }\n";
  Facts facts = plain_facts();
  facts.mailbox.reset();
  const Decision denied = decide(
      load("  - { id: a, effect: allow, " + in_hold + "  - { id: b, effect: allow, when: { " +
           "folder: drafts, mailbox: { own: true } } }\n"),
      facts);
  EXPECT_EQ(denied.effect, Effect::kDeny);
  EXPECT_THAT(denied.by, IsEmpty());
  EXPECT_THAT(denied.in_doubt, ElementsAre("mailbox"));
  const std::string open = "  - { id: c, effect: allow }\n";
  const Decision allowed = decide(load(open + "  - { id: d, effect: allow, " + in_hold), facts);
  EXPECT_EQ(allowed.effect, Effect::kAllow);
  EXPECT_THAT(allowed.in_doubt, ElementsAre("mailbox"));
  // Neither decides anything.
  EXPECT_THAT(decide(load(open + "  - { id: g, effect: break_glass, " + in_hold +
                          "  - { id: m, effect: deny, mode: monitor, " + in_hold),
                     facts)
                  .in_doubt,
              IsEmpty());
}

TEST(Decide, WhatIsAskedForBeyondDoubtIsToldApart) {
  const RuleSet rules = load(
      "  - { id: a, effect: require_approval, approve: { decide_within: 24h },\n"
      "      require: { justification: 3 } }\n"
      "  - { id: b, effect: require_approval, when: { mailbox: { in: hold } },\n"
      "      approve: { decide_within: 1h }, require: { justification: 9, ticket: T } }\n");
  Facts facts = plain_facts();
  facts.mailbox.reset();
  const Decision decision = decide(rules, facts);
  EXPECT_EQ(decision.approve.decide_within, std::chrono::hours(1));
  EXPECT_EQ(decision.plain_approve.decide_within, std::chrono::hours(24));
  EXPECT_EQ(decision.plain_approve.stages.size(), 1U);
  EXPECT_EQ(decision.require.justification_min, 9U);
  EXPECT_EQ(decision.plain_require.justification_min, 3U);
  EXPECT_THAT(decision.plain_require.ticket_patterns, testing::IsEmpty());
  facts.mailbox = MailboxNames{{"held@contoso.com"}};
  EXPECT_EQ(decide(rules, facts).plain_approve.decide_within, std::chrono::hours(1));

  const Decision allowed = decide(
      load("  - { id: c, effect: allow, limit: { count: 1, per: 1h, over: require_approval } }\n"),
      facts);
  EXPECT_TRUE(allowed.plain_approve.stages.empty());
  EXPECT_EQ(over_limit(allowed, allowed.limits[0]).plain_approve.stages.size(), 1U);
}

TEST(Decide, MonitorIsReportedAndChangesNothing) {
  const Decision decision = decide(load("  - { id: m, effect: deny, mode: monitor }\n"
                                        "  - { id: c, effect: allow }\n"),
                                   plain_facts());
  EXPECT_EQ(decision.effect, Effect::kAllow);
  EXPECT_THAT(ids(decision.matched), testing::ElementsAre("c"));
  EXPECT_THAT(ids(decision.monitored), testing::ElementsAre("m"));
}

// Days are those of the file's zone, and the last one counts whole.
TEST(Decide, ARuleOutOfItsTimeDoesNotMatch) {
  const RuleSet rules = load(
      "  - { id: r, effect: allow, valid_from: 2026-10-05, valid_to: 2026-10-05 }\n"
      "  - { id: d, effect: deny, valid_from: '2026-10-05T12:00:00Z' }\n");
  const auto effect_at = [&](std::string_view time) {
    Facts facts = plain_facts();
    facts.now = time.empty() ? WallTime{} : at(time);
    const Decision decision = decide(rules, facts);
    return std::string(to_string(decision.effect)) + (decision.by.empty() ? " by default" : "");
  };
  EXPECT_EQ(effect_at("2026-10-04T21:59:59Z"), "deny by default");
  EXPECT_EQ(effect_at("2026-10-04T22:00:00Z"), "allow");
  EXPECT_EQ(effect_at("2026-10-05T11:59:59Z"), "allow");
  EXPECT_EQ(effect_at("2026-10-05T12:00:00Z"), "deny");
  EXPECT_EQ(effect_at(""), "deny");
  const RuleSet last_day = load("  - { id: r, effect: allow, valid_to: 2026-10-05 }\n");
  Facts facts = plain_facts();
  facts.now = at("2026-10-05T21:59:59Z");
  EXPECT_EQ(decide(last_day, facts).effect, Effect::kAllow);
  facts.now = at("2026-10-05T22:00:00Z");
  EXPECT_EQ(decide(last_day, facts).effect, Effect::kDeny);
}

std::vector<std::string> limits(const Decision& decision) {
  std::vector<std::string> result;
  for (const TakenLimit& taken : decision.limits) result.push_back(taken.rule.id);
  return result;
}

// Limits add up, whichever rule would allow the call without one.
TEST(Decide, LimitsOfAllMatchingRulesAreTaken) {
  using testing::ElementsAre;
  using testing::IsEmpty;
  const std::string allowing =
      "  - { id: b, effect: allow, limit: { count: 2, per: 1h } }\n"
      "  - { id: a, effect: allow, limit: { count: 1, per: 1d, over: require_approval },\n"
      "      approve: { use_within: 5m } }\n"
      "  - { id: c, effect: allow }\n"
      "  - { id: no, effect: allow, when: { action: recall }, limit: { count: 1, per: 1h } }\n";
  const Decision allowed = decide(load(allowing), plain_facts());
  EXPECT_EQ(allowed.effect, Effect::kAllow);
  EXPECT_THAT(limits(allowed), ElementsAre("a", "b"));

  // A rule that may not be about the call limits it all the same.
  const std::string in_doubt =
      "  - { id: x, effect: allow, when: { folder: AAMk }, limit: { count: 1, per: 1h } }\n"
      "  - { id: y, effect: allow }\n";
  EXPECT_THAT(limits(decide(load(in_doubt), plain_facts())), ElementsAre("x"));

  const Decision over = over_limit(allowed, allowed.limits[0]);
  EXPECT_EQ(over.effect, Effect::kRequireApproval);
  EXPECT_EQ(ids(over.by), std::vector<std::string>{"a"});
  EXPECT_THAT(limits(over), ElementsAre("b"));
  ASSERT_EQ(over.spent.size(), 1U);
  EXPECT_EQ(over.spent[0].rule.id, "a");
  EXPECT_TRUE(allowed.spent.empty());
  EXPECT_EQ(over.approve.use_within, std::chrono::minutes(5));
  EXPECT_EQ(over.approve.stages.size(), 1U);

  const std::string approval = allowing + "  - { id: x, effect: require_approval }\n";
  EXPECT_THAT(limits(decide(load(approval), plain_facts())), ElementsAre("b"));
  const std::string denial = approval + "  - { id: y, effect: deny }\n";
  EXPECT_THAT(limits(decide(load(denial), plain_facts())), IsEmpty());
  const std::string watched =
      "  - { id: z, effect: allow, mode: monitor, limit: { count: 1, per: 1h } }\n";
  EXPECT_THAT(limits(decide(load(watched), plain_facts())), IsEmpty());
}

// A break_glass rule decides nothing. It is a way past an approval, and past nothing else.
TEST(Decide, BreakingTheGlassOpensOnlyWhatNeedsApproval) {
  const std::string glass =
      "  - { id: b, effect: break_glass, review_within: 4h }\n"
      "  - { id: a, effect: break_glass, require: { justification: 20, ticket: INC } }\n"
      "  - { id: no, effect: break_glass, when: { action: recall } }\n"
      "  - { id: m, effect: break_glass, mode: monitor }\n";
  const std::string deny = "  - { id: d, effect: deny }\n";
  const std::string approval = "  - { id: r, effect: require_approval }\n";
  const std::string doubtful = "  - { id: u, effect: require_approval, when: { folder: AAMk } }\n";
  const std::string allow = "  - { id: c, effect: allow }\n";
  const std::vector<std::tuple<std::string, Effect, std::vector<std::string>>> cases = {
      {"", Effect::kDeny, {}},  // By default: nothing allows it, with an approval or without.
      {approval, Effect::kRequireApproval, {"a", "b"}},
      {doubtful, Effect::kRequireApproval, {}},  // For people to judge, and for nobody else.
      {allow, Effect::kAllow, {"a", "b"}},
      {allow + approval, Effect::kRequireApproval, {"a", "b"}},
      {allow + doubtful, Effect::kRequireApproval, {"a", "b"}},
      {approval + deny, Effect::kDeny, {}},
      {allow + deny, Effect::kDeny, {}}};
  for (const auto& [rules, effect, ways] : cases) {
    SCOPED_TRACE(rules);
    const Decision decision = decide(load(glass + rules), plain_facts());
    EXPECT_EQ(decision.effect, effect);
    std::vector<std::string> found;
    for (const BreakGlass& way : decision.break_glass) found.push_back(way.rule.id);
    EXPECT_EQ(found, ways);
    EXPECT_THAT(ids(decision.by), testing::Not(testing::Contains("a")));
    EXPECT_THAT(ids(decision.monitored), testing::ElementsAre("m"));
  }
  const Decision decision = decide(load(glass + approval), plain_facts());
  EXPECT_EQ(decision.break_glass[0].require.justification_min, 20U);
  EXPECT_EQ(decision.break_glass[0].require.ticket_patterns, std::vector<std::string>{"INC"});
  EXPECT_EQ(decision.break_glass[0].review_within, std::chrono::hours(24));
  EXPECT_EQ(decision.break_glass[1].require.justification_min, 1U) << "never without a reason";
  EXPECT_EQ(decision.break_glass[1].review_within, std::chrono::hours(4));
  EXPECT_EQ(decision.require.justification_min, 0U) << "of who asks for approval nothing is asked";
}

TEST(Decide, BreakingTheGlassTakesFactsThatAreKnown) {
  const RuleSet rules = load(
      "  - { id: r, effect: require_approval }\n"
      "  - { id: g, effect: break_glass, when: { folder: drafts },"
      " unless: { mailbox: { in: hold } } }\n");
  Facts facts = plain_facts();
  facts.folder = "drafts";
  EXPECT_EQ(decide(rules, facts).break_glass.size(), 1U);
  Facts no_folder = facts;
  no_folder.folder.reset();
  EXPECT_TRUE(decide(rules, no_folder).break_glass.empty());
  Facts no_mailbox = facts;
  no_mailbox.mailbox.reset();
  EXPECT_TRUE(decide(rules, no_mailbox).break_glass.empty());
}

TEST(Decide, BreakingTheGlassOpensWhatIsBeyondALimit) {
  const Decision allowed = decide(
      load("  - { id: a, effect: allow, limit: { count: 1, per: 1d, over: require_approval } }\n"
           "  - { id: g, effect: break_glass }\n"),
      plain_facts());
  const Decision over = over_limit(allowed, allowed.limits[0]);
  EXPECT_EQ(over.effect, Effect::kRequireApproval);
  EXPECT_EQ(over.break_glass.size(), 1U);
}

TEST(Decide, TheItemIsAskedAboutOnlyWhereARuleHangsOnIt) {
  const RuleSet rules = load(
      "  - { id: a, effect: allow, when: { action: permanentDelete, message_age: { min: 1h } } }\n"
      "  - { id: b, effect: deny, when: { action: recall, size: { min: 9 } } }\n"
      "  - { id: c, effect: deny, when: { affected_mailboxes: { any_in: hold } } }\n");
  Facts facts = plain_facts();
  EXPECT_TRUE(item_facts_in_doubt(rules, facts).empty());
  facts.item = {};
  EXPECT_THAT(item_facts_in_doubt(rules, facts), testing::ElementsAre("message_age"));
  facts.action = "recall";
  facts.affected = affected_by_path(facts);
  EXPECT_THAT(item_facts_in_doubt(rules, facts),
              testing::ElementsAre("affected_mailboxes", "size"));
  EXPECT_TRUE(item_facts_in_doubt(load("  - { id: a, effect: allow }\n"), facts).empty());
}

TEST(Decide, RequirementsOfAllApprovalRulesTogether) {
  const Decision decision = decide(
      load(
          "  - { id: a, effect: require_approval, require: {justification: 10, ticket: 'B.*'},\n"
          "      approve: {decide_within: 24h, use_within: 5m} }\n"
          "  - { id: b, effect: require_approval, require: {justification: 30, ticket: 'A.*'},\n"
          "      approve: {decide_within: 90m} }\n"
          "  - { id: c, effect: require_approval, require: {ticket: 'A.*'} }\n"
          "  - { id: d, effect: require_approval, when: {action: recall},\n"
          "      require: {justification: 99} }\n"
          "  - { id: e, effect: require_approval, mode: monitor, require: {justification: 98} }\n"),
      plain_facts());
  EXPECT_EQ(decision.require.justification_min, 30U);
  EXPECT_THAT(decision.require.ticket_patterns, testing::ElementsAre("A.*", "B.*"));
  EXPECT_EQ(decision.approve.decide_within, std::chrono::minutes(90));
  EXPECT_EQ(decision.approve.use_within, std::chrono::minutes(5));
}

TEST(Decide, OneGroupUnderTwoNamesIsAskedUnderBoth) {
  const RuleFiles files;
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: a\napprovers:\n"
                                "  c: { group: 3f2c0a52-0000-4000-8000-000000000001 }\n"
                                "  i: { group: 3f2c0a52-0000-4000-8000-000000000001 }\n"
                                "rules:\n"
                                "  - { id: a, effect: require_approval,"
                                " approve: { stages: [ { from: c } ] } }\n"
                                "  - { id: b, effect: require_approval,"
                                " approve: { stages: [ { from: i, count: 2 } ] } }\n"
                                "  - { id: d, effect: require_approval,"
                                " approve: { stages: [ { from: c, count: 3 } ] } }\n")
                            .value();
  const std::string group = "3f2c0a52-0000-4000-8000-000000000001";
  EXPECT_THAT(decide(rules, plain_facts()).approve.stages,
              testing::ElementsAre(ApprovalStage{.from = "c", .group = group, .count = 3},
                                   ApprovalStage{.from = "i", .group = group, .count = 2}));
}

TEST(Decide, UnlessExemptsOnlyWhenItPlainlyHolds) {
  const RuleSet rules = load(
      "  - { id: d, effect: deny, when: {action: permanentDelete}, unless: {folder: inbox} }\n"
      "  - { id: a, effect: allow }\n");
  Facts facts = plain_facts();
  EXPECT_EQ(decide(rules, facts).effect, Effect::kAllow);
  facts.folder.reset();
  const Decision decision = decide(rules, facts);
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_THAT(decision.by.at(0).unknown_facts, testing::ElementsAre("folder"));
}

// Graph gives a mailbox's id, UPN, mail and proxy addresses, whichever of them it is asked by.
TEST(Decide, EveryFormOfAMailboxThatMayBeWrittenDeniesIt) {
  const std::string id = "ade1e000-0000-4000-8000-00000000000b";
  const std::string tenant = "d3b07384-0000-4000-8000-000000000005";
  const std::string both = id + "@" + tenant;
  Facts facts = plain_facts();
  facts.mailbox = MailboxNames{
      {id, "adele@contoso.com", "a.vance@contoso.com", "adele_fabrikam.com#ext#@contoso.com"}};
  facts.affected = affected_by_path(facts);
  const RuleFiles files;
  for (const std::string& form :
       {id, both, "ADE1E000-0000-4000-8000-00000000000B@" + tenant, "smtp:" + both,
        std::string("Adele@Contoso.com"), std::string("a.vance@contoso.com"),
        std::string("SMTP:A.Vance@contoso.com"),
        std::string("adele_fabrikam.com#EXT#@contoso.com")}) {
    files.write("hold.csv", "mailbox,case\n\"" + form + "\",CASE-17\n");
    const std::string quoted = "'" + form + "'";
    const std::string lists = "lists: { f: { file: hold.csv }, v: { values: [" + quoted + "] } }\n";
    for (const std::string& when :
         {std::string("mailbox: { in: f }"), std::string("mailbox: { in: v }"),
          "mailbox: " + quoted, "mailbox: { in: [" + quoted + "] }",
          std::string("affected_mailboxes: { any_in: f }"),
          "affected_mailboxes: { any_in: [" + quoted + "] }"}) {
      const Result<RuleSet> rules = files.load("schema: 1\nrevision: a\n" + lists +
                                               "rules:\n  - { id: d, effect: deny, when: { " +
                                               when + " } }\n  - { id: a, effect: allow }\n");
      ASSERT_TRUE(rules.ok()) << rules.error().message;
      EXPECT_EQ(decide(*rules, facts).effect, Effect::kDeny) << when << " of " << form;
    }
  }
}

TEST(Decide, AListOfTextsKeepsThemAsTheyAre) {
  const RuleFiles files;
  const RuleSet rules =
      files
          .load(
              "schema: 1\nrevision: a\nlists: { cases: { values: ['smtp:case', 'Case: 7'] } }\n"
              "rules:\n  - { id: d, effect: deny, when: {categories: {any_in: cases}} }\n"
              "  - { id: a, effect: allow }\n")
          .value();
  Facts facts = plain_facts();
  EXPECT_EQ(decide(rules, facts).effect, Effect::kAllow);
  for (const char* category : {"smtp:case", "case: 7"}) {
    facts.item.categories = std::vector<std::string>{category};
    EXPECT_EQ(decide(rules, facts).effect, Effect::kDeny) << category;
  }
}

TEST(Decide, AListBeyondItsAgeIsUnknown) {
  const RuleFiles files;
  files.write("hold.csv", "held@contoso.com\n");
  files.set_modified("hold.csv", at("2026-10-04T08:00:00Z"));
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: a\n"
                                "lists: { hold: { file: hold.csv, max_age: 24h } }\n"
                                "rules:\n"
                                "  - { id: d, effect: deny, when: {mailbox: {in: hold}} }\n"
                                "  - { id: a, effect: allow }\n")
                            .value();
  Facts facts = plain_facts();
  facts.now = at("2026-10-05T07:59:59Z");
  EXPECT_EQ(decide(rules, facts).effect, Effect::kAllow);
  EXPECT_TRUE(stale_lists(rules, facts.now).empty());

  facts.now = at("2026-10-05T08:00:00Z");
  const Decision decision = decide(rules, facts);
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_THAT(decision.by.at(0).unknown_facts, testing::ElementsAre("list hold"));
  EXPECT_THAT(stale_lists(rules, facts.now),
              testing::ElementsAre("list \"hold\" is older than its max_age since "
                                   "2026-10-05T08:00:00.000000Z"));

  facts.now = WallTime{};
  EXPECT_EQ(decide(rules, facts).effect, Effect::kDeny) << "no time is no freshness";
}

TEST(Decide, AStaleListDoesNotAllowEither) {
  const RuleFiles files;
  files.write("ok.csv", "adele@contoso.com\n");
  files.set_modified("ok.csv", at("2026-10-01T08:00:00Z"));
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: a\n"
                                "lists: { ok: { file: ok.csv, max_age: 24h } }\n"
                                "rules:\n"
                                "  - { id: a, effect: allow, when: {mailbox: {in: ok}} }\n")
                            .value();
  EXPECT_EQ(decide(rules, plain_facts()).effect, Effect::kDeny);
}

TEST(Decide, AListFromTheFutureAgesFromNow) {
  const RuleFiles files;
  files.write("hold.csv", "held@contoso.com\n");
  files.set_modified("hold.csv", at("2036-10-04T08:00:00Z"));
  const RuleSet rules = files
                            .load(
                                "schema: 1\nrevision: a\n"
                                "lists: { hold: { file: hold.csv, max_age: 24h } }\n"
                                "rules: []\n",
                                at("2026-10-05T08:00:00Z"))
                            .value();
  EXPECT_EQ(stale_lists(rules, at("2026-10-06T08:00:00Z")).size(), 1U);
}

}  // namespace
}  // namespace holdfast::approval
