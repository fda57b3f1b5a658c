#include "approval/rules.h"

#include "approval/rule_model.h"

namespace holdfast::approval {

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::kAllow:
      return "allow";
    case Effect::kRequireApproval:
      return "require_approval";
    case Effect::kDeny:
      return "deny";
    case Effect::kBreakGlass:
      return "break_glass";
  }
  return "deny";
}

std::string_view to_string(LimitBy by) {
  switch (by) {
    case LimitBy::kActor:
      return "actor";
    case LimitBy::kMailbox:
      return "mailbox";
    case LimitBy::kRule:
      return "rule";
  }
  return "rule";
}

const std::string& RuleSet::revision() const {
  return data_->revision;
}

const std::string& RuleSet::sha256() const {
  return data_->sha256;
}

}  // namespace holdfast::approval
