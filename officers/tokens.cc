#include "officers/tokens.h"

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast::officers {
namespace {

constexpr std::string_view kSchema = R"({
  "$schema": "http://json-schema.org/draft-04/schema#",
  "type": "object",
  "required": ["tokens"],
  "additionalProperties": false,
  "properties": {
    "tokens": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["name", "sha256", "roles"],
        "additionalProperties": false,
        "properties": {
          "name": { "type": "string", "minLength": 1, "maxLength": 100 },
          "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
          "roles": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": true,
            "items": { "enum": ["auditor", "approver", "admin"] }
          },
          "expires": { "type": "string" },
          "groups": { "type": "array", "items": { "type": "string", "minLength": 1 } },
          "person": { "$ref": "#/definitions/person" }
        }
      }
    },
    "people": { "type": "array", "items": { "$ref": "#/definitions/person" } }
  },
  "definitions": {
    "person": {
      "type": "object",
      "required": ["tenant", "user"],
      "additionalProperties": false,
      "properties": {
        "tenant": { "$ref": "#/definitions/id" },
        "user": { "$ref": "#/definitions/id" },
        "names": { "type": "array", "items": { "type": "string", "minLength": 1 } },
        "apps": { "type": "array", "items": { "$ref": "#/definitions/id" } },
        "accounts": {
          "type": "array",
          "items": {
            "type": "string",
            "pattern": "^[^@/\\s]+/[^@/\\s]+$",
            "description": "TENANT/USER, by their object ids"
          }
        }
      }
    },
    "id": {
      "type": "string",
      "pattern": "^[^@/\\s]+$",
      "description": "an object id: a name there would be nobody's"
    }
  }
})";

using Texts = std::vector<std::string>;

approval::Identity person_of(const nlohmann::json& item) {
  approval::Identity person;
  const std::string tenant = item.at("tenant").get<std::string>();
  person.accounts.push_back(ascii_lower(tenant + "/" + item.at("user").get<std::string>()));
  for (const std::string& account : item.value("accounts", Texts())) {
    person.accounts.push_back(ascii_lower(account));
  }
  for (const std::string& app : item.value("apps", Texts())) {
    person.accounts.push_back(ascii_lower(tenant + "/" + app));
  }
  for (const std::string& name : item.value("names", Texts())) {
    person.names.push_back(approval::home_name(name));
  }
  return person;
}

Officer officer_of(const nlohmann::json& item) {
  Officer officer{.name = item.at("name").get<std::string>(), .roles = {}};
  for (const nlohmann::json& role : item.at("roles")) {
    officer.roles.push_back(*parse_officer_role(role.get<std::string>()));  // The schema's names.
  }
  if (item.contains("person")) officer.person = person_of(item.at("person"));
  officer.person.name = officer.name;
  officer.groups = item.value("groups", Texts());
  return officer;
}

void add_missing(Texts& to, const Texts& from) {
  for (const std::string& text : from) {
    if (std::ranges::find(to, text) == to.end()) to.push_back(text);
  }
}

}  // namespace

Result<Tokens> Tokens::load(const std::string& path) {
  return from(config::load_yaml(path));
}

Result<Tokens> Tokens::parse(std::string_view yaml, const std::string& file) {
  return from(config::parse_yaml(yaml, file));
}

Result<Tokens> Tokens::from(const Result<config::YamlDocument>& document) {
  if (!document.ok()) return document.error();
  if (const Status valid = config::validate(*document, kSchema); !valid.ok()) return valid.error();
  Tokens tokens;
  const nlohmann::json people = document->value.value("people", nlohmann::json::array());
  std::set<std::string> users;
  for (std::size_t i = 0; i < people.size(); ++i) {
    tokens.people_.push_back(person_of(people[i]));
    // Two entries of one person are a slip, and whoever reads one of them would miss the other.
    if (!users.insert(tokens.people_.back().accounts.front()).second) {
      const std::string pointer = "/people/" + std::to_string(i) + "/user";
      return Error{ErrorCode::kInvalid, document->where(pointer) + "is used twice"};
    }
  }
  std::set<std::string> names;
  std::set<std::string> digests;
  const nlohmann::json& list = document->value.at("tokens");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string pointer = "/tokens/" + std::to_string(i);
    const auto refused = [&](const std::string& key, const char* why) {
      return Error{ErrorCode::kInvalid, document->where(pointer + "/" + key) + why};
    };
    Entry entry{.sha256 = list[i].at("sha256").get<std::string>(), .officer = officer_of(list[i])};
    // Records name who read; two people must not share a name, nor one token two names.
    if (!names.insert(entry.officer.name).second) return refused("name", "is used twice");
    if (!digests.insert(entry.sha256).second) return refused("sha256", "is used twice");
    if (list[i].contains("expires")) {
      const Result<WallTime> time = parse_rfc3339(list[i]["expires"].get<std::string>());
      if (!time.ok()) return refused("expires", "is not an RFC 3339 time");
      entry.officer.expires_at = *time;
    }
    if (list[i].contains("person")) tokens.people_.push_back(entry.officer.person);
    tokens.entries_.push_back(std::move(entry));
  }
  for (Entry& entry : tokens.entries_) {
    entry.officer = tokens.with_person(std::move(entry.officer));
  }
  return tokens;
}

std::optional<Officer> Tokens::find(std::string_view token, WallTime now) const {
  const std::string digest = to_hex(sha256(token));
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (constant_time_equal(entry.sha256, digest)) found = &entry;
  }
  if (found == nullptr) return std::nullopt;
  const std::optional<WallTime>& expires = found->officer.expires_at;
  if (expires && *expires <= now) return std::nullopt;
  return found->officer;
}

Officer Tokens::with_person(Officer officer) const {
  if (officer.person.accounts.empty()) return officer;
  const std::string account = officer.person.accounts.front();
  for (const approval::Identity& person : people_) {
    if (std::ranges::find(person.accounts, account) == person.accounts.end()) continue;
    add_missing(officer.person.accounts, person.accounts);
    add_missing(officer.person.names, person.names);
  }
  return officer;
}

}  // namespace holdfast::officers
