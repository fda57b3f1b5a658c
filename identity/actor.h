// Who is calling, and how Holdfast knows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace holdfast::identity {

enum class ActorKind { kUnknown, kUser, kApp };

// How the claims came to be believed.
enum class Verification {
  kNone,   // They are what an unverified token says: good for a log line, never for a decision.
  kProbe,  // Graph itself accepted this very token in a request that Holdfast made.
  kCertificate,  // The client proved in the TLS handshake to hold the app's certificate.
};

// Keyed by tenant and object id (users) or tenant and app id (apps), never by name: names change
// and can be reused.
struct Actor {
  ActorKind kind = ActorKind::kUnknown;
  Verification verification = Verification::kNone;
  std::string tenant_id;            // tid
  std::string object_id;            // oid; for an app, of its service principal
  std::string app_id;               // appid or azp: for a user, the client application in use
  std::string name;                 // upn or preferred_username; for people to read, never compared
  std::vector<std::string> roles;   // roles (app permissions)
  std::vector<std::string> scopes;  // scp
  std::vector<std::string> wids;    // directory role template ids, where the token has them
  std::string token_id;             // uti: joins Graph's own activity logs
  std::string token_sha256;         // hex thumbprint of the token: the only trace of it kept
  std::optional<WallTime> expires;  // exp

  bool verified() const { return verification != Verification::kNone; }
};

std::string_view to_string(ActorKind kind);             // unknown, user, app
std::string_view to_string(Verification verification);  // none, probe, certificate

}  // namespace holdfast::identity
