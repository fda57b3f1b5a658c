#include "officers/officer.h"

#include <algorithm>

namespace holdfast::officers {

std::string_view to_string(OfficerRole role) {
  switch (role) {
    case OfficerRole::kAuditor:
      return "auditor";
    case OfficerRole::kApprover:
      return "approver";
    default:
      return "admin";
  }
}

std::optional<OfficerRole> parse_officer_role(std::string_view name) {
  if (name == "auditor") return OfficerRole::kAuditor;
  if (name == "approver") return OfficerRole::kApprover;
  if (name == "admin") return OfficerRole::kAdmin;
  return std::nullopt;
}

bool Officer::has(OfficerRole role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

nlohmann::json officer_json(const Officer& officer) {
  nlohmann::json shown = {{"name", officer.name}};
  if (!officer.person.accounts.empty()) shown["person"] = officer.person.accounts.front();
  if (officer.token_id) shown["token_id"] = to_string(*officer.token_id);
  return shown;
}

approval::Approver approver_of(const Officer& officer) {
  const bool approver = officer.has(OfficerRole::kApprover);
  return {.person = officer.person,
          .groups = officer.groups,
          .may_approve = approver,
          .may_revoke = approver || officer.has(OfficerRole::kAdmin),
          .by_api_token = officer.by_api_token};
}

std::optional<Officer> signed_in_officer(const identity::SignedIn& person) {
  Officer officer{.name = person.name, .roles = {}, .groups = person.groups, .by_api_token = false};
  for (const std::string& name : person.roles) {
    const std::optional<OfficerRole> role = parse_officer_role(name);
    if (role && !officer.has(*role)) officer.roles.push_back(*role);
  }
  if (officer.roles.empty()) return std::nullopt;
  officer.expires_at = person.expires;
  officer.person.name = person.name;
  officer.person.accounts.push_back(person.tenant + "/" + person.user);
  for (const std::string& name : person.names) {
    officer.person.names.push_back(approval::home_name(name));
  }
  return officer;
}

}  // namespace holdfast::officers
