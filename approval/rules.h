// The rule file as a value: loaded all or nothing, immutable afterwards, shared freely by threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "approval/list_file.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::approval {

// From the loosest to the strictest, but for the last: a break_glass rule decides nothing. It names
// who may go past an approval that other rules ask for.
enum class Effect { kAllow, kRequireApproval, kDeny, kBreakGlass };

std::string_view to_string(Effect effect);  // allow, require_approval, deny, break_glass

// What a call that needs approval must bring along.
struct Requirements {
  std::size_t justification_min = 0;         // Characters; 0: none needed.
  std::vector<std::string> ticket_patterns;  // ECMAScript expressions, all of which must match.
};

// How many people of one group have to approve.
struct ApprovalStage {
  std::string from;   // The name that the rules give these approvers; empty: any approver.
  std::string group;  // Their group's object id, lower case; empty: any approver.
  int count = 1;
  bool operator==(const ApprovalStage&) const = default;
};

// Where no rule says.
inline constexpr std::chrono::seconds kDecideWithin = std::chrono::hours(24);
inline constexpr std::chrono::seconds kUseWithin = std::chrono::hours(1);
inline constexpr std::chrono::seconds kReviewWithin = std::chrono::hours(24);

// Who has to approve, how long that may take and how long the approval then lasts; nullopt where no
// rule says.
struct ApprovalTerms {
  std::vector<ApprovalStage> stages;
  std::optional<std::chrono::seconds> decide_within;
  std::optional<std::chrono::seconds> use_within;
};

// Whose calls a limit counts together: those of one caller, on one mailbox, or all.
enum class LimitBy { kActor, kMailbox, kRule };

std::string_view to_string(LimitBy by);  // actor, mailbox, rule

// How many calls may pass under a rule in any stretch of time of that length.
struct Limit {
  int count = 0;
  std::chrono::seconds per{0};
  LimitBy by = LimitBy::kActor;
  std::optional<int> distinct_mailboxes;  // In that time, of each `by`.
  Effect over = Effect::kDeny;            // Or kRequireApproval, of calls beyond it.
};

struct RuleSetData;  // approval/rule_model.h: what decide() reads

class RuleSet {
 public:
  explicit RuleSet(std::shared_ptr<const RuleSetData> data) : data_(std::move(data)) {}

  const std::string& revision() const;
  // SHA-256, hex, of all that decides: of the rule file where it names no list files, else of the
  // hex digests of the rule file and of each list file in the order of the lists' names, each
  // followed by a newline.
  const std::string& sha256() const;
  const RuleSetData& data() const { return *data_; }

 private:
  std::shared_ptr<const RuleSetData> data_;
};

// Reads the file and the lists it names (relative to it), validates it against the JSON Schema, and
// runs the file's own tests; a file whose tests fail does not load. Lists beyond their max_age do
// load: every condition on them is unknown, which restricts. `now` bounds the age of list files:
// one from the future counts as modified now. kInvalid: one problem a line, each with file, line
// and key. kNotFound: no such rule file.
Result<RuleSet> load_rules(const std::string& path, WallTime now);

// The same of files that were read before. `label` names the rule file in problems.
Result<RuleSet> load_rules(const SourceFiles& files, const std::string& label, WallTime now);

// The rules of a file that was read before, without its lists, which are empty here, and with none
// of its tests run: to look up what a rule asks for, never to decide.
Result<RuleSet> load_rules_without_lists(const std::string& rule_file, const std::string& label);

// One line for each condition on the caller's groups, which no call tells of, and what comes of it.
// For check.
std::vector<std::string> conditions_nobody_meets(const RuleSet& rules);

// One line for each list that is older than its max_age at `now`, by name. For check and alarms.
std::vector<std::string> stale_lists(const RuleSet& rules, WallTime now);

}  // namespace holdfast::approval
