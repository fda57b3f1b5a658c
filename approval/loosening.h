// Whether other rules let anything pass that the rules in force do not. Pure.
//
// Looked at rule by rule (matched by id), list by list: what is not plainly as strict as before
// counts as looser, so a "no" can be relied on and a "yes" may be too cautious. One example: a rule
// that asks for approval both opens what is denied by default and restricts what others allow, so
// any change of what it is about counts. What other rules make of facts that are not known is not
// compared: a shorter max_age, say, may have people asked about more calls, and lets none pass.
#pragma once

#include <string>
#include <vector>

#include "approval/rules.h"

namespace holdfast::approval {

// One sentence for each thing that is, or may be, looser in `after`; empty: nothing is.
std::vector<std::string> loosenings(const RuleSet& before, const RuleSet& after);

}  // namespace holdfast::approval
