// The ways a guarded call ends before it reaches Graph: what the client is told, and what the
// record says. Pure.
#pragma once

#include <optional>
#include <string>

#include "approval/approval.h"
#include "approval/decide.h"
#include "audit/record.h"
#include "identity/graph_lookup.h"
#include "proxy/answer.h"
#include "proxy/call.h"

namespace holdfast::proxy {

// What a refusal's record says of an approval, and does to it.
struct ApprovalNote {
  audit::ApprovalStep step = audit::ApprovalStep::kNone;
  nlohmann::json content;
};

struct Refusal {
  ErrorAnswer answer;
  std::string effect;  // See RefusalNote::effect.
  std::optional<ApprovalNote> approval = std::nullopt;
};

Refusal bad_request(const std::string& why, int status = 400);
// What is said twice for the people who approve and read, so that nobody knows what was meant.
std::optional<Refusal> ambiguous_papers(const http::Headers& headers);
Refusal unauthenticated(const std::string& why);
// The client certificate names nobody who may call, or somebody else than the token.
Refusal not_admitted(const std::string& why);
// Graph's refusal of the caller's token, with its code, message and challenges: clients act on
// them.
Refusal rejected_by_graph(const identity::GraphAnswer& graph);
Refusal identity_unavailable(const std::string& why);
// Too many tokens that Graph had not accepted before came from there, and were not accepted.
Refusal too_many_unknown_callers();

// What is answered, and not recorded, when there is more to do than may be: 503. Only a request
// that is not guarded is told when to come again.
ErrorAnswer too_busy(RequestKind kind);

Refusal limit_exceeded(const approval::TakenLimit& spent);

// What is answered instead of a request for approval that could not be filed.
ErrorAnswer too_many_refusals();

// The audit log, or what it knows of approvals, cannot be reached.
ErrorAnswer audit_unavailable();

Refusal denied_by_rule(const approval::Decision& decision);

// What of `require` the call must bring along and does not; nullopt: nothing.
std::optional<Refusal> missing_papers(const approval::Decision& decision,
                                      const approval::Requirements& require,
                                      const http::Headers& headers);
// It is asked for herewith, under that code.
Refusal approval_required(const approval::Decision& decision, const std::string& code);
// It has been asked for, and is not to be claimed yet.
Refusal approval_pending(const approval::Decision& decision, const approval::Approval& approval);
// It has come to be approved while the call was looked at.
Refusal approved_by_now(const approval::Decision& decision, const Uuid& code);
// It is approved; facts that are not known may make it one that takes more. The approval stands.
Refusal approval_in_doubt(const approval::Decision& decision, const approval::Approval& approval);
Refusal approval_rejected(const approval::Decision& decision, const approval::Approval& approval);
// The code that the call names is good for another call; `field` says in what they differ.
Refusal approval_mismatch(const approval::Decision& decision, std::string_view field);
Refusal approval_used(const approval::Approval& approval);
// Where it stands, as innerError.holdfast says it: code and state, and the record of who used it.
nlohmann::json approval_detail(const approval::Approval& approval);

}  // namespace holdfast::proxy
