// Who asks the audit service, however they were recognised.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/approval.h"
#include "base/clock.h"
#include "identity/sign_in.h"

namespace holdfast::officers {

enum class OfficerRole { kAuditor, kApprover, kAdmin };

// auditor, approver or admin.
std::string_view to_string(OfficerRole role);
std::optional<OfficerRole> parse_officer_role(std::string_view name);

struct Officer {
  std::string name;
  std::vector<OfficerRole> roles;
  approval::Identity person{};  // No accounts: no person is known.
  std::vector<std::string> groups{};
  bool by_api_token = true;
  std::optional<Uuid> token_id{};  // Of a token that `holdfast token create` made.
  // When their credential ends: a sign-in, or a token of the operator's file. nullopt: never, or
  // the database knows.
  std::optional<WallTime> expires_at{};

  bool has(OfficerRole role) const;
};

// Who did it, as records say: `name`, `person` and `token_id`, as far as they are known.
nlohmann::json officer_json(const Officer& officer);

// The officer as somebody who decides on approvals.
approval::Approver approver_of(const Officer& officer);

// A person whom the identity provider vouches for. nullopt: with none of the roles.
std::optional<Officer> signed_in_officer(const identity::SignedIn& person);

}  // namespace holdfast::officers
