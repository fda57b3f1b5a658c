#include "officers/generations_api.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/json.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using approval::StoredGeneration;
using nlohmann::json;

constexpr int kListDefault = 50;
constexpr int kListMax = 200;
constexpr int kAttempts = 5;
constexpr std::size_t kTextBytesMax = 2048;

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

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

Task<http::Response> list(const ApiServices& services, const Asked& asked) {
  std::optional<std::int64_t> below;
  int limit = kListDefault;
  json query = json::object();
  for (const audit::Parameter& parameter : asked.target.parameters) {
    const std::optional<std::int64_t> number = parse_number(parameter.value);
    if (parameter.name == "before" && number) {
      below = number;
    } else if (parameter.name == "limit" && number && *number <= kListMax) {
      limit = static_cast<int>(*number);
    } else {
      co_return problem(400, "there may be before, a number, and limit, 1 to 200", parameter.name);
    }
    query[parameter.name] = parameter.value;
  }
  const auto found = co_await services.generations.list(below, limit);
  if (!found.ok()) co_return failure(found.error());
  const Status recorded =
      co_await record_access(services.log, asked, kGenerations, std::move(query), found->size());
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  json values = json::array();
  for (const StoredGeneration& generation : *found) values.push_back(generation_json(generation));
  const json body = {{"count", values.size()}, {"value", std::move(values)}};
  co_return json_response(200, body);
}

Task<http::Response> show(const ApiServices& services, const Asked& asked, std::int64_t number) {
  const auto found = co_await services.generations.find(number);
  if (!found.ok()) co_return failure(found.error());
  const Result<approval::SourceFiles> files = co_await services.generations.files(number);
  if (!files.ok()) co_return failure(files.error());
  Result<std::vector<std::string>> changes = std::vector<std::string>();
  if (found->has_value()) changes = co_await services.generations.changes(number);
  json query = {{"number", number}};
  const Status recorded = co_await record_access(services.log, asked, kOneGeneration,
                                                 std::move(query), found->has_value() ? 1 : 0);
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  if (!found->has_value()) co_return problem(404, "there is no generation of that number");
  json body = generation_json(**found);
  if (!files->empty()) body["rules"] = files->front().bytes;
  if (changes.ok()) {
    body["changes"] = *std::move(changes);
  } else if (changes.error().code == ErrorCode::kInvalid) {
    body["changes_unknown"] = changes.error().message;
  } else {
    co_return failure(changes.error());
  }
  co_return json_response(200, body);
}

struct Verb {
  std::string_view path_end;
  const char* event;
  const char* text_name;
  bool text_needed;
};

constexpr std::array<Verb, 2> kVerbs = {
    {{"/approve", "approved", "comment", false}, {"/reject", "rejected", "reason", true}}};

// What the officer means to decide on, and says to it.
struct Said {
  std::string sha256;
  std::string text;
};

Task<std::variant<Said, http::Response>> said(const Asked& asked, const Verb& verb) {
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
  if (said.text.size() > kTextBytesMax) {
    co_return problem(400, std::string(verb.text_name) + " is too long", verb.text_name);
  }
  if (verb.text_needed && said.text.find_first_not_of(" \t\r\n") == std::string::npos) {
    co_return problem(400, "a reason is needed", verb.text_name);
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
Task<http::Response> decide(const ApiServices& services, const Asked& asked, std::int64_t number,
                            const Verb& verb) {
  const std::string refusal = cannot_decide(services, asked.officer);
  if (!refusal.empty()) co_return problem(403, refusal);
  std::variant<Said, http::Response> body = co_await said(asked, verb);
  if (auto* answer = std::get_if<http::Response>(&body)) co_return std::move(*answer);
  const Said& meant = std::get<Said>(body);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto found = co_await services.generations.find(number);
    if (!found.ok()) co_return failure(found.error());
    if (!found->has_value()) co_return problem(404, "there is no generation of that number");
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
    if (!done.ok() && done.error().code == ErrorCode::kNotFound) continue;
    if (!done.ok()) {
      co_return problem(503, "decisions are recorded, and the audit log cannot take the record: " +
                                 done.error().message);
    }
    const auto now = co_await services.generations.find(number);
    if (!now.ok()) co_return failure(now.error());
    json answer = generation_json(now->value());
    answer["record"] = to_string(done->id);
    co_return json_response(200, answer);
  }
  co_return problem(409, "others are changing the rules at the same time; look again");
}

}  // namespace

bool is_generations_path(std::string_view path) {
  return path == kGenerations || path.starts_with(std::string(kGenerations) + "/");
}

Task<http::Response> answer_generations(const ApiServices& services, const Asked& asked) {
  const std::string& method = asked.request.head.method;
  const bool is_read = method == "GET" || method == "HEAD";
  std::string_view rest = asked.target.path;
  rest.remove_prefix(kGenerations.size());
  if (rest.empty()) {
    if (!is_read) co_return method_not_allowed("GET, HEAD");
    co_return co_await list(services, asked);
  }
  rest.remove_prefix(1);
  for (const Verb& verb : kVerbs) {
    if (!rest.ends_with(verb.path_end)) continue;
    if (method != "POST") co_return method_not_allowed("POST");
    const auto number = parse_number(rest.substr(0, rest.size() - verb.path_end.size()));
    if (!number) co_return problem(404, "there is no generation of that number");
    co_return co_await decide(services, asked, *number, verb);
  }
  if (!is_read) co_return method_not_allowed("GET, HEAD");
  const auto number = parse_number(rest);
  if (!number) co_return problem(404, "there is no generation of that number");
  co_return co_await show(services, asked, *number);
}

}  // namespace holdfast::officers
