// A rule file that uses most of the language at once, with the list it names.
#pragma once

#include <string_view>

namespace holdfast::approval {

inline constexpr std::string_view kFullExampleHold = "mailbox,case\nheld@contoso.com,CASE-17\n";

inline constexpr std::string_view kFullExample = R"(schema: 1
revision: "2026-10-05.1"
default: deny                       # the only legal value
timezone: Europe/Berlin
lists:
  legal-hold: { file: lists/legal-hold.csv, max_age: 24h }
  executives: { values: [ceo@contoso.com] }
calendars:
  office: { days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00" }
approvers:
  compliance: { group: 3f2c0a52-0000-4000-8000-000000000001 }
  legal: { group: 91ab77de-0000-4000-8000-000000000002 }
rules:
  - id: hold-is-absolute
    title: Nothing reaching a mailbox on legal hold may be destroyed or recalled
    effect: deny
    when: { affected_mailboxes: { any_in: legal-hold } }
  - id: executives-two-plus-legal
    title: Executive mailboxes need two compliance officers and one lawyer
    effect: require_approval
    when: { mailbox: { in: executives } }
    approve:
      stages: [ { from: compliance, count: 2 }, { from: legal, count: 1 } ]
      decide_within: 24h
      use_within: 1h
    require: { justification: 20, ticket: "^CASE-[0-9]+$" }
  - id: late-recall
    title: Recalls need one approval unless the message is under two hours old
    effect: require_approval
    when: { action: recall }
    unless: { message_age: { max: 2h } }
    approve: { stages: [ { from: compliance, count: 1 } ], decide_within: 4h, use_within: 30m }
  - id: retention-bot
    title: The retention bot may purge messages in office hours, a little at a time
    effect: allow
    when:
      actor: { app: 6a1e55aa-0000-4000-8000-000000000004 }
      action: permanentDelete
      resource: { in: [message] }
      time: { during: office }
    limit: { count: 200, per: 1h, by: actor, distinct_mailboxes: 20, over: deny }
tests:
  - name: hold beats the bot
    given: { actor: { app: 6a1e55aa-0000-4000-8000-000000000004 }, action: permanentDelete, resource: message, affected_mailboxes: [held@contoso.com], at: "2026-10-05T10:00:00+02:00" }
    expect: { effect: deny, by: [hold-is-absolute] }
)";

}  // namespace holdfast::approval
