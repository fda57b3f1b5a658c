// The tests a rule file carries: facts given, an effect expected.
#pragma once

#include "approval/build_rules.h"
#include "approval/rule_model.h"

namespace holdfast::approval {

// Runs every test of the document, which fits the schema, against its rules. Facts a test does not
// give are unknown; `unknown` says so in words. Lists count as fresh unless the test names them
// under stale_lists, so that a file loads the same whenever it is loaded. Failures go to
// `problems`. Returns how many tests there are.
std::size_t run_rule_tests(const config::YamlDocument& document, const RuleSetData& data,
                           Problems& problems);

}  // namespace holdfast::approval
