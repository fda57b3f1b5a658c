// What a request's bearer token says of its caller, before anybody believes it.
//
//   Result<std::optional<BearerToken>> token = bearer_token(request.head);
//   if (!token.ok()) return bad_request();            // 400: two readings of who is calling
//   if (!token->has_value()) return unauthorized();   // 401: nobody named
//   Result<Actor> claimed = read_claims(**token);     // not ok: 401, nothing readable
//
// Graph tokens cannot be verified by third parties (their signature covers a nonce that only Graph
// can undo), so nothing here checks a signature: an Actor from here has Verification::kNone, good
// for naming who a refused call claimed to come from. identity/verifier.h makes it believable.
//
// Reading is strict all the same, because Graph reads the same bytes and the two readings must
// agree: canonical base64url, one JSON object, no duplicate claims, every claim of its own type, no
// claims that contradict each other. Ids are GUIDs, compared in lower case.
//
// Pure functions, safe from any thread. No error message quotes the token.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "identity/actor.h"

namespace holdfast::identity {

inline constexpr std::size_t kTokenBytesMax = 16 * 1024;

// The secret itself: to be sent to Graph, hashed and forgotten, never printed or stored.
struct BearerToken {
  std::string text;
};

// kInvalid: more than one Authorization header, or an access_token query parameter under any
// spelling: Graph might read another caller than we do.
Status check_credentials(const http::RequestHead& head);

// The one bearer token of a request. nullopt: there is none, or what stands there is not one
// (another scheme, no b64token of RFC 6750, over kTokenBytesMax). kInvalid: as above.
Result<std::optional<BearerToken>> bearer_token(const http::RequestHead& head);

// Whether a query parameter of `target` is called access_token in some reading: any case, encoded
// up to twice, surrounded by white space, split from its neighbours at '&', ';' or '?'. What
// follows the question mark of such a target must not be recorded.
bool has_access_token_parameter(std::string_view target);

// The claims of a token, unverified. kInvalid: they cannot be read, or name no caller that rules
// could speak of; whoever presented it is to be answered 401.
//
// A user token has idtyp "user", or no idtyp and a scp; it names its oid. An app token has idtyp
// "app", or no idtyp, no scp and roles; it names its appid and has no scp. Both name their tid.
Result<Actor> read_claims(const BearerToken& token);

}  // namespace holdfast::identity
