// The rules as decide() reads them: plain values that the loader has checked, immutable once they
// are in a RuleSet.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "approval/network.h"
#include "approval/rules.h"
#include "approval/zone.h"
#include "base/clock.h"

namespace holdfast::approval {

// What a list holds, in the forms its conditions compare with.
struct ListContent {
  std::vector<std::string> names;  // ASCII lower case, sorted.
  std::vector<std::string> exact;  // As written, sorted: folder ids keep their case.
  NetworkSet networks;             // Where a source_ip condition names the list.
};

struct RuleList {
  std::string name;
  std::shared_ptr<const ListContent> content;
  std::optional<std::chrono::seconds> max_age{};
  // From this instant on nothing is known from the list: its file is older than max_age.
  std::optional<WallTime> stale_from;
  std::string file{};  // As the rule file names it; empty where the values are in there.
};

// Facts that are compared with names.
enum class NamedFact {
  kAction,
  kResource,
  kUser,
  kApp,
  kGroup,
  kRole,
  kKind,
  kMailbox,
  kFolder,
  kSender,
  kRecipients,
  kCategories
};
inline constexpr std::size_t kNamedFacts = static_cast<std::size_t>(NamedFact::kCategories) + 1;

// True when the fact is one of the values or of the lists' entries (indexes into
// RuleSetData::lists).
struct NameTest {
  NamedFact fact;
  std::vector<std::string> values;  // Lower case, but for kFolder.
  std::vector<std::size_t> lists;
};

struct DomainTest {
  std::vector<std::string> domains;  // Lower case.
};

// Whether any mailbox that loses data is one of these.
struct AffectedTest {
  std::vector<std::string> values;  // Lower case.
  std::vector<std::size_t> lists;
};

struct OwnMailboxTest {
  bool own = true;
};

struct NetworkTest {
  std::vector<Network> networks;
  std::vector<std::size_t> lists;
};

// Wall-clock hours of a zone, from inclusive, to exclusive. Where from is after to, the window
// runs over midnight and belongs to the day it starts on.
struct Schedule {
  std::uint8_t days = 0x7f;  // Bit n: ISO weekday n + 1, so bit 0 is Monday.
  std::chrono::minutes from{0};
  std::chrono::minutes to{24 * 60};
  Zone zone;
  bool operator==(const Schedule&) const = default;
};

// All of it, so that two that differ read differently: "Monday to Friday 08:00 to 18:00
// (Europe/Berlin)".
std::string to_string(const Schedule& schedule);

struct TimeTest {
  std::vector<Schedule> any_of;
};

enum class MeasuredFact { kMessageAge, kSize };

// Both ends belong to the range. Seconds or bytes.
struct RangeTest {
  MeasuredFact fact;
  std::optional<std::int64_t> min;
  std::optional<std::int64_t> max;
};

// While a rule is in force: from inclusive, to exclusive.
struct ValidityTest {
  std::optional<WallTime> from;
  std::optional<WallTime> to;
};

struct Condition {
  std::string key;  // As in the file: action, actor.app, mailbox.domain, …
  // For people: "in legal-hold", "message or event", "during office". All that is asked, but for
  // what lists hold and when calendars are.
  std::string wants;
  std::variant<NameTest, DomainTest, AffectedTest, OwnMailboxTest, NetworkTest, TimeTest, RangeTest,
               ValidityTest>
      test;
};

class RuleIndex;  // approval/rule_index.h

enum class Mode { kEnforce, kMonitor };

struct Rule {
  std::string id;
  std::string title;
  Effect effect = Effect::kDeny;
  Mode mode = Mode::kEnforce;
  std::vector<Condition> when;    // All must hold; none: the rule is about every call.
  std::vector<Condition> unless;  // All must hold to exempt; none: nothing exempts.
  Requirements require;
  ApprovalTerms approve;
  std::optional<Limit> limit;
  std::chrono::seconds review_within = kReviewWithin;  // Of a break_glass rule.
};

struct RuleSetData {
  std::string revision;
  std::string sha256;
  std::vector<Rule> rules;  // In the order of the file, which means nothing.
  std::vector<RuleList> lists;
  std::map<std::string, Schedule> calendars;   // By name; the conditions have them already.
  std::vector<std::string> list_files;         // Those that lists are read from.
  std::shared_ptr<const SourceFiles> sources;  // All that the above is made from.
  // Of rules and lists; nullptr: every rule is looked at.
  std::shared_ptr<const RuleIndex> index;
  bool asks_about_items = false;  // Whether any condition can take reading the item to settle.
  std::size_t tests = 0;          // How many tests of the file passed.
};

}  // namespace holdfast::approval
