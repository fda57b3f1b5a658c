// What changed from one rule file to another, in sentences for people who answer for it. Pure.
#pragma once

#include <string>
#include <vector>

#include "approval/decide.h"
#include "approval/rules.h"

namespace holdfast::approval {

// One sentence for each rule, list and calendar that is new or gone, and for every part of one that
// is not as it was: what it is and what it was. Empty: the two decide alike.
std::vector<std::string> describe_changes(const RuleSet& before, const RuleSet& after);

// The same of what is decided of one call: the effect, the rules it comes from, and as far as they
// count, what the approval takes, ways past it, and limits.
std::vector<std::string> describe_changes(const Decision& before, const Decision& after);

}  // namespace holdfast::approval
