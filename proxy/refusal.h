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
};

Refusal bad_request(const std::string& why, int status = 400);
Refusal unauthenticated(const std::string& why);
// Graph's refusal of the caller's token, with its code, message and challenges: clients act on
// them.
Refusal rejected_by_graph(const identity::GraphAnswer& graph);
Refusal identity_unavailable(const std::string& why);

// What is answered instead of a request for approval that could not be filed.
ErrorAnswer too_many_refusals();

// nullopt when the decision allows the call. `approval_code` is used where approval is needed: the
// code of the request for approval that the refusal's record files.
std::optional<Refusal> refusal_of(const approval::Decision& decision, const http::Headers& headers,
                                  const std::string& approval_code);

}  // namespace holdfast::proxy
