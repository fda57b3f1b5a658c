// What the data plane writes into records: the members that docs/audit_format.md defines, made from
// plain values. Pure. Nothing here may hold a token, a key or a body.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "approval/approval.h"
#include "approval/decide.h"
#include "approval/review.h"
#include "audit/record.h"
#include "graph/operation.h"
#include "identity/actor.h"
#include "proxy/call.h"
#include "proxy/refusal.h"
#include "proxy/refusal_budget.h"
#include "proxy/upstream.h"

namespace holdfast::proxy {

// Everything that the records of one guarded call say in common.
struct Subject {
  const Call& call;
  std::optional<graph::Operation> operation;
  std::optional<identity::Actor> actor;
  std::vector<std::string> mailbox_names;         // As resolved; empty when unknown.
  std::optional<approval::ApprovedCall> claim{};  // What the call's intent claims.
  std::optional<approval::Opening> review{};      // Or that it goes past its approval.
  std::string preimage{};  // What was read of the item, as canonical JSON; empty: it was not read.
};

// A decision together with the rules and facts it was made from.
struct DecisionBasis {
  approval::Decision decision;
  approval::Facts facts;
  std::int64_t rules_generation = 0;
  std::string rules_sha256;
  std::string rules_revision;
};

// Why a call was not forwarded, as the record says it.
struct RefusalNote {
  // deny, require_approval, bad_request, unauthenticated, unavailable, cancel
  std::string effect;
  std::string reason;
  int status = 0;                        // What the client was answered.
  std::optional<ApprovalNote> approval;  // What the record says of one, and does to it.
};

// What all records of one call say of it, written once for the two of a call that is forwarded.
using CallMembers = std::vector<audit::WrittenMember>;
CallMembers call_members(const Subject& subject);

// What the call acts on. Canonical JSON.
std::string operation_content(const Subject& subject);

// Who asks, to be told from who decides.
approval::Identity requester_of(const Subject& subject, const DecisionBasis& basis);

// The limits that a call takes: what each counts together, on which mailbox, and how many.
// Canonical JSON.
std::vector<std::string> limits_content(const Subject& subject,
                                        const std::vector<approval::TakenLimit>& limits);

audit::Record intent_record(const Subject& subject, CallMembers members,
                            const DecisionBasis& basis);
audit::Record outcome_record(const Subject& subject, CallMembers members,
                             const ForwardResult& result, std::chrono::microseconds duration);
// `basis` is nullptr where the rules were never asked.
audit::Record refusal_record(const Subject& subject, const RefusalNote& note,
                             const DecisionBasis* basis);
// One record for refusals that were only counted.
audit::Record counted_refusals_record(const UnrecordedRefusals& count, WallTime now);

}  // namespace holdfast::proxy
