// The ways a guarded call ends before it reaches Graph: what the client is told, and what the
// record says. Pure.
#pragma once

#include <optional>
#include <string>

#include "approval/decide.h"
#include "identity/graph_lookup.h"
#include "proxy/answer.h"
#include "proxy/call.h"

namespace holdfast::proxy {

struct Refusal {
  ErrorAnswer answer;
  std::string effect;  // See RefusalNote::effect.
  std::optional<std::string> approval_code = std::nullopt;
  // Graph's own refusal of the caller's token: sent instead of `answer`, whose message is what the
  // record gives as the reason.
  std::optional<identity::GraphAnswer> from_graph = std::nullopt;
};

Refusal bad_request(const std::string& why, int status = 400);
Refusal unauthenticated(const std::string& why);
Refusal rejected_by_graph(identity::GraphAnswer answer);
Refusal identity_unavailable(const std::string& why);

// nullopt when the decision allows the call. `approval_code` is used where approval is needed: the
// code of the request for approval that the refusal's record files.
std::optional<Refusal> refusal_of(const approval::Decision& decision, const http::Headers& headers,
                                  const std::string& approval_code);

}  // namespace holdfast::proxy
