#include "proxy/refusal.h"

#include <ranges>
#include <utility>

#include "approval/requirements.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::proxy {
namespace {

using nlohmann::json;

json rules_detail(const approval::Decision& decision) {
  json rules = json::array();
  for (const approval::RuleMatch& match : std::views::take(decision.by, approval::kReasonsMax)) {
    json rule = {{"id", match.id}, {"title", match.title}};
    if (!match.unknown_facts.empty()) rule["unknown_facts"] = match.unknown_facts;
    rules.push_back(std::move(rule));
  }
  json detail = {{"rules", std::move(rules)}};
  if (!decision.by.empty()) {
    detail["rule"] = decision.by.front().id;
    detail["title"] = decision.by.front().title;
  }
  return detail;
}

// " mailbox, folder"
std::string listed(const std::vector<std::string>& facts) {
  std::string text;
  for (const std::string& fact : facts) text += (text.empty() ? " " : ", ") + fact;
  return text;
}

Refusal requirement_missing(const approval::Decision& decision, const std::string& what) {
  return {.answer = {.status = 400,
                     .code = "HoldfastJustificationRequired",
                     .message = what,
                     .holdfast = rules_detail(decision)},
          .effect = "bad_request"};
}

void add_approval(json& detail, const std::string& code, approval::ApprovalState state) {
  detail["approval"] = {{"code", code}, {"state", audit::to_string(state)}};
}

ApprovalNote seen(const std::string& code, approval::ApprovalState state) {
  return {.content = {{"code", code}, {"state", audit::to_string(state)}}};
}

Refusal waiting(const approval::Decision& decision, const std::string& code,
                approval::ApprovalState state, std::string message) {
  json detail = rules_detail(decision);
  add_approval(detail, code, state);
  for (const approval::BreakGlass& way : decision.break_glass) {
    detail["break_glass"].push_back(way.rule.id);
  }
  return {.answer = {.status = 412,
                     .code = "HoldfastApprovalRequired",
                     .message = std::move(message),
                     .holdfast = std::move(detail),
                     .headers = {{"x-msft-approval-code", code},
                                 {"Location", "/holdfast/approvals/" + code}}},
          .effect = "require_approval",
          .approval = seen(code, state)};
}

// What the client brought along for the approvers, checked; nullopt when it satisfies the rules.
std::optional<std::string> missing_requirement(const approval::Requirements& require,
                                               const http::Headers& headers) {
  std::optional<std::string> justification;
  if (const std::string* header = headers.find("x-msft-approval-justification")) {
    Result<std::string> decoded = approval::decode_justification(*header);
    if (!decoded.ok()) return decoded.error().message;
    justification = std::move(*decoded);
  }
  std::optional<std::string> ticket;
  if (const std::string* header = headers.find("Holdfast-Ticket")) ticket = *header;
  const Status enough = approval::check_requirements(require, justification, ticket);
  if (enough.ok()) return std::nullopt;
  return enough.error().message;
}

}  // namespace

Refusal bad_request(const std::string& why, int status) {
  return {.answer = {.status = status, .code = "HoldfastBadRequest", .message = why},
          .effect = "bad_request"};
}

std::optional<Refusal> ambiguous_papers(const http::Headers& headers) {
  for (const char* name : {"x-msft-approval-justification", "Holdfast-Ticket"}) {
    if (headers.count(name) > 1) {
      return bad_request(std::string("There is more than one ") + name + " header.");
    }
  }
  return std::nullopt;
}

Refusal unauthenticated(const std::string& why) {
  return {
      .answer = {.status = 401,
                 .code = "InvalidAuthenticationToken",
                 .message = why,
                 .headers = {{"WWW-Authenticate", "Bearer realm=\"\", error=\"invalid_token\""}}},
      .effect = "unauthenticated"};
}

Refusal not_admitted(const std::string& why) {
  return {.answer = {.status = 403, .code = "HoldfastDenied", .message = why},
          .effect = "unauthenticated"};
}

Refusal rejected_by_graph(const identity::GraphAnswer& graph) {
  Refusal refusal = unauthenticated("Microsoft Graph did not accept the token.");
  refusal.answer.headers.clear();
  for (const http::Header& header : graph.headers) {
    if (ascii_iequals(header.name, "WWW-Authenticate")) refusal.answer.headers.push_back(header);
  }
  const Result<json> body = parse_json(graph.body);
  if (!body.ok() || !body->is_object()) return refusal;
  const auto error = body->find("error");
  if (error == body->end() || !error->is_object()) return refusal;
  const auto take = [&error](const char* member, std::string& text) {
    const auto found = error->find(member);
    if (found != error->end() && found->is_string()) text = found->get<std::string>();
  };
  take("code", refusal.answer.code);
  take("message", refusal.answer.message);
  return refusal;
}

Refusal limit_exceeded(const approval::TakenLimit& spent) {
  const approval::Limit& limit = spent.limit;
  std::string message =
      "The limit of rule " + spent.rule.id + " is spent: " + std::to_string(limit.count) + " calls";
  if (limit.distinct_mailboxes) {
    message += " on " + std::to_string(*limit.distinct_mailboxes) + " mailboxes";
  }
  message += " in " + std::to_string(limit.per.count()) + " seconds.";
  return {.answer = {.status = 403,
                     .code = "HoldfastLimitExceeded",
                     .message = std::move(message),
                     .holdfast = {{"rule", spent.rule.id}, {"title", spent.rule.title}}},
          .effect = "deny"};
}

ErrorAnswer too_many_refusals() {
  return {.status = 403,
          .code = "HoldfastLimitExceeded",
          .message =
              "Too many calls of this caller were refused in a short time, so no request for "
              "approval was filed. Wait, then send the call again."};
}

Refusal identity_unavailable(const std::string& why) {
  return {
      .answer = {.status = 502,
                 .code = "HoldfastUpstreamUnreachable",
                 .message = "The caller could not be verified with Microsoft Graph, and nothing "
                            "was forwarded: " +
                            why},
      .effect = "unavailable"};
}

Refusal too_many_unknown_callers() {
  return {.answer = {.status = 403,
                     .code = "HoldfastLimitExceeded",
                     .message = "Too many tokens from your address were not accepted by Microsoft "
                                "Graph, so no further unknown one is tried now, and nothing was "
                                "forwarded. Wait a minute, then send the call again."},
          .effect = "unauthenticated"};
}

ErrorAnswer too_busy(RequestKind kind) {
  if (kind == RequestKind::kGuarded) {
    return {.status = 503,
            .code = "HoldfastAuditUnavailable",
            .message =
                "More guarded calls are under way than can be recorded, so nothing was "
                "recorded or forwarded."};
  }
  ErrorAnswer answer{.status = 503,
                     .code = "HoldfastOverloaded",
                     .message = "Holdfast has too much to do, so nothing was forwarded."};
  if (kind == RequestKind::kPassThrough) answer.headers.push_back({"Retry-After", "1"});
  return answer;
}

ErrorAnswer audit_unavailable() {
  return {.status = 503,
          .code = "HoldfastAuditUnavailable",
          .message = "The audit log cannot take a record now, so nothing was forwarded."};
}

Refusal denied_by_rule(const approval::Decision& decision) {
  json detail = rules_detail(decision);
  std::string message = "Denied: no rule allows this call.";
  if (!decision.by.empty()) {
    const approval::RuleMatch& rule = decision.by.front();
    message = "Denied by rule " + rule.id + ": " + rule.title + ".";
    if (!rule.unknown_facts.empty()) {
      message +=
          " It applies because these facts could not be established:" + listed(rule.unknown_facts) +
          ".";
    }
  } else if (!decision.in_doubt.empty()) {
    message +=
        " One might, but these facts could not be established:" + listed(decision.in_doubt) + ".";
    detail["unknown_facts"] = decision.in_doubt;
  }
  return {.answer = {.status = 403,
                     .code = "HoldfastDenied",
                     .message = std::move(message),
                     .holdfast = std::move(detail)},
          .effect = "deny"};
}

std::optional<Refusal> missing_papers(const approval::Decision& decision,
                                      const approval::Requirements& require,
                                      const http::Headers& headers) {
  const std::optional<std::string> missing = missing_requirement(require, headers);
  if (!missing) return std::nullopt;
  return requirement_missing(decision, *missing);
}

Refusal approval_required(const approval::Decision& decision, const std::string& code) {
  return waiting(decision, code, approval::ApprovalState::kPending,
                 "This call needs approval. It was requested with the code " + code +
                     "; send the call again once it is approved.");
}

Refusal approval_pending(const approval::Decision& decision, const approval::Approval& approval) {
  const std::string code = to_string(approval.code);
  return waiting(decision, code, approval.state,
                 "This call needs approval. It has been requested with the code " + code +
                     " and is not approved yet; send the call again once it is.");
}

Refusal approved_by_now(const approval::Decision& decision, const Uuid& code) {
  const std::string text = to_string(code);
  return waiting(decision, text, approval::ApprovalState::kApproved,
                 "This call is approved with the code " + text + "; send it again.");
}

Refusal approval_in_doubt(const approval::Decision& decision, const approval::Approval& approval) {
  const std::string code = to_string(approval.code);
  json detail = rules_detail(decision);
  add_approval(detail, code, approval.state);
  detail["unknown_facts"] = decision.in_doubt;
  return {.answer = {.status = 403,
                     .code = "HoldfastDenied",
                     .message = "This call is approved with the code " + code +
                                ". It may take more than that, because these facts could not be "
                                "established:" +
                                listed(decision.in_doubt) +
                                ". The approval stands; send the call again later.",
                     .holdfast = std::move(detail)},
          .effect = "deny",
          .approval = seen(code, approval.state)};
}

Refusal approval_rejected(const approval::Decision& decision, const approval::Approval& approval) {
  json detail = rules_detail(decision);
  add_approval(detail, to_string(approval.code), approval.state);
  std::string message = "The approval of this call was rejected";
  if (!approval.closing_reason.empty()) {
    detail["approval"]["reason"] = approval.closing_reason;
    message += ": " + approval.closing_reason;
  }
  return {.answer = {.status = 403,
                     .code = "HoldfastApprovalRejected",
                     .message = message + ".",
                     .holdfast = std::move(detail)},
          .effect = "deny",
          .approval = seen(to_string(approval.code), approval.state)};
}

Refusal approval_mismatch(const approval::Decision& decision, std::string_view field) {
  json detail = rules_detail(decision);
  detail["field"] = field;
  const std::string message =
      field == "code" ? "There is no approval with the code in x-msft-approval-code (field: code)."
                      : "The approval with that code is for another call: the " +
                            std::string(field) + " differs.";
  return {.answer = {.status = 412,
                     .code = "HoldfastApprovalMismatch",
                     .message = message,
                     .holdfast = std::move(detail)},
          .effect = "require_approval"};
}

nlohmann::json approval_detail(const approval::Approval& approval) {
  json detail = json::object();
  add_approval(detail, to_string(approval.code), approval.state);
  if (approval.claim_record) detail["record"] = to_string(*approval.claim_record);
  return detail;
}

Refusal approval_used(const approval::Approval& approval) {
  const std::string code = to_string(approval.code);
  std::string message = "The approval with the code " + code + " has been used";
  if (approval.claim_record) {
    message += "; the record of that call is " + to_string(*approval.claim_record);
  }
  return {.answer = {.status = 409,
                     .code = "HoldfastApprovalUsed",
                     .message = message + ".",
                     .holdfast = approval_detail(approval)},
          .effect = "deny",
          .approval = seen(code, approval.state)};
}

}  // namespace holdfast::proxy
