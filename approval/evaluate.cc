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

ConditionResult evaluate_test(const NameTest& test, const RuleSetData& data, const Facts& facts) {
  if (test.fact == NamedFact::kFolder) return evaluate_folder(test, data, facts);
  const std::optional<std::vector<std::string>> names = names_of(test.fact, facts);
  if (!names) return settle(Truth::kUnknown, name_of(test.fact));
  const auto any_in = [&](const std::vector<std::string>& sorted) {
    return std::any_of(names->begin(), names->end(),
                       [&](const std::string& name) { return is_one_of(sorted, name); });
  };
  if (any_in(test.values)) return {Truth::kTrue, ""};
  return any_list(test.lists, data, facts.now,
                  [&](const ListContent& content) { return any_in(content.names); });
}

ConditionResult evaluate_test(const DomainTest& test, const RuleSetData&, const Facts& facts) {
  bool any_domain = false;
  for (const std::string& name :
       facts.mailbox ? facts.mailbox->names : std::vector<std::string>()) {
    const std::size_t at = name.rfind('@');
    if (at == std::string::npos) continue;
    any_domain = true;
    if (is_one_of(test.domains, ascii_lower(name.substr(at + 1)))) return {Truth::kTrue, ""};
  }
  return settle(any_domain ? Truth::kFalse : Truth::kUnknown, "mailbox");
}

// One that is listed settles it, whoever else may be affected; that none is takes knowing all.
ConditionResult evaluate_test(const AffectedTest& test, const RuleSetData& data,
                              const Facts& facts) {
  bool all_known = facts.affected.complete;
  std::vector<std::string> names;
  for (const MailboxNames& mailbox : facts.affected.known) {
    all_known = all_known && !mailbox.names.empty();
    for (const std::string& name : mailbox.names) names.push_back(ascii_lower(name));
  }
  const auto any_in = [&](const std::vector<std::string>& sorted) {
    return std::ranges::any_of(names, [&](const auto& name) { return is_one_of(sorted, name); });
  };
  if (any_in(test.values)) return {Truth::kTrue, ""};
  ConditionResult listed = any_list(test.lists, data, facts.now, [&](const ListContent& content) {
    return any_in(content.names);
  });
  if (listed.truth != Truth::kFalse || all_known) return listed;
  return settle(Truth::kUnknown, "affected_mailboxes");
}

ConditionResult evaluate_test(const OwnMailboxTest& test, const RuleSetData&, const Facts& facts) {
  std::optional<bool> own;
  // An app calling for itself has no mailbox of its own.
  if (facts.actor_kind == ActorKind::kApp) own = false;
  if (facts.actor_kind == ActorKind::kUser) own = facts.own_mailbox;
  if (!own) return settle(Truth::kUnknown, "own_mailbox");
  return {truth_of(*own == test.own), ""};
}

ConditionResult evaluate_test(const NetworkTest& test, const RuleSetData& data,
                              const Facts& facts) {
  const std::optional<IpAddress> address =
      facts.source_ip ? parse_ip(*facts.source_ip) : std::nullopt;
  if (!address) return settle(Truth::kUnknown, "source_ip");
  const auto any_in = [&](const std::vector<Network>& networks) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const Network& network) { return contains(network, *address); });
  };
  if (any_in(test.networks)) return {Truth::kTrue, ""};
  return any_list(test.lists, data, facts.now,
                  [&](const ListContent& content) { return any_in(content.networks); });
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

ConditionResult evaluate_test(const TimeTest& test, const RuleSetData&, const Facts& facts) {
  if (facts.now == WallTime{}) return settle(Truth::kUnknown, "time");
  return {truth_of(std::any_of(
              test.any_of.begin(), test.any_of.end(),
              [&](const Schedule& schedule) { return is_within(schedule, facts.now); })),
          ""};
}

ConditionResult evaluate_test(const RangeTest& test, const RuleSetData&, const Facts& facts) {
  std::optional<std::int64_t> value = facts.item.size_bytes;
  const bool is_age = test.fact == MeasuredFact::kMessageAge;
  if (is_age) {
    const auto& age = facts.item.message_age;
    value = age ? std::optional<std::int64_t>(age->count()) : std::nullopt;
  }
  if (!value) return settle(Truth::kUnknown, is_age ? "message_age" : "size");
  return {truth_of((!test.min || *value >= *test.min) && (!test.max || *value <= *test.max)), ""};
}

ConditionResult evaluate_test(const ValidityTest& test, const RuleSetData&, const Facts& facts) {
  if (facts.now == WallTime{}) return settle(Truth::kUnknown, "time");
  return {truth_of((!test.from || facts.now >= *test.from) && (!test.to || facts.now < *test.to)),
          ""};
}

// All conditions together; the facts of those that stayed unknown are added to `unknown`.
Truth evaluate_all(const std::vector<Condition>& conditions, const RuleSetData& data,
                   const Facts& facts, std::vector<std::string>& unknown) {
  Truth truth = Truth::kTrue;
  std::vector<std::string> found;
  for (const Condition& condition : conditions) {
    const ConditionResult result = evaluate(condition, data, facts);
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

std::optional<std::vector<std::string>> names_of(NamedFact fact, const Facts& facts) {
  const auto one =
      [](const std::optional<std::string>& name) -> std::optional<std::vector<std::string>> {
    if (!name || name->empty()) return std::nullopt;
    return std::vector{ascii_lower(*name)};
  };
  const auto several = [](const std::optional<std::vector<std::string>>& names) {
    std::optional<std::vector<std::string>> lower = names;
    for (std::size_t i = 0; lower && i < lower->size(); ++i) (*lower)[i] = ascii_lower((*lower)[i]);
    return lower;
  };
  switch (fact) {
    case NamedFact::kAction:
      return one(facts.action);
    case NamedFact::kResource:
      return one(facts.resource);
    case NamedFact::kUser:
      // An app calling for itself is known not to be any user.
      if (facts.actor_kind == ActorKind::kApp) return std::vector<std::string>{};
      return facts.actor_kind == ActorKind::kUser ? one(facts.user) : std::nullopt;
    case NamedFact::kApp:
      return one(facts.app);
    case NamedFact::kGroup:
      return several(facts.groups);
    case NamedFact::kRole:
      return several(facts.roles);
    case NamedFact::kKind:
      if (facts.actor_kind == ActorKind::kUnknown) return std::nullopt;
      return std::vector{std::string(identity::to_string(facts.actor_kind))};
    case NamedFact::kMailbox:
      // A mailbox without names cannot be told from those on a list.
      if (!facts.mailbox || facts.mailbox->names.empty()) return std::nullopt;
      return several(facts.mailbox->names);
    case NamedFact::kFolder:
      return one(facts.folder);
    case NamedFact::kSender:
      return several(facts.item.sender);
    case NamedFact::kRecipients:
      return several(facts.item.recipients);
    case NamedFact::kCategories:
      return several(facts.item.categories);
  }
  return std::nullopt;
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

ConditionResult evaluate(const Condition& condition, const RuleSetData& data, const Facts& facts) {
  return std::visit([&](const auto& test) { return evaluate_test(test, data, facts); },
                    condition.test);
}

RuleResult evaluate(const Rule& rule, const RuleSetData& data, const Facts& facts) {
  RuleResult result;
  result.when = evaluate_all(rule.when, data, facts, result.unknown_facts);
  result.unless = rule.unless.empty()
                      ? Truth::kFalse
                      : evaluate_all(rule.unless, data, facts, result.unknown_facts);
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
