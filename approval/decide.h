// The decision itself: a pure function of rules and facts.
//
// Deny-overrides and free of order: deny > require_approval > allow > default deny. Unknown facts
// restrict: they make deny and require_approval rules match, allow rules not match, and `unless`
// not exempt. A rule in monitor mode is evaluated and reported but changes nothing.
#pragma once

#include <string>
#include <vector>

#include "approval/facts.h"
#include "approval/rules.h"

namespace holdfast::approval {

// One rule that matched.
struct RuleMatch {
  std::string id;
  std::string title;
  Effect effect = Effect::kDeny;
  // The facts that were unknown and made it match all the same; empty when it plainly matched.
  std::vector<std::string> unknown_facts;
};

// A limit that a call takes with its intent.
struct TakenLimit {
  RuleMatch rule;
  Limit limit;
  Requirements require;   // Of calls beyond it,
  ApprovalTerms approve;  // where they need approval.
};

struct Decision {
  Effect effect = Effect::kDeny;
  // The rules of that effect, by id; empty when nothing matched and the default denies.
  std::vector<RuleMatch> by;
  std::vector<RuleMatch> matched;  // Every enforced rule that matched, whatever its effect, by id.
  std::vector<RuleMatch> monitored;  // Every monitor rule that would have matched, by id.
  Requirements require;              // Of all matching approval rules together: the strictest.
  ApprovalTerms approve;             // Likewise: everybody, and the shortest.
  // Of all enforced rules that matched or might, by id; none where the effect is to deny. With an
  // approval, only those beyond which calls are denied.
  std::vector<TakenLimit> limits;
};

// The decision once `spent`, one of its limits, beyond which calls need approval, is found spent.
Decision over_limit(Decision decision, const TakenLimit& spent);

// The effect of enforced rules that matched, in any order; none: the default denies.
Effect strictest_effect(const std::vector<RuleMatch>& matched);

// What reading the item could tell that some rule hangs on, as rule files name it, sorted:
// affected_mailboxes (a recall's recipients), categories, folder, message_age, recipients, sender,
// size. Empty: nothing about the item can change the decision.
std::vector<std::string> item_facts_in_doubt(const RuleSet& rules, const Facts& facts);

Decision decide(const RuleSet& rules, const Facts& facts);

}  // namespace holdfast::approval
