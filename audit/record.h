// A record before it is an entry: what happened, in the members that docs/audit_format.md defines.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"

namespace holdfast::audit {

enum class Kind {
  kDecision,        // Refused, or awaiting approval: nothing went to Graph.
  kIntent,          // About to be sent to Graph. Exactly one terminal record follows.
  kOutcome,         // What came of an intent: its terminal record.
  kReconciliation,  // Later evidence about an outcome that was unknown.
  kApproval,        // A step in the life of an approval.
  kAccess,          // Somebody read the audit records.
  kRules,           // The rules in force changed.
  kSystem,          // Start, stop, drain, alarms.
};

std::string_view to_string(Kind kind);

// What an outcome says of the call.
enum class CallResult {
  kExecuted,  // Graph answered 2xx.
  kRefused,   // Graph answered 4xx (but 408): it did not act.
  kNotSent,   // No byte of the request left.
  kUnknown,   // Sent, and no answer that settles it.
};

std::string_view to_string(CallResult result);

// What a record does to an approval, in the statement that appends it. The record's `approval`
// member says to which and how (docs/audit_format.md); where the approval is not in the state that
// the step needs, the record is refused.
enum class ApprovalStep {
  kNone,
  kFile,        // A decision: a call asks for one.
  kClaim,       // An intent: the call uses it up.
  kEnd,         // An outcome of an intent that claimed one. Never refused.
  kInvalidate,  // A decision: the rules now forbid what was approved.
  kCancel,      // A decision: who asked no longer wants it.
  kApprove,     // The others are approval records.
  kReject,
  kRevoke,
  kExpire,
  // Of reviews, whose content is the record's `review` member.
  kBreakGlass,  // An intent: the call goes past its approval, and is to be reviewed.
  kReview,      // An approval record: an officer has reviewed the call.
};

std::string_view to_string(ApprovalStep step);  // file, claim, …; empty for kNone

// A member of a record whose value is canonical JSON already.
struct WrittenMember {
  std::string name;
  std::string value;
};

// How the personal values of a record are kept (audit/sealing.h). Of an approval record these are
// only the values of the mailbox: the officer who decides stays named.
enum class PersonalData {
  kClear,   // In the entry, for as long as that is there.
  kSealed,  // In documents beside it, which can be erased.
};

struct Record {
  Kind kind = Kind::kSystem;
  Uuid operation_id;  // Ties decision or intent, outcome and reconciliation of one call together.
  // request, operation, actor, decision, approval, preimage, outcome, access, system as the kind
  // asks for. The log adds v, id, kind, time, writer and operation_id when it makes the entry.
  nlohmann::json content = nlohmann::json::object();
  // More members, under other names: for records so frequent that a tree for each would be most of
  // their cost (base/canonical_object.h writes them).
  std::vector<WrittenMember> written{};
  ApprovalStep approval_step = ApprovalStep::kNone;
  // An intent whose decision.limits are to be taken, or an outcome that gives back what its intent
  // took because nothing was sent.
  bool is_limited = false;
  // Of an intent: the generation of rules it was decided by. Refused where that is not in force
  // when it is committed; 0 fits only where none is.
  std::int64_t generation = 0;
  PersonalData personal_data = PersonalData::kClear;
};

// Where a durable record stands.
struct RecordRef {
  Uuid id;
  std::int64_t index = -1;  // -1: durable in the spool, not in the database yet.
};

}  // namespace holdfast::audit
