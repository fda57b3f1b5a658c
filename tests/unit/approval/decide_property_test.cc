// What must hold for all rules and all facts: each property on a few hundred random ones.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>

#include "approval/decide.h"
#include "approval/rule_index.h"
#include "approval/rule_model.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;

template <class T>
T one_of(std::vector<T> values) {
  return *rc::gen::elementOf(std::move(values));
}

std::vector<Network> networks(const std::vector<const char*>& texts) {
  std::vector<Network> found;
  found.reserve(texts.size());
  for (const char* text : texts) found.push_back(*parse_network(text));
  return found;
}

// A few values for everything, so that rules and facts often meet.
std::vector<RuleList> two_lists() {
  ListContent content;
  content.names = {"a@x.com", "b@x.com", "u1"};
  content.exact = {"ID1", "inbox"};
  content.networks = NetworkSet(networks({"10.0.0.0/8", "2001:db8::/32"}));
  const auto shared = std::make_shared<const ListContent>(content);
  return {{"fresh", shared, std::nullopt, std::nullopt},
          {"stale", shared, std::nullopt, WallTime::min()}};
}

std::vector<std::size_t> some_list() {
  return one_of<std::vector<std::size_t>>({{}, {0}, {1}});
}

Condition some_condition() {
  switch (*rc::gen::inRange(0, 17)) {
    case 0:
      return {"action", "", NameTest{NamedFact::kAction, {one_of<std::string>({"p", "r"})}, {}}};
    case 1:
      return {"actor.user", "",
              NameTest{NamedFact::kUser, {one_of<std::string>({"u1", "u2"})}, some_list()}};
    case 2:
      return {"actor.app", "", NameTest{NamedFact::kApp, {one_of<std::string>({"p1", "p2"})}, {}}};
    case 3:
      return {"actor.group", "", NameTest{NamedFact::kGroup, {"g1"}, {}}};
    case 4:
      return {"mailbox", "",
              NameTest{
                  NamedFact::kMailbox, {one_of<std::string>({"a@x.com", "c@y.com"})}, some_list()}};
    case 5:
      return {"mailbox.domain", "", DomainTest{{one_of<std::string>({"x.com", "y.com"})}}};
    case 6:
      return {"mailbox.own", "", OwnMailboxTest{one_of<bool>({true, false})}};
    case 8:
      return {"affected_mailboxes", "",
              AffectedTest{{one_of<std::string>({"a@x.com", "c@y.com"})}, some_list()}};
    case 9:
      return {"message_age", "", RangeTest{MeasuredFact::kMessageAge, 10, std::nullopt}};
    case 10:
      return {"size", "", RangeTest{MeasuredFact::kSize, std::nullopt, 10}};
    case 11:
      return {"sender", "", NameTest{NamedFact::kSender, {"a@x.com"}, some_list()}};
    case 12:
      return {"categories", "", NameTest{NamedFact::kCategories, {"red"}, {}}};
    case 13:
      return {"valid", "",
              ValidityTest{WallTime(std::chrono::hours(one_of<int>({1, 600'000}))), std::nullopt}};
    case 7:
      return {"folder", "",
              NameTest{NamedFact::kFolder, {one_of<std::string>({"drafts", "ID2"})}, some_list()}};
    default:
      return {"source_ip", "",
              NetworkTest{networks(one_of<std::vector<const char*>>({{},
                                                                     {"11.0.0.0/8", "12.1.1.1"},
                                                                     {"0.0.0.0/0"},
                                                                     {"::/0"},
                                                                     {"::fffe:0:0/95"},
                                                                     {"2001:db8:1::/48"}})),
                          some_list()}};
  }
}

std::vector<Condition> some_conditions() {
  std::vector<Condition> conditions;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) conditions.push_back(some_condition());
  return conditions;
}

Rule some_rule(Effect effect, Mode mode) {
  static int count = 0;
  Rule rule;
  rule.id = "rule-" + std::to_string(++count);
  rule.effect = effect;
  rule.mode = mode;
  rule.when = some_conditions();
  rule.unless = some_conditions();
  if (*rc::gen::inRange(0, 4) == 0) rule.limit = Limit{.count = 1, .per = std::chrono::hours(1)};
  return rule;
}

Effect some_effect() {
  return one_of<Effect>(
      {Effect::kAllow, Effect::kRequireApproval, Effect::kDeny, Effect::kBreakGlass});
}

RuleSetData some_rules(int below = 6) {
  RuleSetData data;
  data.lists = two_lists();
  for (int i = *rc::gen::inRange(0, below); i > 0; --i) {
    data.rules.push_back(
        some_rule(some_effect(), one_of<Mode>({Mode::kEnforce, Mode::kEnforce, Mode::kMonitor})));
  }
  return data;
}

template <class T>
std::optional<T> maybe(std::vector<T> values) {
  if (*rc::gen::inRange(0, 3) == 0) return std::nullopt;
  return one_of(std::move(values));
}

Facts some_facts() {
  Facts facts;
  facts.action = one_of<std::string>({"p", "r"});
  facts.resource = "message";
  facts.actor_kind = one_of<ActorKind>({ActorKind::kUnknown, ActorKind::kUser, ActorKind::kApp});
  facts.user = maybe<std::string>({"u1", "u2"});
  facts.app = maybe<std::string>({"p1", "p2"});
  facts.groups = maybe<std::vector<std::string>>({{}, {"g1"}});
  facts.mailbox = maybe<MailboxNames>(
      {{{}}, {{"a@x.com", "i1"}}, {{"c@y.com"}}, {{"i2"}}, {{"i2", "C@Y.com", "B@X.com"}}});
  facts.own_mailbox = maybe<bool>({true, false});
  facts.folder = maybe<std::string>({"inbox", "drafts", "ID1", "ID3"});
  facts.source_ip = maybe<std::string>({"10.1.1.1", "11.1.1.1", "12.1.1.1", "::ffff:10.1.1.1",
                                        "2001:db8:1::1", "2001:db9::1", "::fffe:1.1.1.1", "?"});
  facts.affected.complete = *rc::gen::arbitrary<bool>();
  for (const char* name : {"a@x.com", "c@y.com"}) {
    if (*rc::gen::arbitrary<bool>()) facts.affected.known.push_back({{name}});
  }
  if (*rc::gen::inRange(0, 8) == 0) facts.affected.known.push_back({{}});
  if (*rc::gen::inRange(0, 8) == 0) facts.affected.known.push_back({{"i2", "B@X.com"}});
  facts.item.message_age =
      maybe<std::chrono::seconds>({std::chrono::seconds(5), std::chrono::seconds(15)});
  facts.item.size_bytes = maybe<std::int64_t>({5, 15});
  facts.item.sender = maybe<std::vector<std::string>>({{"a@x.com"}, {"c@y.com"}});
  facts.item.categories = maybe<std::vector<std::string>>({{}, {"red"}});
  facts.now = WallTime(std::chrono::hours(500'000));
  return facts;
}

Decision decide(const RuleSetData& data, const Facts& facts) {
  return approval::decide(RuleSet(std::make_shared<const RuleSetData>(data)), facts);
}

std::vector<std::string> ways(const Decision& decision) {
  std::vector<std::string> ids;
  for (const BreakGlass& way : decision.break_glass) ids.push_back(way.rule.id);
  return ids;
}

// Not looser: no looser effect, and no way past an approval that was not there before.
bool is_no_looser(const Decision& after, const Decision& before) {
  if (after.effect < before.effect) return false;
  return before.effect != Effect::kRequireApproval ||
         std::ranges::includes(ways(before), ways(after));
}

// The same of a doubt that comes up. It may put to people what nobody opened before, and opens no
// way past them.
bool loosens_nothing(const Decision& doubtful, const Decision& before) {
  if (is_no_looser(doubtful, before)) return true;
  return before.by.empty() && doubtful.effect == Effect::kRequireApproval &&
         doubtful.break_glass.empty() &&
         std::ranges::none_of(doubtful.by,
                              [](const RuleMatch& match) { return match.unknown_facts.empty(); });
}

RC_GTEST_PROP(DecideProperty, AddingADenyNeverLoosens, ()) {
  RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  data.rules.push_back(some_rule(Effect::kDeny, Mode::kEnforce));
  RC_ASSERT(is_no_looser(decide(data, facts), before));
}

RC_GTEST_PROP(DecideProperty, TheOrderOfRulesNeverMatters, ()) {
  RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  std::reverse(data.rules.begin(), data.rules.end());
  if (!data.rules.empty()) {
    const auto middle = data.rules.begin() + *rc::gen::inRange<long>(0, std::ssize(data.rules));
    std::rotate(data.rules.begin(), middle, data.rules.end());
  }
  const Decision after = decide(data, facts);
  RC_ASSERT(before.effect == after.effect);
  const auto same = [](const RuleMatch& a, const RuleMatch& b) {
    return a.id == b.id && a.unknown_facts == b.unknown_facts;
  };
  RC_ASSERT(std::ranges::equal(before.by, after.by, same));
  RC_ASSERT(std::ranges::equal(before.matched, after.matched, same));
  RC_ASSERT(std::ranges::equal(before.monitored, after.monitored, same));
  RC_ASSERT(ways(before) == ways(after));
}

RC_GTEST_PROP(DecideProperty, MakingAnyFactUnknownNeverLoosens, ()) {
  const RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  const std::vector<std::function<void(Facts&)>> losses = {
      [](Facts& f) { f.action.clear(); },
      [](Facts& f) { f.resource.clear(); },
      [](Facts& f) { f.actor_kind = ActorKind::kUnknown; },
      [](Facts& f) { f.user.reset(); },
      [](Facts& f) { f.app.reset(); },
      [](Facts& f) { f.groups.reset(); },
      [](Facts& f) { f.mailbox.reset(); },
      [](Facts& f) { f.own_mailbox.reset(); },
      [](Facts& f) { f.folder.reset(); },
      [](Facts& f) { f.source_ip.reset(); },
      [](Facts& f) { f.affected.complete = false; },
      [](Facts& f) { f.item.message_age.reset(); },
      [](Facts& f) { f.item.size_bytes.reset(); },
      [](Facts& f) { f.item.sender.reset(); },
      [](Facts& f) { f.item.categories.reset(); },
      [](Facts& f) { f.now = WallTime{}; }};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    Facts less = facts;
    losses[i](less);
    RC_ASSERT(std::make_pair(i, loosens_nothing(decide(data, less), before)) ==
              std::make_pair(i, true));
  }
}

// Which rules are looked at is nobody's business but the clock's.
RC_GTEST_PROP(DecideProperty, TheIndexChangesNothing, ()) {
  RuleSetData data = some_rules(*rc::gen::inRange(0, 8) == 0 ? 150 : 30);
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  data.index = std::make_shared<const RuleIndex>(data);
  const Decision after = decide(data, facts);
  const auto same = [](const RuleMatch& a, const RuleMatch& b) {
    return a.id == b.id && a.unknown_facts == b.unknown_facts;
  };
  RC_ASSERT(before.effect == after.effect);
  RC_ASSERT(std::ranges::equal(before.matched, after.matched, same));
  RC_ASSERT(std::ranges::equal(before.monitored, after.monitored, same));
  RC_ASSERT(std::ranges::equal(
      before.limits, after.limits,
      [&](const TakenLimit& a, const TakenLimit& b) { return same(a.rule, b.rule); }));
  RC_ASSERT(before.in_doubt == after.in_doubt);
  RC_ASSERT(ways(before) == ways(after));
}

TEST(NetworkSet, HoldsWhatOneOfItsNetworksContains) {
  const std::vector<Network> all = networks({"0.0.0.0/0", "10.0.0.0/8", "10.1.2.0/23", "10.1.2.3",
                                             "::/0", "::fffe:0:0/95", "2001:db8::/33"});
  for (const char* text : {"10.1.2.3", "10.1.3.9", "10.1.4.9", "11.0.0.1", "::1", "::fffe:1.1.1.1",
                           "2001:db8:7fff::1", "2001:db8:8000::1"}) {
    const IpAddress address = *parse_ip(text);
    EXPECT_FALSE(NetworkSet().holds(address));
    EXPECT_TRUE(NetworkSet(all).holds(address));
    for (const Network& network : all) {
      EXPECT_EQ(NetworkSet({network}).holds(address), contains(network, address))
          << text << " in " << to_string(network);
    }
  }
}

// A way past approvals opens nothing that is denied, and tightens nothing.
RC_GTEST_PROP(DecideProperty, BreakGlassRulesNeverChangeTheEffect, ()) {
  RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  data.rules.push_back(some_rule(Effect::kBreakGlass, Mode::kEnforce));
  const Decision after = decide(data, facts);
  RC_ASSERT(before.effect == after.effect);
  RC_ASSERT(after.effect != Effect::kDeny || after.break_glass.empty());
}

RC_GTEST_PROP(DecideProperty, AListGoingStaleNeverLoosens, ()) {
  RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  data.lists[0].stale_from = WallTime::min();
  RC_ASSERT(loosens_nothing(decide(data, facts), before));
}

RC_GTEST_PROP(DecideProperty, MonitorRulesNeverChangeTheEffect, ()) {
  RuleSetData data = some_rules();
  const Facts facts = some_facts();
  const Decision before = decide(data, facts);
  data.rules.push_back(some_rule(some_effect(), Mode::kMonitor));
  const Decision after = decide(data, facts);
  RC_ASSERT(before.effect == after.effect);
  RC_ASSERT(before.by.size() == after.by.size());
}

}  // namespace
}  // namespace holdfast::approval
