// Whether one condition or rule holds, in three values, and which unknown facts that hung on.
//
// Unknown is contagious only where it matters: a condition that is plainly false settles a rule
// whatever else is unknown. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "approval/fact_names.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

enum class Truth { kFalse, kUnknown, kTrue };

std::string_view to_string(Truth truth);  // false, unknown, true

struct ConditionResult {
  Truth truth = Truth::kUnknown;
  std::string unknown_fact;  // Which one, as rule files name it; empty unless kUnknown.
};

struct RuleResult {
  Truth when = Truth::kUnknown;
  Truth unless = Truth::kFalse;  // kFalse also where there is no `unless`.
  // Whether the rule takes effect: unknown makes deny and require_approval rules match, allow and
  // break_glass rules not.
  bool matched = false;
  std::vector<std::string> unknown_facts;  // Those the outcome hung on, sorted.
};

// Whether a list is older than its max_age. A caller that left `now` at the epoch knows nothing
// about time.
bool is_stale(const RuleList& list, WallTime now);

ConditionResult evaluate(const Condition& condition, const RuleSetData& data,
                         const FactNames& call);
RuleResult evaluate(const Rule& rule, const RuleSetData& data, const FactNames& call);

}  // namespace holdfast::approval
