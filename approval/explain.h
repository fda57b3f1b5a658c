// A decision taken apart: what every rule made of the facts, and what would change the answer.
//
// Pure functions, safe from any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "approval/decide.h"
#include "approval/evaluate.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

struct ConditionOutcome {
  std::string condition;  // mailbox.domain
  std::string wants;      // contoso.com
  std::string value;      // What the fact is, or "unknown".
  Truth truth = Truth::kUnknown;
};

struct RuleOutcome {
  std::string id;
  std::string title;
  Effect effect = Effect::kDeny;
  Mode mode = Mode::kEnforce;
  RuleResult result;
  std::vector<ConditionOutcome> when;
  std::vector<ConditionOutcome> unless;
};

// If all of `needs` came about, the answer would be `effect`. Tried are one rule more, all rules
// that decide missing, and one rule of a looser effect with all that are stricter missing.
struct Change {
  Effect effect = Effect::kDeny;
  std::vector<std::string> matching;      // Rules that would then match,
  std::vector<std::string> not_matching;  // or no longer match.
  std::vector<std::string> needs;         // "folder is inbox (now unknown)"
};

struct Explanation {
  Decision decision;
  std::vector<RuleOutcome> rules;  // By id.
  std::vector<Change> changes;     // The simple ones first.
};

Explanation explain(const RuleSet& rules, const Facts& facts);

// {"effect","by","require","approve","rules","changes"}, effects and truths as words.
nlohmann::json to_json(const Explanation& explanation);

}  // namespace holdfast::approval
