// API tokens that an admin made with `holdfast token create`, as the audit service asks for them.
// They change only by `system` records (token_creation(), token_revocation()); this port reads, and
// asks the database each time, so that all replicas agree at once on a token that was revoked.
//
// Implementations are safe to call from any thread; a coroutine resumes on the executor it awaited
// on. kUnavailable, kTimeout, kLimit: no answer now, and nobody may be let in.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "base/task.h"
#include "base/uuid.h"
#include "officers/officer.h"

namespace holdfast::officers {

constexpr int kTokensMax = 1000;  // Active at once; and listed at once.

struct StoredToken {
  Uuid id;
  std::string state;        // active, expired, revoked
  Officer officer;          // Whoever made it, with the roles and the id of the token.
  nlohmann::json document;  // As the API shows it.
};

// kInternal: the database says something else.
Result<StoredToken> read_token(const nlohmann::json& document);

enum class WhichTokens { kActive, kAll };

class TokenSource {
 public:
  virtual ~TokenSource() = default;

  // The active token with that digest, and notes, to the minute, that it was used.
  virtual Task<Result<std::optional<StoredToken>>> use(Sha256 digest) = 0;
  // In whatever state; nullopt: there is none.
  virtual Task<Result<std::optional<StoredToken>>> find(Uuid id) = 0;
  // Newest first, at most kTokensMax.
  virtual Task<Result<std::vector<StoredToken>>> list(WhichTokens which) = 0;
};

// A new token's text: hft_ and 256 random bits in Base64url.
std::string make_token_text();
// Whether the text has that form.
bool is_token_text(std::string_view text);

// What makes it: nothing more than its maker has.
struct TokenGrant {
  Uuid id;
  std::string name;  // What it is for.
  std::vector<OfficerRole> roles;
  WallTime expires_at;
};

// The records' content; the database does what they say in the statement that appends them.
nlohmann::json token_creation(const TokenGrant& grant, std::string_view text, const Officer& maker);
nlohmann::json token_revocation(const StoredToken& token, const Officer& by,
                                std::string_view reason);

}  // namespace holdfast::officers
