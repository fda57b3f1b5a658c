#include "officers/generations_api.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/json.h"
#include "officers/collection.h"
#include "officers/paging.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using approval::StoredGeneration;
using nlohmann::json;

constexpr int kListMax = 200;
constexpr int kProposalAttempts = 5;
constexpr const char* kNoGeneration = "there is no generation of that number";

json generation_json(const StoredGeneration& generation) {
  const json& document = generation.document;
  const json& offer = document.at("offer");
  json shown = {{"generation", generation.name.number},
                {"revision", generation.name.revision},
                {"sha256", generation.name.sha256},
                {"state", generation.state},
                {"offered_at", document.value("offered_at", json())},
                {"offered_by", {{"writer", document.value("writer", json())}}},
                {"loosens", offer.value("loosens", json::array())},
                {"people", offer.value("people", json())},
                {"files", offer.value("files", json::array())}};
  if (document.contains("decided_at")) shown["decided_at"] = document.at("decided_at");
  if (document.contains("recovery")) shown["recovery"] = document.at("recovery");
  const json decision = document.value("decision", json::object());
  for (const char* name : {"event", "by", "comment", "reason"}) {
    if (decision.contains(name)) shown["decision"][name] = decision.at(name);
  }
  return shown;
}

Task<http::Response> list_generations(const ApiServices& services, const Asked& asked) {
  Page page{.before = {}, .limit_max = kListMax};
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (auto refusal = take_paging(parameter, page)) co_return *std::move(refusal);
  }
  const auto found = co_await services.generations.list(page.before, page.at_most);
  if (!found.ok()) co_return failure(found.error());
  json values = json::array();
  for (const StoredGeneration& generation : *found) values.push_back(generation_json(generation));
  const std::int64_t last = found->empty() ? 0 : found->back().name.number;
  json shown = page_json(asked, kGenerations, page, std::move(values), last);
  co_return co_await answer_list(services.log, asked, kGenerations, std::move(shown));
}

// The generation, its rule file, and what it changes.
Result<json> shown_in_full(const StoredGeneration& generation, const approval::SourceFiles& files,
                           const Result<std::vector<std::string>>& changes) {
  json shown = generation_json(generation);
  if (!files.empty()) shown["rules"] = files.front().bytes;
  if (changes.ok()) {
    shown["changes"] = *changes;
  } else if (changes.error().code == ErrorCode::kInvalid) {
    shown["changes_unknown"] = changes.error().message;
  } else {
    return changes.error();
  }
  return shown;
}

Task<http::Response> show_generation(const ApiServices& services, const Asked& asked,
                                     std::int64_t number) {
  const auto found = co_await services.generations.find(number);
  if (!found.ok()) co_return failure(found.error());
  std::optional<json> shown;
  if (*found) {
    const Result<approval::SourceFiles> files = co_await services.generations.files(number);
    if (!files.ok()) co_return failure(files.error());
    const auto changes = co_await services.generations.changes(number);
    Result<json> in_full = shown_in_full(**found, *files, changes);
    if (!in_full.ok()) co_return failure(in_full.error());
    shown = *std::move(in_full);
  }
  json query = {{"number", number}};
  co_return co_await answer_one(services.log, asked, kOneGeneration, std::move(query),
                                std::move(shown), kNoGeneration);
}

struct Decision {
  std::string_view path_end;
  const char* event;
  const char* text_name;
  Needed text_needed;
};

constexpr std::array<Decision, 2> kDecisions = {{{"/approve", "approved", "comment", Needed::kNo},
                                                 {"/reject", "rejected", "reason", Needed::kYes}}};

// What the officer means to decide on, and says to it.
struct Said {
  std::string sha256;
  std::string text;
};

Task<std::variant<Said, http::Response>> said(const Asked& asked, const Decision& verb) {
  std::variant<json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  Said said;
  for (const auto& [name, value] : std::get<json>(body).items()) {
    const bool is_known = name == "sha256" || name == verb.text_name;
    if (!is_known || !value.is_string()) {
      co_return problem(
          400,
          std::string("the body may have the texts sha256 and ") + verb.text_name + ", and no more",
          name);
    }
    (name == "sha256" ? said.sha256 : said.text) = value.get<std::string>();
  }
  if (said.sha256.empty()) {
    co_return problem(400, "sha256 is needed: the hash of the generation that you mean", "sha256");
  }
  if (auto refusal = bad_text(said.text, verb.text_name, verb.text_needed)) {
    co_return *std::move(refusal);
  }
  co_return said;
}

// Why this officer may not decide; empty: they may.
std::string cannot_decide(const ApiServices& services, const Officer& officer) {
  if (!officer.has(OfficerRole::kAdmin)) {
    return "You can't decide on rules because your role does not allow it: it takes admin.";
  }
  if (officer.person.accounts.empty()) {
    return "You can't decide on rules because your token does not say which person you are.";
  }
  const bool tokens = services.token_approvals == approval::TokenApprovals::kAllowed;
  if (officer.by_api_token && !tokens) {
    return "You can't decide on rules with an API token: sign in.";
  }
  return {};
}

// Decides on the generation as it stands; where the rules in force change first, once more.
Task<http::Response> decide_generation(const ApiServices& services, const Asked& asked,
                                       std::int64_t number, const Decision& verb) {
  const std::string refusal = cannot_decide(services, asked.officer);
  if (!refusal.empty()) co_return problem(403, refusal);
  std::variant<Said, http::Response> body = co_await said(asked, verb);
  if (auto* answer = std::get_if<http::Response>(&body)) co_return std::move(*answer);
  const Said& meant = std::get<Said>(body);
  for (int attempt = 0; attempt < kProposalAttempts; ++attempt) {
    const auto found = co_await services.generations.find(number);
    if (!found.ok()) co_return failure(found.error());
    if (!found->has_value()) co_return problem(404, kNoGeneration);
    const StoredGeneration& generation = **found;
    if (generation.name.sha256 != meant.sha256) {
      co_return problem(409, "the generation's hash is " + generation.name.sha256);
    }
    if (generation.state != "pending") {
      co_return problem(409, "the generation does not wait: it is " + generation.state);
    }
    const auto active = co_await services.generations.active();
    if (!active.ok()) co_return failure(active.error());
    json change = approval::generation_change(verb.event, generation.name, *active);
    change["by"] = officer_json(asked.officer);
    if (!meant.text.empty()) change[verb.text_name] = meant.text;
    audit::Record record = change_record(audit::Kind::kRules, asked);
    record.content["rules"] = std::move(change);
    const Result<audit::RecordRef> done = co_await services.log.append(std::move(record));
    if (!done.ok() && done.error().code == ErrorCode::kRefused) continue;
    if (!done.ok()) co_return not_recorded("decisions are", done.error());
    const auto now = co_await services.generations.find(number);
    if (!now.ok()) co_return failure(now.error());
    json answer = generation_json(now->value());
    answer["record"] = to_string(done->id);
    co_return json_response(200, answer);
  }
  co_return problem(409, "others are changing the rules at the same time; look again");
}

}  // namespace

Task<http::Response> answer_generations(const ApiServices& services, const Asked& asked) {
  const std::optional<InCollection> below = in_collection(asked.target.path, kGenerations);
  const auto verb = std::ranges::find(kDecisions, below ? below->verb : "", &Decision::path_end);
  if (verb == kDecisions.end() && !is_read(asked)) co_return method_not_allowed("GET, HEAD");
  if (verb != kDecisions.end() && asked.request.head.method != "POST") {
    co_return method_not_allowed("POST");
  }
  if (!below) co_return co_await list_generations(services, asked);
  const auto number = parse_number(below->item);
  if (number && verb != kDecisions.end())
    co_return co_await decide_generation(services, asked, *number, *verb);
  if (number && below->verb.empty()) co_return co_await show_generation(services, asked, *number);
  co_return problem(404, kNoGeneration);
}

}  // namespace holdfast::officers
