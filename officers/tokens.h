// API tokens of officers that the operator gave them, such as the first admin's (token_source.h has
// those that admins make). The file holds digests, never tokens:
//
//   tokens:
//     - name: alice
//       sha256: 0f3c…          # printf %s "$token" | sha256sum
//       roles: [auditor]       # auditor, approver, admin
//       expires: "2027-01-01T00:00:00Z"   # optional
//       person:                # who that is; without it the token decides on no approval
//         tenant: 11111111-0000-4000-8000-000000000001
//         user: 22222222-0000-4000-8000-000000000002
//         names: [alice@contoso.com]      # UPN and addresses, optional, like what follows
//         accounts: [TENANT/USER]         # the same person elsewhere, as a guest
//         apps: [APPID]                   # apps that act for this person
//       groups: [3f2c0a52-0000-4000-8000-000000000001]   # for approval stages
//   people:                    # optional: the same of officers who have no token in this file
//     - tenant: 11111111-0000-4000-8000-000000000001
//       user: 33333333-0000-4000-8000-000000000003
//       apps: [APPID]
//
// Immutable once loaded, and safe to share between threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/yaml.h"
#include "officers/officer.h"

namespace holdfast::officers {

class Tokens {
 public:
  // kInvalid or kNotFound: one line that names file, line and key.
  static Result<Tokens> load(const std::string& path);
  static Result<Tokens> parse(std::string_view yaml, const std::string& file);

  // Whose token it is; nullopt for an unknown or expired one. Takes as long for every wrong token.
  std::optional<Officer> find(std::string_view token, WallTime now) const;

  // The officer with all accounts, apps and names that the file has of the person whose account
  // theirs is, be it the main one or another. Unchanged where it has none.
  Officer with_person(Officer officer) const;

 private:
  struct Entry {
    std::string sha256;
    Officer officer;
  };
  static Result<Tokens> from(const Result<config::YamlDocument>& document);

  std::vector<Entry> entries_;
  std::vector<approval::Identity> people_;  // Of `people` and of tokens.
};

}  // namespace holdfast::officers
