#include "identity/sign_in.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/uuid.h"
#include "identity/claim_reader.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kClocksDiffer{60};

Error refused(std::string what) {
  return {ErrorCode::kRefused, "the access token " + std::move(what)};
}

// aud is one string, or a list of them.
std::vector<std::string> audiences(const json& claims, ClaimReader& reader) {
  const auto it = claims.find("aud");
  if (it != claims.end() && it->is_array()) return reader.texts("aud");
  return {reader.text("aud")};
}

std::vector<std::string> names_of(ClaimReader& claims) {
  std::vector<std::string> names;
  for (const char* claim : {"upn", "preferred_username", "email"}) {
    std::string name = claims.text(claim);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

Status check_time(ClaimReader& claims, WallTime now) {
  const std::optional<WallTime> expires = claims.time("exp");
  const std::optional<WallTime> not_before = claims.time("nbf");
  if (claims.problem()) return *claims.problem();
  if (!expires) return unreadable_token("does not say when it expires");
  if (now >= *expires + kClocksDiffer) return refused("has expired");
  if (not_before && now + kClocksDiffer < *not_before) return refused("is not valid yet");
  return {};
}

}  // namespace

Result<SignedIn> read_sign_in(std::string_view payload, const Issuer& issuer, WallTime now) {
  const Result<json> parsed = parse_json(payload);
  if (!parsed.ok() || !parsed->is_object()) {
    return unreadable_token("has a payload that is not one strict JSON object");
  }
  ClaimReader claims(*parsed);
  if (claims.text("iss") != issuer.issuer) return unreadable_token("is from another issuer");
  const std::vector<std::string> audience = audiences(*parsed, claims);
  if (std::ranges::find(audience, issuer.audience) == audience.end()) {
    return unreadable_token("is for another audience");
  }
  const Status in_time = check_time(claims, now);
  if (!in_time.ok()) return in_time.error();

  SignedIn person;
  person.tenant = claims.guid("tid");
  person.user = claims.guid("oid");
  person.name = claims.text("name");
  person.names = names_of(claims);
  person.roles = claims.texts("roles");
  person.groups = claims.texts("groups");
  // Of a name nobody knows whose group it is: whoever may create groups may choose it.
  std::erase_if(person.groups, [](const std::string& group) { return !parse_uuid(group); });
  person.expires = claims.time("exp").value_or(now) + kClocksDiffer;
  const std::string kind = claims.text("idtyp");
  if (claims.problem()) return *claims.problem();

  if (person.tenant != issuer.tenant) return unreadable_token("is from another tenant");
  if (person.user.empty()) return unreadable_token("names no user");
  // An app's own token has neither scopes nor anything to call a person by; idtyp is optional.
  const bool is_person =
      kind == "user" || (kind.empty() && (claims.has("scp") || !person.names.empty()));
  if (!is_person) return refused("is not a person's");
  if (person.name.empty()) person.name = person.names.empty() ? person.user : person.names.front();
  return person;
}

}  // namespace holdfast::identity
