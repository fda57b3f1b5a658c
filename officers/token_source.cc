#include "officers/token_source.h"

#include <array>

#include "base/encoding.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

constexpr std::string_view kPrefix = "hft_";  // So that scanners for leaked secrets know one.
constexpr std::size_t kRandomBytes = 32;

// What the database shows and a record said; throws where it is something else.
StoredToken token_of(const json& document) {
  StoredToken token{.id = parse_uuid(document.at("id").get<std::string>()).value(),
                    .state = document.at("state").get<std::string>(),
                    .officer = {.name = document.at("created_by").at("name").get<std::string>(),
                                .roles = {},
                                .groups = document.at("groups").get<Texts>()},
                    .document = document};
  for (const json& role : document.at("roles")) {
    token.officer.roles.push_back(parse_officer_role(role.get<std::string>()).value());
  }
  token.officer.person = {.name = token.officer.name,
                          .accounts = document.at("accounts").get<Texts>(),
                          .names = document.at("names").get<Texts>()};
  token.officer.token_id = token.id;
  return token;
}

}  // namespace

Result<StoredToken> read_token(const json& document) {
  try {
    return token_of(document);
  } catch (const std::exception& problem) {
    return Error{ErrorCode::kInternal,
                 std::string("the database's token cannot be read: ") + problem.what()};
  }
}

std::string make_token_text() {
  std::array<std::uint8_t, kRandomBytes> bytes{};
  random_bytes(bytes);
  return std::string(kPrefix) +
         to_base64url(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

bool is_token_text(std::string_view text) {
  if (!text.starts_with(kPrefix)) return false;
  const auto bytes = from_base64url(text.substr(kPrefix.size()));
  return bytes && bytes->size() == kRandomBytes;
}

json token_creation(const TokenGrant& grant, std::string_view text, const Officer& maker) {
  json roles = json::array();
  for (const OfficerRole role : grant.roles) roles.push_back(to_string(role));
  return {{"event", "token_created"},
          {"token",
           {{"id", to_string(grant.id)},
            {"name", grant.name},
            {"sha256", to_hex(sha256(text))},
            {"roles", std::move(roles)},
            {"expires_at", to_rfc3339(grant.expires_at)},
            {"created_by", officer_json(maker)},
            {"accounts", maker.person.accounts},
            {"names", maker.person.names},
            {"groups", maker.groups}}}};
}

json token_revocation(const StoredToken& token, const Officer& by, std::string_view reason) {
  json change = {{"event", "token_revoked"},
                 {"token", {{"id", to_string(token.id)}, {"name", token.document.at("name")}}},
                 {"by", officer_json(by)}};
  if (!reason.empty()) change["reason"] = reason;
  return change;
}

}  // namespace holdfast::officers
