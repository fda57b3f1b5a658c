// What a verified token of the officers' identity provider says of the person who signed in.
//
// Pure; who verified the signature is issuer_keys.h, who fetches the keys is sign_in_verifier.h.
// The claims are those of OpenID Connect Core and of Microsoft Entra access tokens, version 2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::identity {

// Whom to believe, and what must be in a token: all of them exactly.
struct Issuer {
  std::string issuer{};    // iss
  std::string audience{};  // aud: the application that officers sign in to.
  std::string tenant{};    // tid, a GUID.
};

struct SignedIn {
  std::string tenant;               // Lower-case GUIDs.
  std::string user;                 // oid
  std::string name;                 // For people to read: a name, or else the oid.
  std::vector<std::string> names;   // UPN and addresses.
  std::vector<std::string> roles;   // As the token has them.
  std::vector<std::string> groups;  // Object ids. Empty as well where there are too many of them.
  WallTime expires;  // When it is accepted no longer: exp, and what clocks may differ.
};

// kInvalid: not such claims, or not for us; kRefused: too early, too late, or not a person. Clocks
// may differ by a minute.
Result<SignedIn> read_sign_in(std::string_view payload, const Issuer& issuer, WallTime now);

}  // namespace holdfast::identity
