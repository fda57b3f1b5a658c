#include "identity/certificate_apps.h"

#include <string_view>
#include <utility>

#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast::identity {
namespace {

std::string comparable(const std::string& name) {
  constexpr std::string_view kDns = "DNS:";
  return name.starts_with(kDns) ? std::string(kDns) + ascii_lower(name.substr(kDns.size())) : name;
}

std::string described(const Actor& app) {
  return "the app " + app.app_id + " of the tenant " + app.tenant_id;
}

}  // namespace

CertificateApps::CertificateApps(std::vector<Entry> entries) {
  for (Entry& entry : entries) {
    std::string name = entry.name;
    by_name_.emplace(std::move(name), std::move(entry));
  }
}

Result<Actor> CertificateApps::app_of(const http::ClientCertificate& certificate,
                                      const BearerToken& token) const {
  const Entry* app = nullptr;
  for (const std::string& name : certificate.names) {
    const auto found = by_name_.find(comparable(name));
    if (found == by_name_.end()) continue;
    const Entry& entry = found->second;
    if (app == nullptr) app = &entry;
    if (entry.tenant_id != app->tenant_id || entry.app_id != app->app_id) {
      return Error{ErrorCode::kRefused,
                   "The names of the client certificate stand for several apps."};
    }
  }
  if (app == nullptr) {
    return Error{ErrorCode::kNotFound, "No name of the client certificate stands for an app here."};
  }
  Actor actor;
  actor.kind = ActorKind::kApp;
  actor.verification = Verification::kCertificate;
  actor.tenant_id = app->tenant_id;
  actor.app_id = app->app_id;
  actor.name = app->name;
  actor.token_sha256 = to_hex(sha256(token.text));
  return actor;
}

Status check_token(const BearerToken& token, const Actor& app, WallTime now) {
  // What Graph might read as a JWT has to be read the same way here, down to its last bits.
  if (token.text.find('.') == std::string::npos) return {};
  const Result<Actor> claimed = read_claims(token);
  if (!claimed.ok()) return claimed.error();
  if (claimed->kind != ActorKind::kApp) {
    return Error{ErrorCode::kRefused,
                 "The access token is a user's, and the client certificate proves an app only."};
  }
  if (claimed->tenant_id != app.tenant_id || claimed->app_id != app.app_id) {
    return Error{ErrorCode::kRefused, "The access token names " + described(*claimed) +
                                          ", and the client certificate stands for " +
                                          described(app) + "."};
  }
  if (claimed->expires && *claimed->expires <= now) {
    return Error{ErrorCode::kInvalid, "The access token has expired."};
  }
  return {};
}

}  // namespace holdfast::identity
