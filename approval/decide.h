// The decision itself: a pure function of rules and facts.
//
// Deny-overrides and free of order: deny > require_approval > allow > default deny. Unknown facts
// restrict: they make deny and require_approval rules match, allow and break_glass rules not match,
// and `unless` not exempt. So where only an approval rule in doubt speaks for a call, people are
// asked, who are told what is not known. A rule in monitor mode is evaluated and reported but
// changes nothing.
//
// A break_glass rule that matches changes no effect. It is a way past an approval for who asks for
// it and says why; each such rule by itself is enough. It is none where rules in doubt are all that
// opens the call: what is not known then is for others to judge.
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

// A way past the approval that a call needs, and what it costs.
struct BreakGlass {
  RuleMatch rule;
  Requirements require;                   // At least one character of justification.
  std::chrono::seconds review_within{0};  // An officer has so long to review the call.
};

struct Decision {
  Effect effect = Effect::kDeny;
  // The rules of that effect, by id; empty when nothing matched and the default denies.
  std::vector<RuleMatch> by;
  std::vector<RuleMatch> matched;  // Every enforced rule that matched, whatever its effect, by id.
  std::vector<RuleMatch> monitored;  // Every monitor rule that would have matched, by id.
  // The unknown facts that some enforced rule hangs on, whether it matched or not, sorted. Without
  // any, all else here is plain.
  std::vector<std::string> in_doubt;
  Requirements require;   // Of all matching approval rules together: the strictest.
  ApprovalTerms approve;  // Likewise: everybody, and the shortest.
  // The same of those alone that matched beyond doubt; no stages: none did.
  Requirements plain_require;
  ApprovalTerms plain_approve;
  // Of all enforced rules that matched or might, by id; none where the effect is to deny. With an
  // approval, only those beyond which calls are denied.
  std::vector<TakenLimit> limits;
  std::vector<TakenLimit> spent;  // Why the call needs approval; nothing is taken from these.
  // By id; none where the effect is to deny, or no rule opens the call for sure.
  std::vector<BreakGlass> break_glass;
};

// The decision once `spent`, one of its limits, beyond which calls need approval, is found spent.
Decision over_limit(Decision decision, const TakenLimit& spent);

// The effect of enforced rules that matched, in any order; none: the default denies. Never
// break_glass.
Effect strictest_effect(const std::vector<RuleMatch>& matched);

// What reading the item could tell that some rule hangs on, as rule files name it, sorted:
// affected_mailboxes (a recall's recipients), categories, folder, message_age, recipients, sender,
// size. Empty: nothing about the item can change the decision.
std::vector<std::string> item_facts_in_doubt(const RuleSet& rules, const Facts& facts);

Decision decide(const RuleSet& rules, const Facts& facts);

// The decision where `matched` are the enforced rules that matched, and `limited_by` the ids of
// those whose limits are taken: of a call that these rules have decided before. By their ids the
// rules say what they ask for; no list is looked at.
Decision decision_by(const RuleSet& rules, std::vector<RuleMatch> matched,
                     const std::vector<std::string>& limited_by);

}  // namespace holdfast::approval
