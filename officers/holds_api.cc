#include "officers/holds_api.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "approval/build_rules.h"
#include "base/encoding.h"
#include "graph/mailbox_key.h"
#include "officers/collection.h"
#include "officers/hold_pages.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

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

Task<http::Response> list_holds(const ApiServices& services, const Asked& asked) {
  std::variant<bool, http::Response> all = wants_all(asked, "in_force");
  if (auto* refusal = std::get_if<http::Response>(&all)) co_return std::move(*refusal);
  const WhichHolds which = std::get<bool>(all) ? WhichHolds::kAll : WhichHolds::kInForce;
  const Result<std::vector<Hold>> found = co_await services.holds.list(which);
  if (!found.ok()) co_return failure(found.error());
  json values = json::array();
  for (const Hold& hold : *found) values.push_back(hold_json(hold));
  json shown = list_json(std::move(values));
  co_return co_await answer_list(services.log, asked, kHolds, std::move(shown));
}

struct Placing {
  std::vector<std::string> mailboxes;
  std::string reason;
};

// As Graph's paths for administrators of Exchange name a mailbox: MBX:{guid}@{guid}.
bool is_exchange_id(std::string_view text) {
  constexpr std::string_view kMailboxPrefix = "mbx:";
  const std::size_t at = text.find('@');
  return text.starts_with(kMailboxPrefix) && at != std::string_view::npos &&
         graph::is_guid(text.substr(kMailboxPrefix.size(), at - kMailboxPrefix.size())) &&
         graph::is_guid(text.substr(at + 1));
}

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
    std::string text = name.is_string() ? ascii_lower(name.get<std::string>()) : name.dump();
    // A hold under a name that no record can have would hold nothing, and nobody would be told.
    if (!is_address(text) && !graph::is_guid(text) && !is_exchange_id(text)) {
      return problem(400,
                     "\"" + to_text(text, kAddressBytesMax) +
                         "\" is no user principal name, address or object id",
                     "mailboxes");
    }
    text = approval::normal_mailbox(text);
    if (std::ranges::find(placing.mailboxes, text) != placing.mailboxes.end()) continue;
    placing.mailboxes.push_back(std::move(text));
  }
  if (placing.mailboxes.empty() || placing.mailboxes.size() > kHoldNamesMax) {
    return problem(400,
                   "mailboxes must be a list of 1 to 50 names: user principal names, addresses or "
                   "object ids",
                   "mailboxes");
  }
  const json reason = body.value("reason", json());
  if (reason.is_string()) placing.reason = reason.get<std::string>();
  if (auto refusal = bad_text(placing.reason, "reason", Needed::kYes)) return *std::move(refusal);
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
  if (!made.ok()) co_return not_recorded("changes of legal holds are", made.error());
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

Task<http::Response> step(const ApiServices& services, const Asked& asked, Uuid id, HoldVerb verb) {
  std::variant<std::string, http::Response> reason =
      co_await text_of_body(asked, "reason", Needed::kNo);
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

Task<http::Response> answer_holds(const ApiServices& services, const Asked& asked) {
  const std::optional<InCollection> below = in_collection(asked.target.path, kHolds);
  if (!below && is_read(asked)) co_return co_await list_holds(services, asked);
  const bool is_post = asked.request.head.method == "POST";
  if (!is_post) co_return method_not_allowed(below ? "POST" : "GET, HEAD, POST");
  if (!below) co_return co_await place(services, asked);
  const auto id = parse_uuid(below->item);
  if (id && below->verb == "/confirm") {
    co_return co_await step(services, asked, *id, HoldVerb::kConfirm);
  }
  if (id && below->verb == "/lift") co_return co_await step(services, asked, *id, HoldVerb::kLift);
  co_return problem(404, "there is no such legal hold, or nothing of it with that name");
}

}  // namespace holdfast::officers
