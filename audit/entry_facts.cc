#include "audit/entry_facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "base/canonical_scan.h"

namespace holdfast::audit {
namespace {

using namespace std::chrono;

constexpr std::size_t kUuidLength = 36;
constexpr std::size_t kTimeLength = 27;  // 2026-10-05T08:00:00.000000Z

constexpr std::array kResults = {CallResult::kExecuted, CallResult::kRefused, CallResult::kNotSent,
                                 CallResult::kUnknown};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Lower case only: records have one spelling.
bool read_uuid(std::string_view value, Uuid& uuid) {
  const std::string_view text = plain_text(value);
  if (text.size() != kUuidLength) return false;
  std::size_t at = 0;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at++] != '-') return false;
    }
    const int high = hex_digit(text[at]);
    const int low = hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return false;
    uuid.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return uuid != Uuid{};
}

bool read_number(std::string_view text, std::size_t at, std::size_t digits, int& number) {
  number = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
  }
  return true;
}

bool read_time(std::string_view value, WallTime& time) {
  const std::string_view text = plain_text(value);
  if (text.size() != kTimeLength || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':' || text[19] != '.' || text[26] != 'Z') {
    return false;
  }
  std::array<int, 7> parts{};
  constexpr std::array<std::pair<std::size_t, std::size_t>, 7> kPlaces = {
      {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}, {20, 6}}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!read_number(text, kPlaces[i].first, kPlaces[i].second, parts[i])) return false;
  }
  const year_month_day date{year(parts[0]), month(static_cast<unsigned>(parts[1])),
                            day(static_cast<unsigned>(parts[2]))};
  if (!date.ok() || parts[3] > 23 || parts[4] > 59 || parts[5] > 60) return false;
  time = sys_days(date) + hours(parts[3]) + minutes(parts[4]) + seconds(parts[5]) +
         microseconds(parts[6]);
  return true;
}

// The one of `choices` that the value is the name of.
template <class Choices, class Choice>
bool read_choice(std::string_view value, const Choices& choices, Choice& chosen) {
  const std::string_view text = plain_text(value);
  for (const auto& choice : choices) {
    if (to_string(choice) != text) continue;
    chosen = choice;
    return true;
  }
  return false;
}

// Collects members and remembers which of those that every entry has were there, in their form.
class Reader final : public MemberVisitor {
 public:
  void member(std::string_view parent, std::string_view name, std::string_view value) override {
    if (parent.empty()) {
      top(name, value);
    } else if (parent == "writer") {
      if (name == "id") need(kWriter, read_uuid(value, facts_.writer));
      if (name == "role") need(kRole, read_choice(value, kRoles, facts_.role));
    } else if (parent == "outcome") {
      if (name == "result") read_result(value);
      if (name == "status") {
        std::from_chars(value.data(), value.data() + value.size(), facts_.status);
      }
    } else if (parent == "approval") {
      // A decision may quote whatever a caller took for a code.
      if (name == "code") code_is_none_ = !read_uuid(value, facts_.approval);
      if (name == "state") facts_.approval_state = parse_approval_state(plain_text(value));
      if (name == "reason" || name == "stages" || name == "step") is_more_than_seen_ = true;
    } else if (parent == "review") {
      if (name == "code") read_uuid(value, review_);
      if (name == "overrides") read_overridden(value);
    } else if (parent == "system") {
      if (name == "event") {
        tells_of_drop_ = plain_text(value) == kPartitionDropped;
        tells_of_hold_ = plain_text(value).starts_with("hold_");
      }
      if (name == "ranges") ranges_ = parse_ranges(value);
    }
  }

  Result<EntryFacts> facts() const {
    constexpr std::array<std::string_view, kCount> kNames = {"v",    "id",        "kind",
                                                             "time", "writer.id", "writer.role"};
    for (unsigned i = 0; i < kCount; ++i) {
      if ((found_ >> i & 1U) == 0) return wrong(kNames[i]);
    }
    if (last_ != "writer") return wrong("writer as its last member");
    if (!no_object_.empty()) return wrong(no_object_);
    if (operation_is_none_) return wrong("operation_id");
    const bool takes_a_step = facts_.kind == Kind::kIntent || facts_.kind == Kind::kApproval;
    if (code_is_none_ && takes_a_step) return wrong("approval.code");
    if (overridden_is_none_) return wrong("review.overrides.code");
    const bool of_a_call = facts_.kind == Kind::kIntent || facts_.kind == Kind::kOutcome ||
                           facts_.kind == Kind::kReconciliation;
    if (of_a_call && facts_.operation_id == Uuid{}) return wrong("operation_id");
    if (facts_.kind == Kind::kOutcome && !facts_.result) return wrong("outcome.result");
    EntryFacts facts = facts_;
    if (facts.role == WriterRole::kRetention && tells_of_drop_) {
      if (!ranges_) return wrong("system.ranges");
      facts.dropped = *ranges_;
    }
    if (facts.kind == Kind::kSystem && (facts.role == WriterRole::kRetention || tells_of_hold_)) {
      facts.system = system_;
    }
    facts.step_of = step_of();
    return facts;
  }

 private:
  enum Needed : unsigned { kVersion, kId, kKind, kTime, kWriter, kRole, kCount };
  static constexpr std::array kRoles = {WriterRole::kProxy, WriterRole::kAudit,
                                        WriterRole::kRetention};
  static constexpr std::array kKinds = {Kind::kIntent,   Kind::kOutcome, Kind::kDecision,
                                        Kind::kAccess,   Kind::kSystem,  Kind::kReconciliation,
                                        Kind::kApproval, Kind::kRules};

  // What has members of its own, wherever it stands in a record.
  static constexpr std::array<std::string_view, 11> kObjects = {
      "access",   "actor",   "approval", "decision", "operation", "outcome",
      "preimage", "request", "review",   "rules",    "system"};

  static Error wrong(std::string_view member) {
    return {ErrorCode::kInvalid, "has no " + std::string(member) + ", or not as it must be"};
  }

  void top(std::string_view name, std::string_view value) {
    last_ = name;
    if (name == "v") need(kVersion, value == "1");
    if (name == "id") need(kId, read_uuid(value, facts_.id));
    if (name == "kind") need(kKind, read_choice(value, kKinds, facts_.kind));
    if (name == "time") need(kTime, read_time(value, facts_.time));
    if (name == "system") system_ = value;
    if (!value.starts_with('{') && std::ranges::find(kObjects, name) != kObjects.end()) {
      no_object_ = name;
    }
    if (name == "operation_id") operation_is_none_ = !read_uuid(value, facts_.operation_id);
  }

  // A decision may also just say where the approval stands that the call asked for.
  Uuid step_of() const {
    if (facts_.kind == Kind::kDecision) return is_more_than_seen_ ? facts_.approval : Uuid{};
    if (facts_.kind != Kind::kIntent && facts_.kind != Kind::kApproval) return {};
    return review_ == Uuid{} ? facts_.approval : review_;
  }

  void read_overridden(std::string_view value) {
    overridden_is_none_ = true;
    const auto read = [this](std::string_view parent, std::string_view name,
                             std::string_view text) {
      const bool is_code = parent.empty() && name == "code";
      if (is_code) overridden_is_none_ = !read_uuid(text, facts_.overrides);
    };
    if (!scan_canonical(value, read).ok()) overridden_is_none_ = true;
  }

  void read_result(std::string_view value) {
    CallResult result{};
    if (read_choice(value, kResults, result)) facts_.result = result;
  }

  void need(Needed which, bool well) { found_ |= (well ? 1U : 0U) << which; }

  EntryFacts facts_;
  Uuid review_;
  bool is_more_than_seen_ = false;  // What it says of an approval is more than where it stands.
  unsigned found_ = 0;
  std::string_view last_;
  bool operation_is_none_ = false;
  bool code_is_none_ = false;
  bool overridden_is_none_ = false;
  bool tells_of_drop_ = false;
  bool tells_of_hold_ = false;
  std::string_view no_object_;  // A member that is none and must be.
  std::string_view system_;
  std::optional<std::vector<IndexRange>> ranges_;
};

}  // namespace

Result<EntryFacts> read_facts(std::string_view entry) {
  Reader reader;
  if (Status scanned = scan_canonical(entry, reader); !scanned.ok()) return scanned.error();
  return reader.facts();
}

}  // namespace holdfast::audit
