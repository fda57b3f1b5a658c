#include "approval/rule_index.h"

#include <gtest/gtest.h>

#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;

struct Row {
  const char* name;
  const char* when;
  void (*tell)(Facts& facts, const std::string& value);
  const char* met;
  const char* missed;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

void tell_mailbox(Facts& facts, const std::string& value) {
  facts.mailbox = MailboxNames{{"11111111-0000-4000-8000-000000000001", value}};
}

void tell_affected(Facts& facts, const std::string& value) {
  facts.affected = {.known = {{{"b@y.com"}}, {{value}}}, .complete = true};
}

void tell_address(Facts& facts, const std::string& value) {
  facts.source_ip = value;
}

void tell_sender(Facts& facts, const std::string& value) {
  facts.item.sender = std::vector{value};
}

void tell_app(Facts& facts, const std::string& value) {
  facts.actor_kind = ActorKind::kApp;
  facts.app = value;
}

const Row kRows[] = {
    {"action", "action: recall",
     [](Facts& facts, const std::string& value) { facts.action = value; }, "recall",
     "permanentDelete"},
    {"app", "actor: { app: 6a1e55aa-0000-4000-8000-000000000004 }", tell_app,
     "6A1E55AA-0000-4000-8000-000000000004", "6a1e55aa-0000-4000-8000-000000000005"},
    {"mailbox", "mailbox: [a@x.com, c@x.com]", tell_mailbox, "C@X.com", "b@x.com"},
    {"mailbox_on_a_list", "mailbox: { in: names }", tell_mailbox, "Listed@x.com", "b@x.com"},
    {"domain", "mailbox: { domain: x.com }", tell_mailbox, "a@X.com", "a@sub.x.com"},
    {"affected", "affected_mailboxes: { any_in: [a@x.com] }", tell_affected, "A@x.com", "b@x.com"},
    {"affected_on_a_list", "affected_mailboxes: { any_in: names }", tell_affected, "listed@x.com",
     "b@x.com"},
    {"address", "source_ip: [10.1.2.3, 12.0.0.0/8]", tell_address, "::ffff:12.9.9.9", "10.1.2.4"},
    {"address_v6", "source_ip: \"::/0\"", tell_address, "2001:db8::1", "12.9.9.9"},
    {"address_on_a_list", "source_ip: { in: networks }", tell_address, "10.20.30.40", "10.21.0.1"},
    {"sender", "sender: a@x.com", tell_sender, "A@x.com", "b@x.com"},
};

class RuleIndexed : public ::testing::TestWithParam<Row> {
 protected:
  // How many rules a call is looked at for, of one with the condition.
  static std::size_t looked_at(const Facts& facts, bool lists_are_stale = false) {
    const RuleFiles files;
    files.write("names.csv", "listed@x.com\n");
    files.write("networks.csv", "10.20.0.0/16\n2001:db8::/32\n");
    const Result<RuleSet> rules = files.load(
        "schema: 1\nrevision: r\nlists:\n  names: { file: names.csv, max_age: 1h }\n"
        "  networks: { file: networks.csv, max_age: 1h }\nrules:\n"
        "  - { id: one, effect: deny, when: { " +
        std::string(GetParam().when) + " } }\n");
    EXPECT_TRUE(rules.ok()) << rules.error().message;
    Facts timed = facts;
    timed.now = at(lists_are_stale ? "2026-10-05T09:00:00Z" : "2026-10-05T08:59:59Z");
    return rules->data().index->candidates(rules->data(), FactNames(timed)).size();
  }
};

TEST_P(RuleIndexed, LooksAtWhatIsMetOrUnknownAndAtNothingElse) {
  Facts met;
  GetParam().tell(met, GetParam().met);
  EXPECT_EQ(looked_at(met), 1U);
  Facts missed;
  GetParam().tell(missed, GetParam().missed);
  EXPECT_EQ(looked_at(missed), 0U);
  EXPECT_EQ(looked_at(Facts()), 1U);
  const bool hangs_on_a_list = std::string_view(GetParam().name).ends_with("on_a_list");
  EXPECT_EQ(looked_at(missed, true), hangs_on_a_list ? 1U : 0U);
}

INSTANTIATE_TEST_SUITE_P(Conditions, RuleIndexed, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace holdfast::approval
