#include "approval/facts.h"

#include "base/encoding.h"

namespace holdfast::approval {

AffectedMailboxes affected_by_path(const Facts& facts) {
  AffectedMailboxes affected;
  if (!facts.mailbox || facts.mailbox->names.empty()) return affected;
  affected.known.push_back(*facts.mailbox);
  affected.complete = !facts.action.empty() && !ascii_iequals(facts.action, "recall");
  return affected;
}

}  // namespace holdfast::approval
