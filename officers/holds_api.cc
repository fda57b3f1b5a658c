#include "officers/holds_api.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::size_t kNameBytesMax = 320;
constexpr std::size_t kReasonBytesMax = 2048;

http::Response not_recorded(const Error& error) {
  return problem(503,
                 "changes of legal holds are recorded, and the audit log cannot take the record: " +
                     error.message);
}

json hold_json(const Hold& hold) {
  json history = json::array();
  for (const json& taken : hold.document.at("history")) {
    json step = {{"event", taken.at("event")},
                 {"at", taken.at("at")},
                 {"by", taken.at("by").at("name")},
                 {"record", taken.at("record")}};
    if (taken.contains("reason")) step["reason"] = taken.at("reason");
    history.push_back(std::move(step));
  }
  json shown = {{"id", to_string(hold.id)},
                {"state", hold.state},
                {"mailboxes", hold.document.at("mailboxes")},
                {"reason", hold.document.at("reason")},
                {"history", std::move(history)}};
  if (!hold.waits_on.accounts.empty()) shown["waits_for_other_than"] = hold.waits_on.name;
  return shown;
}

Task<http::Response> list(const ApiServices& services, const Asked& asked) {
  WhichHolds which = WhichHolds::kInForce;
  json query = json::object();
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (parameter.name != "state") {
      co_return problem(400, parameter.name + " is not a parameter of this request",
                        parameter.name);
    }
    if (parameter.value != "in_force" && parameter.value != "all") {
      co_return problem(400, "state must be in_force or all", "state");
    }
    which = parameter.value == "all" ? WhichHolds::kAll : WhichHolds::kInForce;
    query["state"] = parameter.value;
  }
  const Result<std::vector<Hold>> found = co_await services.holds.list(which);
  if (!found.ok()) co_return failure(found.error());
  const Status recorded =
      co_await record_access(services.log, asked, kHolds, std::move(query), found->size());
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  json values = json::array();
  for (const Hold& hold : *found) values.push_back(hold_json(hold));
  const json body = {{"count", values.size()}, {"value", std::move(values)}};
  co_return json_response(200, body);
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

struct Placing {
  std::vector<std::string> mailboxes;
  std::string reason;
};

// What is asked for, or what is wrong with it.
std::variant<Placing, http::Response> placing_of(const json& body) {
  for (const auto& [name, value] : body.items()) {
    if (name != "mailboxes" && name != "reason") {
      return problem(400, "the body may have mailboxes and reason, and no more", name);
    }
  }
  Placing placing;
  const json names = body.value("mailboxes", json());
  for (const json& name : names.is_array() ? names : json::array()) {
    std::string text = name.is_string() ? ascii_lower(name.get<std::string>()) : std::string();
    if (is_blank(text) || text.size() > kNameBytesMax || to_text(text) != text || text == "me") {
      placing.mailboxes.clear();
      break;
    }
    placing.mailboxes.push_back(std::move(text));
  }
  if (placing.mailboxes.empty() || placing.mailboxes.size() > kHoldNamesMax) {
    return problem(400,
                   "mailboxes must be a list of 1 to 50 names: user principal names, addresses "
                   "or object ids, and not me",
                   "mailboxes");
  }
  const json reason = body.value("reason", json());
  if (reason.is_string()) placing.reason = reason.get<std::string>();
  if (is_blank(placing.reason) || placing.reason.size() > kReasonBytesMax) {
    return problem(400, "reason must be a text of 1 to 2048 bytes", "reason");
  }
  return placing;
}

http::Response refusal_of(const Error& error) {
  return problem(error.code == ErrorCode::kRefused ? 403 : 409, error.message);
}

// Appends the record, and shows the hold as the database has it then.
Task<http::Response> change(const ApiServices& services, const Asked& asked, Uuid id, json content,
                            int status) {
  audit::Record record = change_record(audit::Kind::kSystem, asked);
  record.content["system"] = std::move(content);
  const Result<audit::RecordRef> made = co_await services.log.append(std::move(record));
  if (!made.ok()) co_return not_recorded(made.error());
  const Result<std::optional<Hold>> now = co_await services.holds.find(id);
  if (!now.ok()) co_return failure(now.error());
  if (!now->has_value()) co_return problem(503, "the legal hold cannot be read back");
  const std::string record_id = to_string(made->id);
  const json& history = (*now)->document.at("history");
  const bool taken = std::ranges::any_of(
      history, [&](const json& step) { return step.at("record") == record_id; });
  if (!taken) co_return problem(409, "somebody else changed this legal hold first; look again");
  json body = hold_json(**now);
  body["record"] = record_id;
  co_return json_response(status, body);
}

Task<http::Response> place(const ApiServices& services, const Asked& asked) {
  std::variant<json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  std::variant<Placing, http::Response> parsed = placing_of(std::get<json>(body));
  if (auto* refusal = std::get_if<http::Response>(&parsed)) co_return std::move(*refusal);
  const Placing& placing = std::get<Placing>(parsed);
  const Uuid id = make_uuid_v7(services.clock.now());
  Result<json> content = hold_placing(id, placing.mailboxes, placing.reason, asked.officer);
  if (!content.ok()) co_return refusal_of(content.error());
  co_return co_await change(services, asked, id, *std::move(content), 201);
}

// Why the step is taken, or what is wrong with the body.
std::variant<std::string, http::Response> reason_of(const json& body) {
  std::string reason;
  for (const auto& [name, value] : body.items()) {
    if (name != "reason" || !value.is_string()) {
      return problem(400, "the body may have a text called reason and no more", name);
    }
    reason = value.get<std::string>();
  }
  if (reason.size() > kReasonBytesMax) return problem(400, "reason is too long", "reason");
  return reason;
}

Task<http::Response> step(const ApiServices& services, const Asked& asked, Uuid id, HoldVerb verb) {
  std::variant<json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  std::variant<std::string, http::Response> reason = reason_of(std::get<json>(body));
  if (auto* refusal = std::get_if<http::Response>(&reason)) co_return std::move(*refusal);
  const Result<std::optional<Hold>> found = co_await services.holds.find(id);
  if (!found.ok()) co_return failure(found.error());
  if (!found->has_value()) co_return problem(404, "there is no legal hold with that id");
  Result<json> content = hold_step(**found, verb, std::get<std::string>(reason), asked.officer,
                                   services.token_approvals);
  if (!content.ok()) co_return refusal_of(content.error());
  co_return co_await change(services, asked, id, *std::move(content), 200);
}

}  // namespace

bool is_holds_path(std::string_view path) {
  return path == kHolds || path.starts_with(std::string(kHolds) + "/");
}

Task<http::Response> answer_holds(const ApiServices& services, const Asked& asked) {
  const std::string& method = asked.request.head.method;
  std::string_view rest = asked.target.path;
  rest.remove_prefix(kHolds.size());
  const bool is_list = rest.empty();
  if (is_list && (method == "GET" || method == "HEAD")) co_return co_await list(services, asked);
  if (method != "POST") co_return method_not_allowed(is_list ? "GET, HEAD, POST" : "POST");
  if (is_list) co_return co_await place(services, asked);
  rest.remove_prefix(1);
  constexpr std::array<std::pair<std::string_view, HoldVerb>, 2> kVerbs = {
      {{"/confirm", HoldVerb::kConfirm}, {"/lift", HoldVerb::kLift}}};
  for (const auto& [end, verb] : kVerbs) {
    if (!rest.ends_with(end)) continue;
    const auto id = parse_uuid(rest.substr(0, rest.size() - end.size()));
    if (id) co_return co_await step(services, asked, *id, verb);
  }
  co_return problem(404, "there is no such legal hold, or nothing of it with that name");
}

}  // namespace holdfast::officers
