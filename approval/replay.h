// Past calls as their records tell of them, decided again by other rules. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "approval/decide.h"
#include "approval/rules.h"

namespace holdfast::approval {

// A call that the rules were asked about.
struct PastCall {
  Facts facts;                     // What was not recorded is unknown.
  Effect effect = Effect::kDeny;   // What the rules said, whatever limits and approvals did then.
  std::vector<std::string> by;     // The rules of that effect; empty: none matched.
  std::vector<RuleMatch> matched;  // All that matched, without their titles.
  // The rules whose limits it took; nullopt: the record does not tell.
  std::optional<std::vector<std::string>> limited_by;
  std::int64_t generation = 0;  // Of the rules; 0: the record does not tell.
};

// Whether the rules were asked, and the record has only a part of what they saw or said: more
// matched than a record names, or its decision was shortened.
bool is_partial(const nlohmann::json& record);

// The call in a `decision` or `intent` record; nullopt: the rules were not asked, it is_partial(),
// or the record is not one that Holdfast writes.
std::optional<PastCall> past_call(const nlohmann::json& record);

// The same call at another time, as far as its facts tell of time.
PastCall as_of(PastCall call, WallTime now);

struct Replayed {
  Decision decision;
  // What the decision hangs on and the record does not have, as rule files name it: the rules then
  // did not ask for it.
  std::vector<std::string> not_recorded;
  // In sentences, all that would be decided otherwise; none: the call would fare as it did.
  std::vector<std::string> changes;
};

// `then` are the rules of the call's generation, whose lists may be empty; nullptr: they are not
// known, and only the effect and the rules it comes from are compared.
Replayed replay(const RuleSet& rules, const PastCall& call, const RuleSet* then);

}  // namespace holdfast::approval
