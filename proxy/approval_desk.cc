#include "proxy/approval_desk.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::proxy {
namespace {

using approval::Approval;
using approval::ApprovalState;
using approval::Effect;
using nlohmann::json;

constexpr std::string_view kCodeHeader = "x-msft-approval-code";
constexpr std::string_view kBreakGlassHeader = "Holdfast-Break-Glass";

approval::Binding binding_of(const Subject& subject) {
  const http::RequestHead& head = subject.call.request.head;
  const std::string prefer = head.headers.joined("Prefer");
  return approval::bind(
      {.method = head.method,
       .target = head.target,
       .prefer = prefer,
       .body = subject.call.content ? std::string_view(*subject.call.content) : std::string_view()},
      *subject.operation, *subject.actor, subject.mailbox_names);
}

Permit refused(Refusal refusal) {
  return {.refusal = std::move(refusal), .claim = std::nullopt};
}

Permit claimed(approval::ApprovedCall approved) {
  return {.refusal = std::nullopt, .claim = std::move(approved)};
}

// What an officer is told of the decision: the rules, as their titles say it, and the limits that
// are spent and that the call would take from.
void add_reasons(const Subject& subject, const approval::Decision& decision, json& content) {
  content["why"] = approval::reasons_of(decision);
  std::vector<approval::TakenLimit> limits = decision.spent;
  limits.insert(limits.end(), decision.limits.begin(), decision.limits.end());
  for (const std::string& limit : limits_content(subject, limits)) {
    Result<json> read = parse_json(limit);
    if (read.ok()) content["limits"].push_back(*std::move(read));
  }
}

// A new request for approval, in place of one that the rules have outgrown where there is one.
Permit filed(const approval::Binding& asked, const Subject& subject, const DecisionBasis& basis,
             const Approval* outgrown) {
  if (std::optional<Refusal> missing = missing_papers(basis.decision, basis.decision.require,
                                                      subject.call.request.head.headers)) {
    return refused(*std::move(missing));
  }
  const Uuid code = make_uuid_v4();
  Refusal refusal = approval_required(basis.decision, to_string(code));
  json content =
      approval::filing(code, asked, requester_of(subject, basis), basis.decision.approve);
  add_reasons(subject, basis.decision, content);
  if (outgrown != nullptr) content["replaces"] = to_string(outgrown->code);
  refusal.approval = {.step = audit::ApprovalStep::kFile, .content = std::move(content)};
  return refused(std::move(refusal));
}

// How what was approved, or asked for, compares with what the rules ask for now.
enum class Standing {
  kEnough,
  kInDoubt,   // It may be, but for facts that are not known.
  kOutgrown,  // It is not, whatever is not known.
};

Standing standing_of(const Approval& approval, const approval::Decision& decision, WallTime now) {
  if (approval::meets(approval, decision.require, decision.approve, now)) return Standing::kEnough;
  const bool plainly =
      decision.plain_approve.stages.empty() ||
      approval::meets(approval, decision.plain_require, decision.plain_approve, now);
  return plainly ? Standing::kInDoubt : Standing::kOutgrown;
}

// What an approval that answers calls of its binding says to one.
Permit answered(Approval approval, const approval::Binding& asked, const Subject& subject,
                const DecisionBasis& basis, WallTime now) {
  switch (approval.state) {
    case ApprovalState::kPending:
    case ApprovalState::kApproved: {
      const Standing standing = standing_of(approval, basis.decision, now);
      if (standing == Standing::kOutgrown) return filed(asked, subject, basis, &approval);
      if (approval.state == ApprovalState::kPending) {
        return refused(approval_pending(basis.decision, approval));
      }
      if (standing == Standing::kInDoubt) {
        return refused(approval_in_doubt(basis.decision, approval));
      }
      return claimed(approval::approved_call(approval));
    }
    case ApprovalState::kRejected:
      return refused(approval_rejected(basis.decision, approval));
    case ApprovalState::kClaimed:
    case ApprovalState::kExecuted:
    case ApprovalState::kUnknown:
    case ApprovalState::kFailed:
      return refused(approval_used(approval));
    case ApprovalState::kCancelled:
    case ApprovalState::kExpired:
    case ApprovalState::kInvalidated:
    case ApprovalState::kRevoked:
      break;
  }
  return filed(asked, subject, basis, nullptr);
}

// Whether the approval cannot be used now: too few people have approved it, or the rules ask, or
// may ask, for more than it has.
bool still_waits(const Approval& approval, const approval::Decision& decision, WallTime now) {
  return approval.state == ApprovalState::kPending ||
         (approval.state == ApprovalState::kApproved &&
          standing_of(approval, decision, now) != Standing::kEnough);
}

// Any one rule whose papers the call has is enough. `waiting`: the approval that the call goes past
// and ends, nullptr where there is none.
Permit glass_broken(const approval::Binding& asked, const Subject& subject,
                    const approval::Decision& decision, const Approval* waiting) {
  std::optional<Refusal> missing;
  approval::Opening opening{.code = make_uuid_v4()};
  for (const approval::BreakGlass& way : decision.break_glass) {
    std::optional<Refusal> lacks =
        missing_papers(decision, way.require, subject.call.request.head.headers);
    if (!lacks) {
      opening.rules.push_back(way.rule.id);
      opening.review_within = std::max(opening.review_within, way.review_within);
    } else if (!missing) {
      missing = std::move(lacks);
    }
  }
  if (opening.rules.empty()) return refused(*std::move(missing));
  opening.binding = asked.digest();
  if (waiting != nullptr) opening.overrides = {.code = waiting->code, .step = waiting->step};
  return {.refusal = std::nullopt, .claim = std::nullopt, .review = std::move(opening)};
}

// Whether the answer would be the same whatever the facts are that are not known.
bool is_plain(const approval::Decision& denial) {
  if (denial.by.empty()) return denial.in_doubt.empty();
  return std::ranges::any_of(
      denial.by, [](const approval::RuleMatch& match) { return match.unknown_facts.empty(); });
}

bool goes_past_approval(const Subject& subject, const DecisionBasis& basis) {
  return !basis.decision.break_glass.empty() &&
         subject.call.request.head.headers.count(kBreakGlassHeader) > 0;
}

bool is_open(const Approval& approval) {
  return approval.state == ApprovalState::kPending || approval.state == ApprovalState::kApproved;
}

json stages_seen(const Approval& approval) {
  json stages = json::array();
  for (std::size_t i = 0; i < approval.stages.size(); ++i) {
    stages.push_back({{"from", approval.stages[i].from},
                      {"count", approval.stages[i].count},
                      {"approved", approval::consents_of(approval, i)}});
  }
  return stages;
}

// What who asked is shown; who decided is not among it.
json shown_to_requester(const Approval& approval) {
  json body = {{"code", to_string(approval.code)},
               {"state", to_string(approval.state)},
               {"filed_at", approval.filed_at},
               {"decide_by", approval.decide_by},
               {"stages", stages_seen(approval)}};
  if (!approval.use_by.empty()) body["use_by"] = approval.use_by;
  if (!approval.closing_reason.empty()) body["reason"] = approval.closing_reason;
  if (approval.claim_record) body["record"] = to_string(*approval.claim_record);
  return body;
}

}  // namespace

Task<Permit> ApprovalDesk::permit(const Subject& subject, const DecisionBasis& basis) {
  if (basis.decision.effect == Effect::kDeny) co_return co_await denied(subject, basis);
  const approval::Binding asked = binding_of(subject);
  if (std::optional<approval::ApprovedCall> approved = at_hand(asked, subject, basis)) {
    co_return claimed(*std::move(approved));
  }
  co_return co_await asked_for(asked, subject, basis);
}

Task<Permit> ApprovalDesk::asked_for(const approval::Binding& asked, const Subject& subject,
                                     const DecisionBasis& basis) {
  const http::Headers& headers = subject.call.request.head.headers;
  switch (headers.count(kCodeHeader)) {
    case 0:
      co_return co_await without_code(asked, subject, basis);
    case 1:
      co_return co_await with_code(headers.get(kCodeHeader), asked, subject, basis);
    default:
      co_return refused(bad_request("There is more than one x-msft-approval-code header."));
  }
}

std::optional<approval::ApprovedCall> ApprovalDesk::at_hand(const approval::Binding& asked,
                                                            const Subject& subject,
                                                            const DecisionBasis& basis) {
  const http::Headers& headers = subject.call.request.head.headers;
  // What goes past an approval, or names one that may be another, is looked at closely.
  if (headers.count(kBreakGlassHeader) > 0 || headers.count(kCodeHeader) > 1) return std::nullopt;
  std::optional<approval::ApprovedCall> approved = approvals_.at_hand(asked.digest());
  if (!approved ||
      !approval::meets(*approved, basis.decision.require, basis.decision.approve, clock_.now())) {
    return std::nullopt;
  }
  const std::string* code = headers.find(kCodeHeader);
  if (code != nullptr && parse_uuid(*code) != approved->code) return std::nullopt;
  return approved;
}

Task<Permit> ApprovalDesk::with_code(std::string_view header, const approval::Binding& asked,
                                     const Subject& subject, const DecisionBasis& basis) {
  const std::optional<Uuid> code = parse_uuid(header);
  if (!code) co_return refused(approval_mismatch(basis.decision, "code"));
  Result<std::optional<Approval>> found = co_await approvals_.find(*code);
  if (!found.ok()) co_return Permit{.unavailable = true};
  if (!found->has_value()) co_return refused(approval_mismatch(basis.decision, "code"));
  Approval& approval = **found;
  if (const auto field = approval::first_difference(approval.binding, asked)) {
    co_return refused(approval_mismatch(basis.decision, *field));
  }
  // Which call it is for is all that its code says to who goes past it.
  if (goes_past_approval(subject, basis)) co_return co_await past_approval(asked, subject, basis);
  const bool used = approval.state == ApprovalState::kFailed;
  // One that is over is asked for anew, unless that has been done already.
  if (!approval.answers && !used) co_return co_await without_code(asked, subject, basis);
  co_return answered(std::move(approval), asked, subject, basis, clock_.now());
}

Task<Permit> ApprovalDesk::without_code(const approval::Binding& asked, const Subject& subject,
                                        const DecisionBasis& basis) {
  if (goes_past_approval(subject, basis)) co_return co_await past_approval(asked, subject, basis);
  Result<std::optional<Approval>> newest = co_await approvals_.newest(asked.digest());
  if (!newest.ok()) co_return Permit{.unavailable = true};
  if (!newest->has_value() || !(*newest)->answers) {
    co_return filed(asked, subject, basis, nullptr);
  }
  co_return answered(std::move(**newest), asked, subject, basis, clock_.now());
}

// Who has an approval needs no other way; a rejection stands, and so does a use of the approval.
Task<Permit> ApprovalDesk::past_approval(const approval::Binding& asked, const Subject& subject,
                                         const DecisionBasis& basis) {
  if (subject.call.request.head.headers.joined(kBreakGlassHeader) != "true") {
    co_return refused(bad_request("Holdfast-Break-Glass can only be \"true\"."));
  }
  Result<std::optional<Approval>> newest = co_await approvals_.newest(asked.digest());
  if (!newest.ok()) co_return Permit{.unavailable = true};
  const bool answers = newest->has_value() && (*newest)->answers;
  const WallTime now = clock_.now();
  if (answers && !still_waits(**newest, basis.decision, now)) {
    co_return answered(std::move(**newest), asked, subject, basis, now);
  }
  // Sent another way, the call is no other to who has rejected it.
  const Result<std::optional<Approval>> rejection = co_await approvals_.rejection(
      operation_content(subject), approval::actor_key(*subject.actor));
  if (!rejection.ok()) co_return Permit{.unavailable = true};
  if (rejection->has_value()) co_return refused(approval_rejected(basis.decision, **rejection));
  co_return glass_broken(asked, subject, basis.decision, answers ? &**newest : nullptr);
}

// What a rule plainly forbids now ends what was asked for or approved before. A fact that could not
// be established only stops the call.
Task<Permit> ApprovalDesk::denied(const Subject& subject, const DecisionBasis& basis) {
  Refusal refusal = denied_by_rule(basis.decision);
  if (is_plain(basis.decision)) {
    const Result<std::optional<Approval>> newest =
        co_await approvals_.newest(binding_of(subject).digest());
    if (newest.ok() && newest->has_value() && is_open(**newest)) {
      refusal.approval = {.step = audit::ApprovalStep::kInvalidate,
                          .content = approval::invalidation(**newest, refusal.answer.message)};
    }
  }
  co_return refused(std::move(refusal));
}

Task<Permit> ApprovalDesk::overtaken(const Subject& subject, const DecisionBasis& basis) {
  if (basis.decision.effect == Effect::kDeny) co_return co_await denied(subject, basis);
  Permit again = co_await asked_for(binding_of(subject), subject, basis);
  const bool is_new =
      subject.review || (subject.claim && again.claim && subject.claim->code != again.claim->code);
  // Given back in this very moment by a call that Graph did not look at. Who goes past an approval
  // has lost no claim: what is approved by now is used.
  if (again.claim && !is_new) {
    co_return refused(approved_by_now(basis.decision, again.claim->code));
  }
  co_return again;
}

Task<http::Response> ApprovalDesk::own_approval(const Call& call, const identity::Actor& actor) {
  std::string_view target = call.request.head.target;
  target = target.substr(0, target.find('?'));
  const std::optional<Uuid> code = parse_uuid(target.substr(kApprovalsPrefix.size()));
  const std::string& method = call.request.head.method;
  if (method != "GET" && method != "HEAD" && method != "DELETE") {
    const ErrorAnswer answer{.status = 405,
                             .code = "HoldfastBadRequest",
                             .message = "An approval is read with GET and cancelled with DELETE.",
                             .headers = {{"Allow", "GET, HEAD, DELETE"}}};
    co_return error_response(answer, call, clock_.now());
  }
  Result<std::optional<Approval>> found = std::optional<Approval>();
  if (code) found = co_await approvals_.find(*code);
  if (!found.ok()) co_return error_response(audit_unavailable(), call, clock_.now());
  const std::string caller = approval::actor_key(actor);
  // Nobody learns of another's approval, not even that it is there.
  if (!found->has_value() || (*found)->requester.accounts.front() != caller) {
    const ErrorAnswer answer{.status = 404,
                             .code = "HoldfastNotFound",
                             .message = "There is no approval of yours with that code."};
    co_return error_response(answer, call, clock_.now());
  }
  if (method == "DELETE") co_return co_await cancel(call, actor, **found);
  http::Response response = json_response(200, shown_to_requester(**found));
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

Task<http::Response> ApprovalDesk::cancel(const Call& call, const identity::Actor& actor,
                                          const Approval& approval) {
  const Result<json> content = approval::cancel(approval);
  if (content.ok()) {
    const Subject subject{
        .call = call, .operation = std::nullopt, .actor = actor, .mailbox_names = {}};
    const RefusalNote note{
        .effect = "cancel",
        .reason = "cancelled by who asked for it",
        .status = 200,
        .approval = ApprovalNote{.step = audit::ApprovalStep::kCancel, .content = *content}};
    const Result<audit::RecordRef> recorded =
        co_await log_.append(refusal_record(subject, note, nullptr));
    if (recorded.ok()) {
      json body = shown_to_requester(approval);
      body["state"] = to_string(ApprovalState::kCancelled);
      co_return json_response(200, body);
    }
    if (recorded.error().code != ErrorCode::kRefused) {
      co_return error_response(audit_unavailable(), call, clock_.now());
    }
  }
  const ErrorAnswer answer{
      .status = 409,
      .code = "HoldfastApprovalUsed",
      .message = content.ok() ? "The approval has changed in this very moment; look again."
                              : content.error().message,
      .holdfast = approval_detail(approval)};
  co_return error_response(answer, call, clock_.now());
}

}  // namespace holdfast::proxy
