#include "officers/tokens_api.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/json.h"
#include "officers/collection.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::size_t kNameBytesMax = 100;

constexpr const char* kChanges = "changes of tokens are";
constexpr const char* kNoToken = "there is no token with that id";

// The token as it is shown, without what is null.
json token_json(const StoredToken& token) {
  json shown = json::object();
  for (const char* name : {"id", "name", "roles", "state", "created_at", "created_by", "expires_at",
                           "last_used_at", "revoked_at"}) {
    const json& value = token.document.at(name);
    if (!value.is_null()) shown[name] = value;
  }
  const json& revocation = token.document.at("revocation");
  if (revocation.is_object()) {
    shown["revoked_by"] = revocation.at("by");
    if (revocation.contains("reason")) shown["reason"] = revocation.at("reason");
  }
  return shown;
}

audit::Record token_record(const Asked& asked, json change) {
  audit::Record record = change_record(audit::Kind::kSystem, asked);
  record.content["system"] = std::move(change);
  return record;
}

Task<http::Response> list_tokens(const ApiServices& services, const Asked& asked) {
  std::variant<bool, http::Response> all = wants_all(asked, "active");
  if (auto* refusal = std::get_if<http::Response>(&all)) co_return std::move(*refusal);
  const WhichTokens which = std::get<bool>(all) ? WhichTokens::kAll : WhichTokens::kActive;
  const Result<std::vector<StoredToken>> found = co_await services.stored_tokens.list(which);
  if (!found.ok()) co_return failure(found.error());
  json values = json::array();
  for (const StoredToken& token : *found) values.push_back(token_json(token));
  json shown = list_json(std::move(values));
  co_return co_await answer_list(services.log, asked, kTokens, std::move(shown));
}

// Why the officer may not give these roles; empty: they may.
std::string cannot_give(const Officer& officer, const std::vector<OfficerRole>& roles) {
  for (const OfficerRole role : roles) {
    if (role != OfficerRole::kAuditor && !officer.has(role)) {
      return "You can't give the role " + std::string(to_string(role)) +
             " because you do not have it yourself.";
    }
  }
  return {};
}

// What is asked for, or what is wrong with it.
std::variant<TokenGrant, http::Response> grant_of(const json& body, WallTime now) {
  for (const auto& [name, value] : body.items()) {
    if (name != "name" && name != "roles" && name != "expires_in_s") {
      return problem(400, "the body may have name, roles and expires_in_s, and no more", name);
    }
  }
  TokenGrant grant{.id = make_uuid_v7(now), .name = {}, .roles = {}, .expires_at = {}};
  if (body.contains("name") && body["name"].is_string()) {
    grant.name = body["name"].get<std::string>();
  }
  if (grant.name.find_first_not_of(' ') == std::string::npos || grant.name.size() > kNameBytesMax ||
      to_text(grant.name) != grant.name) {
    return problem(400, "name must be a text of 1 to 100 bytes that says what the token is for",
                   "name");
  }
  const json roles = body.value("roles", json());
  for (const json& role : roles.is_array() ? roles : json::array()) {
    const auto known = role.is_string() ? parse_officer_role(role.get<std::string>())
                                        : std::optional<OfficerRole>();
    if (!known || std::ranges::find(grant.roles, *known) != grant.roles.end()) {
      grant.roles.clear();
      break;
    }
    grant.roles.push_back(*known);
  }
  if (grant.roles.empty()) {
    return problem(400, "roles must be a list of auditor, approver and admin, each once", "roles");
  }
  const json life = body.value("expires_in_s", json());
  const std::chrono::seconds lasts(life.is_number_integer() ? life.get<std::int64_t>() : 0);
  if (lasts < kTokenLifeMin || lasts > kTokenLifeMax) {
    return problem(400, "expires_in_s must be a whole number of seconds, a minute to 366 days",
                   "expires_in_s");
  }
  grant.expires_at = now + lasts;
  return grant;
}

// The token as the database has it after a change, with the change's record.
Task<http::Response> changed(const ApiServices& services, Uuid id, const audit::RecordRef& record,
                             int status, std::string text) {
  const Result<std::optional<StoredToken>> now = co_await services.stored_tokens.find(id);
  if (!now.ok()) co_return failure(now.error());
  if (!now->has_value()) co_return problem(503, "the token cannot be read back");
  json body = token_json(**now);
  body["record"] = to_string(record.id);
  if (!text.empty()) body["token"] = std::move(text);
  co_return json_response(status, body);
}

Task<http::Response> create(const ApiServices& services, const Asked& asked) {
  if (asked.officer.token_id) {
    co_return problem(403, "You can't make a token with a token that was made this way.");
  }
  std::variant<json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  std::variant<TokenGrant, http::Response> parsed =
      grant_of(std::get<json>(body), services.clock.now());
  if (auto* refusal = std::get_if<http::Response>(&parsed)) co_return std::move(*refusal);
  const TokenGrant& grant = std::get<TokenGrant>(parsed);
  std::string refusal = cannot_give(asked.officer, grant.roles);
  if (!refusal.empty()) co_return problem(403, std::move(refusal), "roles");
  const auto active = co_await services.stored_tokens.list(WhichTokens::kActive);
  if (!active.ok()) co_return failure(active.error());
  if (std::cmp_greater_equal(active->size(), kTokensMax)) {
    co_return problem(409, "there are 1000 active tokens already; revoke some");
  }
  std::string text = make_token_text();
  audit::Record record = token_record(asked, token_creation(grant, text, asked.officer));
  const Result<audit::RecordRef> made = co_await services.log.append(std::move(record));
  if (!made.ok()) co_return not_recorded(kChanges, made.error());
  co_return co_await changed(services, grant.id, *made, 201, std::move(text));
}

Task<http::Response> revoke(const ApiServices& services, const Asked& asked, Uuid id) {
  std::variant<std::string, http::Response> reason =
      co_await text_of_body(asked, "reason", Needed::kNo);
  if (auto* refusal = std::get_if<http::Response>(&reason)) co_return std::move(*refusal);
  const Result<std::optional<StoredToken>> found = co_await services.stored_tokens.find(id);
  if (!found.ok()) co_return failure(found.error());
  if (!found->has_value()) co_return problem(404, kNoToken);
  if ((*found)->state == "revoked") co_return problem(409, "the token was revoked before");
  audit::Record record =
      token_record(asked, token_revocation(**found, asked.officer, std::get<std::string>(reason)));
  const Result<audit::RecordRef> done = co_await services.log.append(std::move(record));
  if (!done.ok()) co_return not_recorded(kChanges, done.error());
  std::string untold;
  co_return co_await changed(services, id, *done, 200, std::move(untold));
}

}  // namespace

Task<http::Response> answer_tokens(const ApiServices& services, const Asked& asked) {
  const std::optional<InCollection> below = in_collection(asked.target.path, kTokens);
  if (!below && is_read(asked)) co_return co_await list_tokens(services, asked);
  const bool is_post = asked.request.head.method == "POST";
  if (!is_post) co_return method_not_allowed(below ? "POST" : "GET, HEAD, POST");
  if (!asked.officer.has(OfficerRole::kAdmin)) {
    co_return problem(
        403, "You can't change tokens because your role does not allow it: it takes admin.");
  }
  if (!below) co_return co_await create(services, asked);
  const auto id = parse_uuid(below->item);
  if (!id || below->verb != "/revoke") co_return problem(404, kNoToken);
  co_return co_await revoke(services, asked, *id);
}

}  // namespace holdfast::officers
