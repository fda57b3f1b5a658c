// Officers' tokens in memory, as tests want them to be; and as the records of a FakeAuditLog say.
// For one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "base/encoding.h"
#include "officers/token_source.h"
#include "tests/support/fake_audit_log.h"

namespace holdfast::officers {

class FakeTokens final : public TokenSource {
 public:
  explicit FakeTokens(const audit::FakeAuditLog& log) : log_(log) {}

  Task<Result<std::optional<StoredToken>>> use(Sha256 digest) override {
    co_return first([&](const nlohmann::json& token) {
      return token.at("sha256") == to_hex(digest) && token.at("state") == "active";
    });
  }
  Task<Result<std::optional<StoredToken>>> find(Uuid id) override {
    co_return first([&](const nlohmann::json& token) { return token.at("id") == to_string(id); });
  }
  Task<Result<std::vector<StoredToken>>> list(WhichTokens which) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    std::vector<StoredToken> found;
    for (const nlohmann::json& token : all()) {
      if (which == WhichTokens::kAll || token.at("state") == "active") {
        found.insert(found.begin(), *read_token(token));
      }
    }
    if (crowded) found.resize(kTokensMax, found.front());
    co_return found;
  }

  bool away = false;
  bool crowded = false;  // As many as there may be.

 private:
  // What the database would make of the log's records.
  std::vector<nlohmann::json> all() const {
    std::vector<nlohmann::json> tokens;
    for (const auto& entry : log_.entries()) {
      if (entry.record.kind != audit::Kind::kSystem) continue;
      const nlohmann::json& change = entry.record.content.at("system");
      nlohmann::json token = change.at("token");
      if (change.at("event") == "token_created") {
        token.update({{"state", "active"},
                      {"created_at", "2026-10-05T08:00:00.000000Z"},
                      {"last_used_at", nullptr},
                      {"revoked_at", nullptr},
                      {"revocation", nullptr}});
        tokens.push_back(std::move(token));
        continue;
      }
      for (nlohmann::json& known : tokens) {
        if (known.at("id") != token.at("id")) continue;
        known["state"] = "revoked";
        known["revoked_at"] = "2026-10-05T08:00:00.000000Z";
        known["revocation"] = change;
      }
    }
    return tokens;
  }

  template <class Wanted>
  Result<std::optional<StoredToken>> first(const Wanted& wanted) const {
    if (away) return Error{ErrorCode::kUnavailable, "database away"};
    for (const nlohmann::json& token : all()) {
      if (wanted(token)) return std::optional<StoredToken>(*read_token(token));
    }
    return std::optional<StoredToken>();
  }

  const audit::FakeAuditLog& log_;
};

}  // namespace holdfast::officers
