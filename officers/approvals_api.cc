#include "officers/approvals_api.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "approval/replay.h"
#include "base/encoding.h"
#include "base/json.h"
#include "officers/collection.h"
#include "officers/paging.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using approval::Approval;
using audit::ApprovalStep;
using nlohmann::json;

constexpr const char* kNoApproval = "there is no approval with that code";
// How often an officer may be overtaken by others before being told so.
constexpr int kAttempts = 10;

json stages_json(const Approval& approval) {
  json stages = json::array();
  for (std::size_t i = 0; i < approval.stages.size(); ++i) {
    const approval::ApprovalStage& stage = approval.stages[i];
    json given = json::array();
    for (const approval::Consent& consent : approval.consents) {
      if (consent.stage == i) given.push_back({{"name", consent.person.name}, {"at", consent.at}});
    }
    stages.push_back({{"from", stage.from},
                      {"group", stage.group},
                      {"count", stage.count},
                      {"approved", std::move(given)}});
  }
  return stages;
}

json history_json(const Approval& approval) {
  json history = json::array();
  for (const json& taken : approval.document.at("history")) {
    json step = {{"at", taken.at("at")},
                 {"name", taken.at("name")},
                 {"record", taken.at("record")},
                 {"state", taken.at("state")},
                 {"step", taken.at("step")}};
    const json& content = taken.at("content");
    if (content.contains("by")) step["by"] = content.at("by").at("name");
    for (const char* name : {"comment", "reason", "outcome", "replaced_by"}) {
      if (content.contains(name)) step[name] = content.at(name);
    }
    history.push_back(std::move(step));
  }
  return history;
}

json approval_json(const Approval& approval, const Officer& officer,
                   approval::TokenApprovals tokens) {
  const json& filing = approval.document.at("filing");
  json shown = {{"code", to_string(approval.code)},
                {"state", to_string(approval.state)},
                {"filed_at", approval.filed_at},
                {"decide_by", approval.decide_by},
                {"requested_by", filing.at("requested_by")},
                {"stages", stages_json(approval)},
                {"history", history_json(approval)},
                {"operation", filing.value("operation", json())},
                {"rules", filing.value("rules", json())}};
  for (const char* name : {"justification", "ticket", "method", "target", "source_ip"}) {
    const std::string text = text_at(filing, (std::string("/request/") + name).c_str());
    if (!text.empty()) shown[name] = text;
  }
  if (filing.contains("why")) shown["why"] = filing.at("why");
  if (!approval.use_by.empty()) shown["use_by"] = approval.use_by;
  if (!approval.closing_reason.empty()) shown["reason"] = approval.closing_reason;
  if (approval.claim_record) shown["record"] = to_string(*approval.claim_record);
  const Result<json> mine = approval::approve(approval, approver_of(officer), tokens, "");
  shown["you"] = {{"can_approve", mine.ok()}};
  if (!mine.ok()) shown["you"]["why_not"] = mine.error().message;
  return shown;
}

// What the list_approvals is asked for.
struct Listing {
  std::vector<approval::ApprovalState> states;  // Empty: any.
  Page page;
};

std::variant<Listing, http::Response> listing_of(const Target& target) {
  Listing listing;
  for (const audit::Parameter& parameter : target.parameters) {
    if (parameter.name == "state") {
      const auto states = parse_states(parameter.value, &approval::parse_approval_state);
      if (!states) {
        return problem(400,
                       "state must be PENDING, APPROVED or another state, or several with "
                       "commas between",
                       "state");
      }
      listing.states = *states;
    } else if (auto refusal = take_paging(parameter, listing.page)) {
      return *std::move(refusal);
    }
  }
  return listing;
}

Task<http::Response> list_approvals(const ApiServices& services, const Asked& asked) {
  std::variant<Listing, http::Response> parsed = listing_of(asked.target);
  if (auto* refusal = std::get_if<http::Response>(&parsed)) co_return std::move(*refusal);
  const Page page = std::get<Listing>(parsed).page;
  approval::ApprovalFilter filter{.states = std::get<Listing>(std::move(parsed)).states,
                                  .before = page.before,
                                  .at_most = page.at_most};
  const Result<std::vector<Approval>> found = co_await services.approvals.list(std::move(filter));
  if (!found.ok()) co_return failure(found.error());
  json values = json::array();
  for (const Approval& approval : *found) {
    values.push_back(approval_json(approval, asked.officer, services.token_approvals));
  }
  const std::int64_t last = found->empty() ? 0 : found->back().number;
  json shown = page_json(asked, kApprovals, page, std::move(values), last);
  co_return co_await answer_list(services.log, asked, kApprovals, std::move(shown));
}

// What the rules in force now say of the call, from the facts in the record that filed it; null
// where it can no longer be sent, or they cannot be had.
Task<Result<json>> ruled_now(const ApiServices& services, const Approval& approval) {
  using enum approval::ApprovalState;
  const std::optional<Uuid> filed_by = parse_uuid(text_at(approval.document, "/history/0/record"));
  if (!filed_by || (approval.state != kPending && approval.state != kApproved)) co_return json();
  const std::variant<std::int64_t, Uuid> which = *filed_by;
  const Result<audit::FoundRecord> found = co_await services.records.get(which);
  if (!found.ok() && found.error().code != ErrorCode::kNotFound) co_return found.error();
  if (!found.ok() || found->malformed) co_return json();
  const Result<json> record = parse_json(record_json(*found));
  if (!record.ok()) co_return json();
  const std::optional<approval::PastCall> call = approval::past_call(*record);
  if (!call) co_return json();
  approval::Facts facts = approval::as_of(*call, services.clock.now()).facts;
  const Result<approval::RuledNow> ruled = co_await services.generations.decide(std::move(facts));
  if (!ruled.ok() && ruled.error().code == ErrorCode::kInvalid) {
    co_return json{{"problem", ruled.error().message}};
  }
  if (!ruled.ok()) co_return ruled.error();
  co_return json{{"effect", to_string(ruled->decision.effect)},
                 {"generation", ruled->generation},
                 {"why", approval::reasons_of(ruled->decision)}};
}

Task<http::Response> show_approval(const ApiServices& services, const Asked& asked, Uuid code) {
  const Result<std::optional<Approval>> found = co_await services.approvals.find(code);
  if (!found.ok()) co_return failure(found.error());
  std::optional<json> shown;
  if (*found) {
    Result<json> context = co_await services.approvals.context(code);
    if (!context.ok()) co_return failure(context.error());
    shown = approval_json(**found, asked.officer, services.token_approvals);
    shown->update(*context);
    Result<json> ruled = co_await ruled_now(services, **found);
    if (!ruled.ok()) co_return failure(ruled.error());
    if (!ruled->is_null()) (*shown)["now"] = *std::move(ruled);
  }
  json query = {{"code", to_string(code)}};
  co_return co_await answer_one(services.log, asked, kOneApproval, std::move(query),
                                std::move(shown), kNoApproval);
}

struct Verb {
  std::string_view path_end;
  ApprovalStep step;
  const char* text_name;  // The member of the body that goes with it.
  Needed text_needed;
};

constexpr std::array<Verb, 3> kVerbs = {
    {{"/approve", ApprovalStep::kApprove, "comment", Needed::kNo},
     {"/reject", ApprovalStep::kReject, "reason", Needed::kYes},
     {"/revoke", ApprovalStep::kRevoke, "reason", Needed::kNo}}};

Result<json> judged(const Approval& approval, const Officer& officer, const Verb& verb,
                    const std::string& text, approval::TokenApprovals tokens) {
  const approval::Approver approver = approver_of(officer);
  switch (verb.step) {
    case ApprovalStep::kApprove:
      return approval::approve(approval, approver, tokens, text);
    case ApprovalStep::kReject:
      return approval::reject(approval, approver, text);
    default:
      return approval::revoke(approval, approver, text);
  }
}

// Decides on the approval as it stands; where another step comes first, on what it has become.
Task<http::Response> decide_approval(const ApiServices& services, const Asked& asked, Uuid code,
                                     const Verb& verb) {
  std::variant<std::string, http::Response> text =
      co_await text_of_body(asked, verb.text_name, verb.text_needed);
  if (auto* refusal = std::get_if<http::Response>(&text)) co_return std::move(*refusal);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Result<std::optional<Approval>> found = co_await services.approvals.find(code);
    if (!found.ok()) co_return failure(found.error());
    if (!found->has_value()) co_return problem(404, kNoApproval);
    Result<json> content =
        judged(**found, asked.officer, verb, std::get<std::string>(text), services.token_approvals);
    if (!content.ok()) {
      const bool not_you = content.error().code == ErrorCode::kRefused;
      co_return problem(not_you ? 403 : 409, content.error().message);
    }
    Result<audit::Record> record =
        co_await decision_record(services.records, asked, (*found)->document);
    if (!record.ok()) co_return failure(record.error());
    record->approval_step = verb.step;
    record->content["approval"] = *std::move(content);
    const Result<audit::RecordRef> taken = co_await services.log.append(*std::move(record));
    if (!taken.ok() && taken.error().code == ErrorCode::kRefused) continue;
    if (!taken.ok()) co_return not_recorded("decisions are", taken.error());
    const Result<std::optional<Approval>> now = co_await services.approvals.find(code);
    if (!now.ok()) co_return failure(now.error());
    json body = approval_json(now->value(), asked.officer, services.token_approvals);
    body["decision_record"] = to_string(taken->id);
    co_return json_response(200, body);
  }
  co_return problem(409, "others are deciding on this at the same time; look again");
}

}  // namespace

Task<http::Response> answer_approvals(const ApiServices& services, const Asked& asked) {
  const std::optional<InCollection> below = in_collection(asked.target.path, kApprovals);
  const auto verb = std::ranges::find(kVerbs, below ? below->verb : "", &Verb::path_end);
  if (verb == kVerbs.end() && !is_read(asked)) co_return method_not_allowed("GET, HEAD");
  if (verb != kVerbs.end() && asked.request.head.method != "POST") {
    co_return method_not_allowed("POST");
  }
  if (!below) co_return co_await list_approvals(services, asked);
  const auto code = parse_uuid(below->item);
  if (code && verb != kVerbs.end())
    co_return co_await decide_approval(services, asked, *code, *verb);
  if (code && below->verb.empty()) co_return co_await show_approval(services, asked, *code);
  co_return problem(404, kNoApproval);
}

}  // namespace holdfast::officers
