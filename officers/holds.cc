#include "officers/holds.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

json by_json(const Officer& officer) {
  return {{"name", officer.name},
          {"person", officer.person.accounts.front()},
          {"accounts", officer.person.accounts},
          {"names", officer.person.names},
          {"via", officer.by_api_token ? "token" : "sign_in"}};
}

approval::Identity identity_of(const json& by) {
  return {.name = by.at("name").get<std::string>(),
          .accounts = by.at("accounts").get<std::vector<std::string>>(),
          .names = by.at("names").get<std::vector<std::string>>()};
}

// What the database shows and records said; throws where it is something else.
Hold hold_of(const json& document) {
  Hold hold{.id = parse_uuid(document.at("id").get<std::string>()).value(),
            .state = document.at("state").get<std::string>(),
            .document = document};
  if (!document.at("waits_on").is_null()) {
    hold.waits_on = identity_of(document.at("history").back().at("by"));
  }
  return hold;
}

// Why this officer may not change holds; empty: they may.
std::string bar(const Officer& officer) {
  if (!officer.has(OfficerRole::kApprover)) return "your role does not allow it: it takes approver";
  if (officer.person.accounts.empty()) return "your sign-in does not say which person you are";
  return {};
}

Error refused(const std::string& why) {
  return {ErrorCode::kRefused, "You can't change this legal hold because " + why + "."};
}

// What the step is called in its record; empty: there is none in this state.
std::string event_of(const Hold& hold, HoldVerb verb) {
  if (verb == HoldVerb::kConfirm) {
    return hold.state == "placed" || hold.state == "lifting" ? "hold_confirmed" : "";
  }
  if (hold.state == "lifting") return "hold_lifted";
  return hold.state == "lifted" ? "" : "hold_lift_asked";
}

json change(const char* event, json hold, std::string_view reason, const Officer& officer) {
  json content = {{"event", event}, {"hold", std::move(hold)}, {"by", by_json(officer)}};
  if (!reason.empty()) content["reason"] = reason;
  return content;
}

}  // namespace

Result<Hold> read_hold(const json& document) {
  try {
    return hold_of(document);
  } catch (const std::exception& problem) {
    return Error{ErrorCode::kInternal,
                 std::string("the database's legal hold cannot be read: ") + problem.what()};
  }
}

Result<json> hold_placing(Uuid id, const std::vector<std::string>& mailboxes,
                          std::string_view reason, const Officer& officer) {
  if (const std::string why = bar(officer); !why.empty()) return refused(why);
  return change("hold_placed",
                {{"id", to_string(id)}, {"mailboxes", mailboxes}, {"reason", reason}}, {}, officer);
}

Result<json> hold_step(const Hold& hold, HoldVerb verb, std::string_view reason,
                       const Officer& officer, approval::TokenApprovals tokens) {
  if (const std::string why = bar(officer); !why.empty()) return refused(why);
  if (officer.by_api_token && tokens == approval::TokenApprovals::kRefused) {
    return refused("it takes a sign-in, and you use an API token");
  }
  const std::string event = event_of(hold, verb);
  if (event.empty()) {
    return Error{ErrorCode::kInvalid, "this legal hold is " + hold.state + " already"};
  }
  const bool needs_another = event == "hold_lifted" || hold.state == "placed";
  if (needs_another && event != "hold_lift_asked" &&
      approval::is_same(hold.waits_on, officer.person)) {
    return refused(hold.state == "placed" ? "you placed it: somebody else has to confirm it"
                                          : "you asked to lift it: somebody else has to agree");
  }
  return change(event.c_str(), {{"id", to_string(hold.id)}}, reason, officer);
}

}  // namespace holdfast::officers
