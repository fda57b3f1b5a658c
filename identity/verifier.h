// Turns what a Graph token claims into who is calling, by asking Graph itself.
//
// In passthrough mode clients bring tokens that only Graph can check. Holdfast therefore makes one
// request of its own with that very token and believes the claims when Graph accepts it:
//
//   user  GET /v1.0/me?$select=id            200, and its id is the token's oid
//   app   GET /v1.0/organization?$select=id  200, and the organization is the token's tid
//   either                                   403 in Graph's shape: known, and allowed too little
//
// Why that is enough, and what it withstands:
// - Graph checks the signature over the token's own bytes, which are the bytes that the claims were
//   read from. A payload altered in any way (another oid, added roles, a later exp) is a 401.
// - The claimed kind decides the question, and the questions part the kinds: Graph answers /me 400
//   for an app's token, so an app that passed for a user gets no further. A user's token may read
//   /organization; but to pass for an app it would have to lose its scp and idtyp claims, and an
//   altered token is a 401 (above). An answer about somebody else than the claims is a forgery.
// - A 403 counts only with Graph's error shape and a request-id: a proxy, a captive portal or a
//   stranger's server on the way verifies nobody. The answer to a client's own request never counts
//   either, because some of Graph's paths answer without looking at the token.
// - Ids are read as GUIDs and compared in one case, so "oid" in another case is neither another
//   caller nor a forgery. Duplicate claims, contradicting claims and oversized tokens never get
//   here: identity/claims.h refuses them.
//
// Acceptance is remembered by the token's SHA-256 until its own exp, in a bounded cache; a token
// revoked meanwhile is still refused by Graph when the call itself arrives. Nothing but acceptance
// is remembered. A token without exp, or past it, is asked about every time. Simultaneous first
// calls with one token each ask: the questions change nothing.
#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "identity/actor.h"
#include "identity/claims.h"
#include "identity/expiring_cache.h"
#include "identity/graph_lookup.h"

namespace holdfast::identity {

// What Graph says of a token. Either the actor is verified, or Graph refused the token and its own
// 401 is here for the caller: its headers may carry a claims challenge that clients must see.
struct Verdict {
  Actor actor;
  std::optional<GraphAnswer> refusal;
};

// Shared by all workers: safe to call from any thread. The lookup is the calling worker's own.
class Verifier {
 public:
  // The clock must outlive the verifier.
  explicit Verifier(const Clock& clock, std::size_t tokens_max = 20'000)
      : clock_(clock), accepted_(tokens_max) {}

  // Who this very token was accepted for before, without reading its claims again: what most calls
  // need. nullopt: nobody yet, or its time has passed; read the claims and verify() them.
  std::optional<Actor> remembered(const BearerToken& token);

  // `claimed` is read_claims(token), and both must live until the task is done. kUnavailable: Graph
  // could not be asked or answered something that settles nothing: answer 502. kRefused: Graph
  // accepts the token, for somebody else than its claims name: answer 401 and raise an alarm.
  Task<Result<Verdict>> verify(GraphLookup& graph, const BearerToken& token, const Actor& claimed);

 private:
  const Clock& clock_;
  ExpiringCache<Actor, WallTime> accepted_;  // By thumbprint; synchronises itself.
};

}  // namespace holdfast::identity
