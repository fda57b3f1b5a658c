// What new lists restrict, apart from the rest of what is new: that need not wait for an admin.
#pragma once

#include "approval/rules.h"
#include "base/clock.h"

namespace holdfast::approval {

// `active` with the lists of `own` as far as they only restrict: each list file that both have gets
// the entries that it has in `own` and lacks in `active`, loses none, and is as new as the newer of
// the two. That is done where the wider list plainly loosens nothing, compared with either list;
// any other list stays as it is in `active`. The sources() of the answer tell whether its bytes are
// others than those of `active`, or only newer. Both must have loaded; the answer has too.
//
// So a list that lost one name and got another restricts by both until an admin has approved the
// loss, and does not run out of its max_age while it waits.
RuleSet tightened(const RuleSet& active, const RuleSet& own, WallTime now);

}  // namespace holdfast::approval
