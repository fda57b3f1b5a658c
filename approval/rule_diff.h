// What changed from one rule file to another, in sentences for people who answer for it. Pure.
#pragma once

#include <string>
#include <vector>

#include "approval/rules.h"

namespace holdfast::approval {

// One sentence for each rule and list that is new or gone, and for every part of one that is not as
// it was. Empty: the two decide alike.
std::vector<std::string> describe_changes(const RuleSet& before, const RuleSet& after);

}  // namespace holdfast::approval
