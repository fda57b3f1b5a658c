#include "approval/evaluate.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;

constexpr std::array<std::string_view, 17> kWellKnownFolders = {
    "archive",       "clutter",       "conflicts", "conversationhistory",
    "deleteditems",  "drafts",        "inbox",     "junkemail",
    "localfailures", "msgfolderroot", "outbox",    "recoverableitemsdeletions",
    "scheduled",     "searchfolders", "sentitems", "serverfailures",
    "syncissues"};

Truth truth_of(bool holds) {
  return holds ? Truth::kTrue : Truth::kFalse;
}

bool is_one_of(const std::vector<std::string>& sorted, const std::string& value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

ConditionResult settle(Truth truth, std::string_view fact) {
  return {truth, truth == Truth::kUnknown ? std::string(fact) : std::string()};
}

// `matches(content)` says whether a list decides for true. What a stale list says counts for
// nothing: it could be the very entry that was taken off or put on.
template <class Matches>
ConditionResult any_list(const std::vector<std::size_t>& lists, const RuleSetData& data,
                         WallTime now, const Matches& matches) {
  ConditionResult result{Truth::kFalse, ""};
  for (const std::size_t index : lists) {
    const RuleList& list = data.lists[index];
    if (is_stale(list, now)) {
      result = {Truth::kUnknown, "list " + list.name};
    } else if (matches(*list.content)) {
      return {Truth::kTrue, ""};
    }
  }
  return result;
}

std::string_view name_of(NamedFact fact) {
  switch (fact) {
    case NamedFact::kAction:
      return "action";
    case NamedFact::kResource:
      return "resource";
    case NamedFact::kUser:
      return "actor.user";
    case NamedFact::kApp:
      return "actor.app";
    case NamedFact::kGroup:
      return "actor.group";
    case NamedFact::kRole:
      return "actor.role";
    case NamedFact::kKind:
      return "actor.kind";
    case NamedFact::kMailbox:
      return "mailbox";
    case NamedFact::kFolder:
      return "folder";
    case NamedFact::kSender:
      return "sender";
    case NamedFact::kRecipients:
      return "recipients";
    case NamedFact::kCategories:
      return "categories";
  }
  return "";
}

bool is_well_known(const std::string& folder) {
  return std::find(kWellKnownFolders.begin(), kWellKnownFolders.end(), ascii_lower(folder)) !=
         kWellKnownFolders.end();
}

// The same folder has many ids (mutable, immutable) and perhaps a well-known name: two spellings
// that differ are known to be two folders only when both are well-known names.
Truth any_folder(const std::vector<std::string>& values, const std::string& folder) {
  const bool well_known = is_well_known(folder);
  Truth result = Truth::kFalse;
  for (const std::string& value : values) {
    if (value == folder || (well_known && ascii_iequals(value, folder))) return Truth::kTrue;
    if (!well_known || !is_well_known(value)) result = Truth::kUnknown;
  }
  return result;
}

ConditionResult evaluate_folder(const NameTest& test, const RuleSetData& data, const Facts& facts) {
  if (!facts.folder || facts.folder->empty()) return settle(Truth::kUnknown, "folder");
  Truth truth = any_folder(test.values, *facts.folder);
  ConditionResult listed = any_list(test.lists, data, facts.now, [&](const ListContent& content) {
    const Truth one = any_folder(content.exact, *facts.folder);
    if (one == Truth::kUnknown) truth = std::max(truth, one);
    return one == Truth::kTrue;
  });
  if (listed.truth == Truth::kTrue) return listed;
  return truth == Truth::kFalse ? listed : settle(truth, "folder");
}

bool any_of_them(const std::vector<std::string>& names, const std::vector<std::string>& sorted) {
  return std::ranges::any_of(names, [&](const auto& name) { return is_one_of(sorted, name); });
}

ConditionResult evaluate_test(const NameTest& test, const RuleSetData& data,
                              const FactNames& call) {
  if (test.fact == NamedFact::kFolder) return evaluate_folder(test, data, call.facts());
  const Names& names = call.of(test.fact);
  if (!names) return settle(Truth::kUnknown, name_of(test.fact));
  if (any_of_them(*names, test.values)) return {Truth::kTrue, ""};
  return any_list(test.lists, data, call.facts().now,
                  [&](const ListContent& content) { return any_of_them(*names, content.names); });
}

ConditionResult evaluate_test(const DomainTest& test, const RuleSetData&, const FactNames& call) {
  const Names& domains = call.domains();
  if (!domains) return settle(Truth::kUnknown, "mailbox");
  return {truth_of(any_of_them(*domains, test.domains)), ""};
}

// One that is listed settles it, whoever else may be affected; that none is takes knowing all.
ConditionResult evaluate_test(const AffectedTest& test, const RuleSetData& data,
                              const FactNames& call) {
  const std::vector<std::string>& names = call.affected();
  if (any_of_them(names, test.values)) return {Truth::kTrue, ""};
  ConditionResult listed =
      any_list(test.lists, data, call.facts().now,
               [&](const ListContent& content) { return any_of_them(names, content.names); });
  if (listed.truth != Truth::kFalse || call.all_affected_known()) return listed;
  return settle(Truth::kUnknown, "affected_mailboxes");
}

ConditionResult evaluate_test(const OwnMailboxTest& test, const RuleSetData&,
                              const FactNames& call) {
  const Facts& facts = call.facts();
  std::optional<bool> own;
  // An app calling for itself has no mailbox of its own.
  if (facts.actor_kind == ActorKind::kApp) own = false;
  if (facts.actor_kind == ActorKind::kUser) own = facts.own_mailbox;
  if (!own) return settle(Truth::kUnknown, "own_mailbox");
  return {truth_of(*own == test.own), ""};
}

ConditionResult evaluate_test(const NetworkTest& test, const RuleSetData& data,
                              const FactNames& call) {
  const std::optional<IpAddress>& address = call.address();
  if (!address) return settle(Truth::kUnknown, "source_ip");
  const bool holds = std::ranges::any_of(
      test.networks, [&](const Network& network) { return contains(network, *address); });
  if (holds) return {Truth::kTrue, ""};
  return any_list(test.lists, data, call.facts().now,
                  [&](const ListContent& content) { return content.networks.holds(*address); });
}

bool is_within(const Schedule& schedule, WallTime now) {
  const LocalTime local = local_time(schedule.zone, now);
  const unsigned today = local.weekday.iso_encoding() - 1;
  const unsigned yesterday = (today + 6) % 7;
  const auto on = [&](unsigned day) { return (schedule.days >> day & 1U) != 0; };
  if (schedule.from < schedule.to) {
    return on(today) && local.since_midnight >= schedule.from && local.since_midnight < schedule.to;
  }
  return (on(today) && local.since_midnight >= schedule.from) ||
         (on(yesterday) && local.since_midnight < schedule.to);
}

ConditionResult evaluate_test(const TimeTest& test, const RuleSetData&, const FactNames& call) {
  const Facts& facts = call.facts();
  if (facts.now == WallTime{}) return settle(Truth::kUnknown, "time");
  return {truth_of(std::any_of(
              test.any_of.begin(), test.any_of.end(),
              [&](const Schedule& schedule) { return is_within(schedule, facts.now); })),
          ""};
}

ConditionResult evaluate_test(const RangeTest& test, const RuleSetData&, const FactNames& call) {
  const Facts& facts = call.facts();
  std::optional<std::int64_t> value = facts.item.size_bytes;
  const bool is_age = test.fact == MeasuredFact::kMessageAge;
  if (is_age) {
    const auto& age = facts.item.message_age;
    value = age ? std::optional<std::int64_t>(age->count()) : std::nullopt;
  }
  if (!value) return settle(Truth::kUnknown, is_age ? "message_age" : "size");
  return {truth_of((!test.min || *value >= *test.min) && (!test.max || *value <= *test.max)), ""};
}

ConditionResult evaluate_test(const ValidityTest& test, const RuleSetData&, const FactNames& call) {
  const Facts& facts = call.facts();
  if (facts.now == WallTime{}) return settle(Truth::kUnknown, "time");
  return {truth_of((!test.from || facts.now >= *test.from) && (!test.to || facts.now < *test.to)),
          ""};
}

// All conditions together; the facts of those that stayed unknown are added to `unknown`.
Truth evaluate_all(const std::vector<Condition>& conditions, const RuleSetData& data,
                   const FactNames& call, std::vector<std::string>& unknown) {
  Truth truth = Truth::kTrue;
  std::vector<std::string> found;
  for (const Condition& condition : conditions) {
    const ConditionResult result = evaluate(condition, data, call);
    truth = std::min(truth, result.truth);
    if (result.truth == Truth::kUnknown) found.push_back(result.unknown_fact);
  }
  if (truth == Truth::kUnknown) unknown.insert(unknown.end(), found.begin(), found.end());
  return truth;
}

}  // namespace

bool is_stale(const RuleList& list, WallTime now) {
  return list.stale_from && (now == WallTime{} || now >= *list.stale_from);
}

std::string_view to_string(Truth truth) {
  switch (truth) {
    case Truth::kFalse:
      return "false";
    case Truth::kUnknown:
      return "unknown";
    case Truth::kTrue:
      return "true";
  }
  return "unknown";
}

ConditionResult evaluate(const Condition& condition, const RuleSetData& data,
                         const FactNames& call) {
  return std::visit([&](const auto& test) { return evaluate_test(test, data, call); },
                    condition.test);
}

RuleResult evaluate(const Rule& rule, const RuleSetData& data, const FactNames& call) {
  RuleResult result;
  result.when = evaluate_all(rule.when, data, call, result.unknown_facts);
  result.unless = rule.unless.empty() ? Truth::kFalse
                                      : evaluate_all(rule.unless, data, call, result.unknown_facts);
  const bool plainly_not = result.when == Truth::kFalse || result.unless == Truth::kTrue;
  const bool plainly = result.when == Truth::kTrue && result.unless == Truth::kFalse;
  const bool opens = rule.effect == Effect::kAllow || rule.effect == Effect::kBreakGlass;
  result.matched = opens ? plainly : !plainly_not;
  if (plainly_not) result.unknown_facts.clear();
  std::vector<std::string>& unknown = result.unknown_facts;
  std::sort(unknown.begin(), unknown.end());
  unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
  return result;
}

}  // namespace holdfast::approval
