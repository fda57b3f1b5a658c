#include "approval/approval.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "approval/requirements.h"
#include "base/encoding.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;
using enum ApprovalState;

constexpr std::size_t kReasonBytesMax = 2048;

bool share(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::any_of(a, [&](const std::string& text) {
    return !text.empty() && std::ranges::find(b, text) != b.end();
  });
}

std::optional<std::string> paper_in(const json& filed, const char* name) {
  const auto request = filed.find("request");
  if (request == filed.end() || !request->contains(name)) return std::nullopt;
  return request->at(name).get<std::string>();
}

// Whether the people and the papers that an approval was filed with are what is asked for now.
bool has_people_and_papers(const std::vector<ApprovalStage>& stages,
                           const std::optional<std::string>& justification,
                           const std::optional<std::string>& ticket, const Requirements& require,
                           const ApprovalTerms& terms) {
  // An empty ticket is recorded as none.
  return covers(stages, terms.stages) &&
         check_requirements(require, justification, ticket.value_or("")).ok();
}

// Whether a time that is shorter than the one that was filed has passed.
bool is_over_already(const std::optional<std::chrono::seconds>& wanted,
                     std::chrono::seconds none_wanted, std::chrono::seconds filed, WallTime since,
                     WallTime now) {
  const std::chrono::seconds within = wanted.value_or(none_wanted);
  return within < filed && now >= since + within;
}

// Of the database; long ago where it is none, so that what counts from it is over.
WallTime time_of(const std::string& text) {
  const Result<WallTime> time = parse_rfc3339(text);
  return time.ok() ? *time : WallTime{};
}

// What the state is called in a sentence about why nothing more can be done.
std::string_view state_in_words(ApprovalState state) {
  switch (state) {
    case kPending:
      return "it is still pending";
    case kApproved:
      return "it is approved already";
    case kRejected:
      return "it was rejected";
    case kCancelled:
      return "it was cancelled by who asked for it";
    case kExpired:
      return "it has expired";
    case kInvalidated:
      return "the rules, or who broke the glass, have ended it since";
    case kRevoked:
      return "it was revoked";
    case kClaimed:
    case kExecuted:
    case kUnknown:
    case kFailed:
      break;
  }
  return "it has been used";
}

Error not_in_this_state(std::string_view verb, const Approval& approval) {
  return {ErrorCode::kInvalid, "You can't " + std::string(verb) + " this because " +
                                   std::string(state_in_words(approval.state)) + "."};
}

Error not_by_you(std::string_view verb, const std::string& why) {
  return {ErrorCode::kRefused, "You can't " + std::string(verb) + " this because " + why + "."};
}

bool is_member(const ApprovalStage& stage, const Approver& approver) {
  if (stage.group.empty()) return true;
  return std::ranges::any_of(approver.groups, [&](const std::string& group) {
    return ascii_iequals(group, stage.group) || group == stage.from;
  });
}

std::vector<std::size_t> places_of(const Approval& approval) {
  std::vector<std::size_t> places;
  places.reserve(approval.stages.size());
  for (const ApprovalStage& stage : approval.stages) {
    places.push_back(static_cast<std::size_t>(stage.count));
  }
  return places;
}

StageIndexes stages_of(const Approval& approval, const Approver& approver) {
  StageIndexes stages;
  for (std::size_t i = 0; i < approval.stages.size(); ++i) {
    if (is_member(approval.stages[i], approver)) stages.push_back(i);
  }
  return stages;
}

std::vector<StageIndexes> people_of(const Approval& approval) {
  std::vector<StageIndexes> people;
  people.reserve(approval.consents.size() + 1);
  for (const Consent& consent : approval.consents) people.push_back(consent.stages);
  return people;
}

// The stages that those who approved count for, and behind them one more, who may count for
// `stages`.
std::vector<std::optional<std::size_t>> with_one_more(const Approval& approval,
                                                      StageIndexes stages) {
  std::vector<StageIndexes> people = people_of(approval);
  people.push_back(std::move(stages));
  return fill_places(places_of(approval), people);
}

bool is_complete(const Approval& approval, const std::vector<std::optional<std::size_t>>& counted) {
  const std::vector<std::size_t> places = places_of(approval);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (std::cmp_less(std::ranges::count(counted, std::optional(i)), places[i])) return false;
  }
  return true;
}

// "compliance", "compliance or legal", of the stages that would count one more person: for their
// own place, or for that of somebody who then counts for another stage.
std::string open_stages(const Approval& approval) {
  std::string text;
  for (std::size_t i = 0; i < approval.stages.size(); ++i) {
    if (!with_one_more(approval, {i}).back()) continue;
    const std::string& from = approval.stages[i].from;
    text += (text.empty() ? "" : " or ") + (from.empty() ? std::string("an approver") : from);
  }
  return text;
}

// Records that do not name them have the stage that the person was booked under.
StageIndexes stages_in(const json& content) {
  if (content.contains("stages")) return content.at("stages").get<StageIndexes>();
  return {content.at("stage").get<std::size_t>()};
}

std::vector<Consent> consents_from(const json& history) {
  std::vector<Consent> consents;
  for (const json& taken : history) {
    if (taken.at("name") != "approve") continue;
    const json& content = taken.at("content");
    consents.push_back({.stages = stages_in(content),
                        .stage = std::nullopt,
                        .person = identity_from(content.at("by")),
                        .at = taken.at("at").get<std::string>()});
  }
  return consents;
}

// Settles which stage each consent counts for.
void place_consents(Approval& approval) {
  const auto counted = fill_places(places_of(approval), people_of(approval));
  for (std::size_t i = 0; i < counted.size(); ++i) approval.consents[i].stage = counted[i];
}

json decision(const Approval& approval, const Approver& approver, ApprovalState state) {
  return {{"by", to_json(approver)},
          {"code", to_string(approval.code)},
          {"state", to_string(state)},
          {"step", approval.step + 1}};
}

void add_text(json& content, const char* name, std::string_view text) {
  if (!text.empty()) content[name] = to_text(text, kReasonBytesMax);
}

}  // namespace

bool is_same(const Identity& a, const Identity& b) {
  return share(a.accounts, b.accounts) || share(a.names, b.names);
}

json to_json(const Identity& identity) {
  return {
      {"accounts", identity.accounts}, {"name", to_text(identity.name)}, {"names", identity.names}};
}

Identity identity_from(const json& object) {
  return {.name = object.at("name").get<std::string>(),
          .accounts = object.at("accounts").get<std::vector<std::string>>(),
          .names = object.at("names").get<std::vector<std::string>>()};
}

json to_json(const Approver& approver) {
  json by = to_json(approver.person);
  by["person"] = approver.person.accounts.empty() ? "" : approver.person.accounts.front();
  by["via"] = approver.by_api_token ? "token" : "sign_in";
  return by;
}

std::optional<std::string> bar(const Identity& requester, const Approver& approver) {
  if (!approver.may_approve) return "your role does not let you decide on approvals";
  if (approver.person.accounts.empty()) {
    return "your sign-in does not say which person you are";
  }
  if (is_same(approver.person, requester)) return "you asked for it yourself";
  return std::nullopt;
}

std::string home_name(std::string_view name) {
  std::string text = ascii_lower(name);
  const std::size_t mark = text.find("#ext#");
  if (mark == std::string::npos) return text;
  text.resize(mark);
  if (const std::size_t at = text.rfind('_'); at != std::string::npos) text[at] = '@';
  return text;
}

json reasons_of(const Decision& decision) {
  json why = json::array();
  for (const RuleMatch& match : std::views::take(decision.by, kReasonsMax)) {
    json reason = {{"rule", match.id}};
    if (!match.title.empty()) reason["title"] = to_text(match.title);
    if (!match.unknown_facts.empty()) reason["unknown_facts"] = match.unknown_facts;
    why.push_back(std::move(reason));
  }
  return why;
}

Identity requester_of(const identity::Actor& actor, std::span<const std::string> own_names) {
  Identity requester{.name = actor.name, .accounts = {actor_key(actor)}, .names = {}};
  std::vector<std::string>& names = requester.names;
  const auto add = [&](const std::string& name) {
    std::string home = to_text(home_name(name));
    if (std::ranges::find(names, home) == names.end()) names.push_back(std::move(home));
  };
  if (actor.kind == identity::ActorKind::kUser && !actor.name.empty()) add(actor.name);
  // The mailbox's id is no name that people sign in by.
  for (const std::string& name : own_names) {
    if (name.find('@') != std::string::npos) add(name);
  }
  return requester;
}

std::vector<ApprovalStage> stages_from(const json& array) {
  std::vector<ApprovalStage> stages;
  for (const json& item : array) {
    stages.push_back({.from = item.at("from").get<std::string>(),
                      .group = item.at("group").get<std::string>(),
                      .count = item.at("count").get<int>()});
  }
  return stages;
}

Result<Approval> read_approval(json document) {
  try {
    Approval approval;
    const json& filed = document.at("filing");
    const auto state = parse_approval_state(document.at("state").get<std::string>());
    const auto code = parse_uuid(document.at("code").get<std::string>());
    const auto binding = binding_from(filed.at("bound"));
    if (!state || !code || !binding) return Error{ErrorCode::kInternal, "not an approval"};
    approval.code = *code;
    approval.number = document.at("number").get<std::int64_t>();
    approval.state = *state;
    approval.answers = document.at("answers").get<bool>();
    approval.step = document.at("step").get<std::int64_t>();
    approval.filed_at = document.at("filed_at").get<std::string>();
    approval.decide_by = document.at("decide_by").get<std::string>();
    if (document.at("use_by").is_string()) approval.use_by = document.at("use_by");
    if (document.at("claim_record").is_string()) {
      approval.claim_record = parse_uuid(document.at("claim_record").get<std::string>());
    }
    approval.binding = *binding;
    approval.requester = identity_from(filed.at("requested_by"));
    approval.stages = stages_from(filed.at("stages"));
    approval.decide_within = std::chrono::seconds(filed.at("decide_within_s").get<std::int64_t>());
    approval.use_within = std::chrono::seconds(filed.at("use_within_s").get<std::int64_t>());
    approval.justification = paper_in(filed, "justification");
    approval.ticket = paper_in(filed, "ticket");
    for (const json& taken : document.at("history")) {
      approval.closing_reason = taken.at("content").value("reason", approval.closing_reason);
    }
    approval.consents = consents_from(document.at("history"));
    place_consents(approval);
    approval.document = std::move(document);
    return approval;
  } catch (const json::exception& problem) {
    return Error{ErrorCode::kInternal, std::string("not an approval: ") + problem.what()};
  }
}

ApprovedCall approved_call(const Approval& approval) {
  return {.code = approval.code,
          .binding = approval.binding.digest(),
          .stages = approval.stages,
          .use_within = approval.use_within,
          .approved_at =
              time_of(approval.consents.empty() ? approval.filed_at : approval.consents.back().at),
          .justification = approval.justification,
          .ticket = approval.ticket};
}

bool covers(const std::vector<ApprovalStage>& approved, const std::vector<ApprovalStage>& wanted) {
  return std::ranges::all_of(wanted, [&](const ApprovalStage& want) {
    return std::ranges::any_of(approved, [&](const ApprovalStage& have) {
      if (want.group.empty()) return true;  // One approval by anybody.
      // By its name as well, since officers may be members by that (is_member).
      return have.group == want.group && have.from == want.from && have.count >= want.count;
    });
  });
}

bool meets(const ApprovedCall& approved, const Requirements& require, const ApprovalTerms& terms,
           WallTime now) {
  return has_people_and_papers(approved.stages, approved.justification, approved.ticket, require,
                               terms) &&
         !is_over_already(terms.use_within, kUseWithin, approved.use_within, approved.approved_at,
                          now);
}

bool meets(const Approval& approval, const Requirements& require, const ApprovalTerms& terms,
           WallTime now) {
  if (approval.state != kPending) return meets(approved_call(approval), require, terms, now);
  return has_people_and_papers(approval.stages, approval.justification, approval.ticket, require,
                               terms) &&
         !is_over_already(terms.decide_within, kDecideWithin, approval.decide_within,
                          time_of(approval.filed_at), now);
}

std::size_t consents_of(const Approval& approval, std::size_t stage) {
  return static_cast<std::size_t>(
      std::ranges::count(approval.consents, std::optional(stage), &Consent::stage));
}

json filing(const Uuid& code, const Binding& binding, const Identity& requester,
            const ApprovalTerms& terms) {
  json stages = json::array();
  for (const ApprovalStage& stage : terms.stages) {
    stages.push_back({{"count", stage.count}, {"from", stage.from}, {"group", stage.group}});
  }
  return {{"binding", to_hex(binding.digest())},
          {"bound", to_json(binding)},
          {"code", to_string(code)},
          {"decide_within_s", terms.decide_within.value_or(kDecideWithin).count()},
          {"requested_by", to_json(requester)},
          {"requester", requester.accounts.front()},
          {"stages", std::move(stages)},
          {"state", to_string(kPending)},
          {"use_within_s", terms.use_within.value_or(kUseWithin).count()}};
}

json claim(const Uuid& code, const Sha256& binding) {
  return {{"binding", to_hex(binding)}, {"code", to_string(code)}, {"state", to_string(kClaimed)}};
}

json invalidation(const Approval& approval, std::string_view reason) {
  return {{"code", to_string(approval.code)},
          {"reason", to_text(reason, kReasonBytesMax)},
          {"state", to_string(kInvalidated)}};
}

Result<json> cancel(const Approval& approval) {
  if (approval.state != kPending) return not_in_this_state("cancel", approval);
  return json{{"code", to_string(approval.code)},
              {"state", to_string(kCancelled)},
              {"step", approval.step + 1}};
}

json claim_ended(const Uuid& code, audit::CallResult result, int status) {
  ApprovalState state = kUnknown;
  switch (result) {
    case audit::CallResult::kExecuted:
      state = kExecuted;
      break;
    case audit::CallResult::kRefused:
      // Graph did not look at what it answered so.
      state = status == 401 || status == 429 ? kApproved : kFailed;
      break;
    case audit::CallResult::kNotSent:
      state = kApproved;
      break;
    case audit::CallResult::kUnknown:
      break;
  }
  return {{"code", to_string(code)}, {"state", to_string(state)}};
}

Result<json> approve(const Approval& approval, const Approver& approver, TokenApprovals tokens,
                     std::string_view comment) {
  if (const auto why = bar(approval.requester, approver)) return not_by_you("approve", *why);
  if (approver.by_api_token && tokens == TokenApprovals::kRefused) {
    return not_by_you("approve",
                      "API tokens may not approve here (audit.allow_token_approvals): sign in");
  }
  if (approval.state != kPending) return not_in_this_state("approve", approval);
  for (const Consent& consent : approval.consents) {
    if (is_same(consent.person, approver.person)) {
      return not_by_you("approve", "you have approved it already, and each stage needs others");
    }
  }
  const StageIndexes stages = stages_of(approval, approver);
  const auto counted = with_one_more(approval, stages);
  if (!counted.back()) {
    return not_by_you("approve", "it still needs " + open_stages(approval) +
                                     " to approve, and you are not one of them");
  }
  const bool complete = is_complete(approval, counted);
  json content = decision(approval, approver, complete ? kApproved : kPending);
  content["stage"] = *counted.back();
  content["stages"] = stages;
  add_text(content, "comment", comment);
  return content;
}

Result<json> reject(const Approval& approval, const Approver& approver, std::string_view reason) {
  if (const auto why = bar(approval.requester, approver)) return not_by_you("reject", *why);
  const bool member = std::ranges::any_of(
      approval.stages, [&](const ApprovalStage& stage) { return is_member(stage, approver); });
  if (!member) return not_by_you("reject", "you are not one of those who may approve it");
  if (approval.state != kPending) return not_in_this_state("reject", approval);
  json content = decision(approval, approver, kRejected);
  add_text(content, "reason", reason);
  return content;
}

Result<json> revoke(const Approval& approval, const Approver& approver, std::string_view reason) {
  if (!approver.may_revoke) {
    return not_by_you("revoke", "your role does not let you decide on approvals");
  }
  if (approval.state == kPending) {
    return Error{ErrorCode::kInvalid,
                 "You can't revoke this because it is not approved yet: reject it."};
  }
  if (approval.state != kApproved) return not_in_this_state("revoke", approval);
  json content = decision(approval, approver, kRevoked);
  add_text(content, "reason", reason);
  return content;
}

json expiry(const Uuid& code) {
  return {{"code", to_string(code)}, {"state", to_string(kExpired)}};
}

}  // namespace holdfast::approval
