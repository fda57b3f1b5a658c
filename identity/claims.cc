#include "identity/claims.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"
#include "identity/claim_reader.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

Error unreadable(std::string what) {
  return unreadable_token(std::move(what));
}

// A token has thousands of characters, and every call carries one.
constexpr std::array<bool, 256> kInB64Token = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-._~+/")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

bool is_b64token(std::string_view text) {
  const std::size_t end = text.find_last_not_of('=');
  if (end == std::string_view::npos) return false;
  return std::ranges::all_of(text.substr(0, end + 1),
                             [](char c) { return kInB64Token[static_cast<unsigned char>(c)]; });
}

// Decodes what can be decoded and keeps the rest: for recognising a name, whoever decodes it later.
std::string decode_leniently(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::optional<std::string> byte =
        text[i] == '%' ? percent_decode(text.substr(i, 3)) : std::nullopt;
    if (byte && byte->size() == 1) {
      decoded += *byte;
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

bool names_access_token(std::string_view parameter) {
  const std::string raw(parameter.substr(0, parameter.find('=')));
  const std::string once = decode_leniently(raw);
  for (const std::string& name : {raw, once, decode_leniently(once)}) {
    const std::size_t begin = name.find_first_not_of(" \t\r\n\v\f");
    if (begin == std::string::npos) continue;
    const std::size_t end = name.find_last_not_of(" \t\r\n\v\f");
    if (ascii_iequals(std::string_view(name).substr(begin, end - begin + 1), "access_token")) {
      return true;
    }
  }
  return false;
}

// One part of the token as the JSON object that it must be.
Result<json> decode_part(std::string_view part, std::string_view name) {
  const std::optional<std::string> text = from_base64url(part);
  if (!text || text->empty()) {
    return unreadable("has a " + std::string(name) + " that is not base64url");
  }
  Result<json> value = parse_json(*text);
  if (!value.ok() || !value->is_object()) {
    return unreadable("has a " + std::string(name) + " that is not one strict JSON object");
  }
  return value;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    if (end != 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

Result<ActorKind> read_kind(ClaimReader& claims) {
  const bool has_scopes = claims.has("scp");
  if (claims.has("idtyp")) {
    const std::string type = claims.text("idtyp");
    if (type == "user") return ActorKind::kUser;
    if (type != "app") return unreadable("is neither a user's nor an app's");
    if (has_scopes) return unreadable("says idtyp app and has scopes, which only users' have");
    return ActorKind::kApp;
  }
  if (has_scopes) return ActorKind::kUser;
  if (claims.has("roles")) return ActorKind::kApp;
  return unreadable("does not say whether it is a user's or an app's");
}

std::string read_app_id(ClaimReader& claims) {
  std::string v1 = claims.guid("appid");
  std::string v2 = claims.guid("azp");
  if (!v1.empty() && !v2.empty() && v1 != v2) claims.fail("azp", "contradicts appid");
  return v1.empty() ? v2 : v1;
}

std::string read_name(ClaimReader& claims) {
  std::string name;
  for (const char* claim : {"upn", "preferred_username", "app_displayname"}) {
    std::string value = claims.text(claim);
    if (name.empty()) name = std::move(value);
  }
  return name;
}

}  // namespace

bool has_access_token_parameter(std::string_view target) {
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return false;
  std::string_view query = target.substr(question + 1);
  while (true) {
    const std::size_t end = query.find_first_of("&;?");
    if (names_access_token(query.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    query.remove_prefix(end + 1);
  }
}

Status check_credentials(const http::RequestHead& head) {
  if (head.headers.count("authorization") > 1) {
    return Error{ErrorCode::kInvalid, "more than one Authorization header"};
  }
  if (has_access_token_parameter(head.target)) {
    return Error{ErrorCode::kInvalid, "an access_token in the query"};
  }
  return {};
}

Result<std::optional<BearerToken>> bearer_token(const http::RequestHead& head) {
  const Status clear = check_credentials(head);
  if (!clear.ok()) return clear.error();
  constexpr std::string_view kScheme = "bearer";
  std::string_view value = head.headers.get("authorization");
  if (!ascii_iequals(value.substr(0, kScheme.size()), kScheme)) return std::optional<BearerToken>();
  value.remove_prefix(kScheme.size());
  const std::size_t begin = value.find_first_not_of(' ');
  if (begin == 0 || begin == std::string_view::npos) return std::optional<BearerToken>();
  value.remove_prefix(begin);
  if (value.size() > kTokenBytesMax || !is_b64token(value)) return std::optional<BearerToken>();
  return std::optional<BearerToken>(BearerToken{std::string(value)});
}

Result<Actor> read_claims(const BearerToken& token) {
  const std::string_view text = token.text;
  if (text.size() > kTokenBytesMax) return unreadable("is too long");
  const std::size_t first = text.find('.');
  const std::size_t last = text.rfind('.');
  if (first == last || text.find('.', first + 1) != last) {
    return unreadable("does not have three parts");
  }
  const Result<json> header = decode_part(text.substr(0, first), "header");
  if (!header.ok()) return header.error();
  const Result<json> payload = decode_part(text.substr(first + 1, last - first - 1), "payload");
  if (!payload.ok()) return payload.error();
  const std::optional<std::string> signature = from_base64url(text.substr(last + 1));
  if (!signature || signature->empty()) return unreadable("has no base64url signature");

  ClaimReader claims(*payload);
  const Result<ActorKind> kind = read_kind(claims);
  if (!kind.ok()) return kind.error();
  Actor actor;
  actor.kind = *kind;
  actor.tenant_id = claims.guid("tid");
  actor.object_id = claims.guid("oid");
  actor.app_id = read_app_id(claims);
  actor.name = read_name(claims);
  actor.roles = claims.texts("roles");
  actor.scopes = split_words(claims.text("scp"));
  actor.wids = claims.texts("wids");
  actor.token_id = claims.text("uti");
  actor.token_sha256 = to_hex(sha256(text));
  actor.expires = claims.time("exp");
  if (claims.problem()) return *claims.problem();

  if (actor.tenant_id.empty()) return unreadable("names no tenant");
  const bool is_user = actor.kind == ActorKind::kUser;
  if (is_user && actor.object_id.empty()) return unreadable("names no user");
  if (!is_user && actor.app_id.empty()) return unreadable("names no app");
  return actor;
}

}  // namespace holdfast::identity
