// Tokens and callers as the tests of identity/ need them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/encoding.h"
#include "identity/claims.h"

namespace holdfast::identity {

inline const std::string kTenant = "7e000000-0000-4000-8000-00000000000a";
inline const std::string kAdele = "ade1e000-0000-4000-8000-00000000000b";
inline const std::string kClientApp = "a9900000-0000-4000-8000-00000000000c";

inline std::string token_of_text(const std::string& payload) {
  return to_base64url(R"({"alg":"RS256","nonce":"n"})") + "." + to_base64url(payload) + "." +
         to_base64url("signature");
}

inline BearerToken token_of(const nlohmann::json& claims) {
  return {token_of_text(claims.dump())};
}

inline nlohmann::json user_claims() {
  return {{"tid", kTenant},
          {"oid", kAdele},
          {"appid", kClientApp},
          {"upn", "adele@contoso.com"},
          {"idtyp", "user"},
          {"scp", "Mail.ReadWrite User.Read"},
          {"wids", {"62e90394-69f5-4237-9190-012177145e10"}},
          {"uti", "u-1"},
          {"exp", 1'791'190'800}};  // An hour after FakeClock starts.
}

inline nlohmann::json app_claims() {
  return {{"tid", kTenant},      {"oid", "5e000000-0000-4000-8000-00000000000d"},
          {"appid", kClientApp}, {"app_displayname", "Retention bot"},
          {"idtyp", "app"},      {"roles", {"Mail.ReadWrite"}},
          {"exp", 1'791'190'800}};
}

}  // namespace holdfast::identity
