// What approvals say to one guarded call: whether it may go on, what it claims then, and what its
// caller is told otherwise.
//
// One desk belongs to one pipeline and runs on its thread. It reads where approvals stand, or has
// the call's own at hand; what it answers takes effect only when the record is appended that
// carries it, and the database refuses that record where another call, an officer or the clock came
// first: then overtaken() answers.
#pragma once

#include <optional>

#include "approval/approval_source.h"
#include "audit/audit_log.h"
#include "proxy/record_content.h"
#include "proxy/refusal.h"

namespace holdfast::proxy {

inline constexpr std::string_view kApprovalsPrefix = "/holdfast/approvals/";

// Exactly one of them, unless the call is plainly allowed.
struct Permit {
  std::optional<Refusal> refusal;
  std::optional<approval::ApprovedCall> claim;             // Approved: the intent is to claim it.
  bool unavailable = false;                                // Nobody can say now.
  std::optional<approval::Opening> review = std::nullopt;  // The intent is to go past it.
};

class ApprovalDesk {
 public:
  // All must outlive the desk.
  ApprovalDesk(approval::ApprovalSource& approvals, audit::AuditLog& log, const Clock& clock)
      : approvals_(approvals), log_(log), clock_(clock) {}

  // For a call that the rules do not plainly allow. Both arguments must live until the task is
  // done, and the call's content has been read.
  Task<Permit> permit(const Subject& subject, const DecisionBasis& basis);

  // The same after another was first. A claim only of another approval than the one that the call
  // has lost (`subject.claim`), or of one that has come since it went past another
  // (`subject.review`). What it answers may be a step once more: what has run out is asked for
  // anew, and the glass may be broken past what still waits.
  Task<Permit> overtaken(const Subject& subject, const DecisionBasis& basis);

  // GET and DELETE of /holdfast/approvals/{code} by a verified caller: where the caller's own
  // approval stands, and the end of one that is no longer wanted.
  Task<http::Response> own_approval(const Call& call, const identity::Actor& actor);

 private:
  // The approval that the call was given, where it is at hand and does for the rules.
  std::optional<approval::ApprovedCall> at_hand(const approval::Binding& asked,
                                                const Subject& subject, const DecisionBasis& basis);
  Task<Permit> asked_for(const approval::Binding& asked, const Subject& subject,
                         const DecisionBasis& basis);
  Task<Permit> with_code(std::string_view header, const approval::Binding& asked,
                         const Subject& subject, const DecisionBasis& basis);
  Task<Permit> without_code(const approval::Binding& asked, const Subject& subject,
                            const DecisionBasis& basis);
  Task<Permit> past_approval(const approval::Binding& asked, const Subject& subject,
                             const DecisionBasis& basis);
  Task<Permit> denied(const Subject& subject, const DecisionBasis& basis);
  Task<http::Response> cancel(const Call& call, const identity::Actor& actor,
                              const approval::Approval& approval);

  approval::ApprovalSource& approvals_;
  audit::AuditLog& log_;
  const Clock& clock_;
};

}  // namespace holdfast::proxy
