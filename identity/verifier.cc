#include "identity/verifier.h"

#include <cassert>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

// A string member of a JSON object; empty when there is none.
std::string member(const json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Whom a 200 speaks of: the user of /me, the tenant of /organization. Empty: it does not say.
std::string subject(const json& body, ActorKind kind) {
  if (kind == ActorKind::kUser) return member(body, "id");
  const auto list = body.is_object() ? body.find("value") : body.end();
  if (list == body.end() || !list->is_array() || list->size() != 1) return {};
  return member(list->front(), "id");
}

bool is_graph_refusal(const GraphAnswer& answer) {
  if (answer.status != 403 || answer.headers.get("request-id").empty()) return false;
  const Result<json> body = parse_json(answer.body);
  if (!body.ok() || !body->is_object() || !body->contains("error")) return false;
  return !member(body->at("error"), "code").empty();
}

Error unsettled(const std::string& why) {
  return {ErrorCode::kUnavailable, "Graph could not be asked about the access token: " + why};
}

// Whether Graph's answer to our question makes the claims believable.
Status judge(const GraphAnswer& answer, const Actor& claimed) {
  if (is_graph_refusal(answer)) return {};
  if (answer.status != 200) return unsettled("it answered " + std::to_string(answer.status));
  const Result<json> body = parse_json(answer.body);
  const std::string id = body.ok() ? subject(*body, claimed.kind) : std::string();
  if (id.empty()) return unsettled("its answer names nobody");
  const bool is_user = claimed.kind == ActorKind::kUser;
  if (!ascii_iequals(id, is_user ? claimed.object_id : claimed.tenant_id)) {
    return Error{ErrorCode::kRefused, "Graph knows the access token as somebody else's"};
  }
  return {};
}

}  // namespace

std::optional<Actor> Verifier::remembered(const BearerToken& token) {
  return accepted_.find(to_hex(sha256(token.text)), clock_.now());
}

Task<Result<Verdict>> Verifier::verify(GraphLookup& graph, const BearerToken& token,
                                       const Actor& claimed) {
  assert(claimed.token_sha256 == to_hex(sha256(token.text)));
  Verdict verdict{claimed, std::nullopt};
  verdict.actor.verification = Verification::kNone;
  if (std::optional<Actor> known = accepted_.find(claimed.token_sha256, clock_.now())) {
    verdict.actor = std::move(*known);
    co_return verdict;
  }
  if (claimed.kind == ActorKind::kUnknown) {
    co_return Error{ErrorCode::kRefused, "the access token is neither a user's nor an app's"};
  }

  std::string question =
      claimed.kind == ActorKind::kUser ? "/v1.0/me?$select=id" : "/v1.0/organization?$select=id";
  Result<GraphAnswer> answer = co_await graph.get(std::move(question), token.text);
  if (!answer.ok()) co_return unsettled(answer.error().message);
  if (answer->status == 401) {
    verdict.refusal = std::move(*answer);
    co_return verdict;
  }
  const Status judged = judge(*answer, claimed);
  if (!judged.ok()) co_return judged.error();

  verdict.actor.verification = Verification::kProbe;
  if (claimed.expires && *claimed.expires > clock_.now()) {
    accepted_.put(claimed.token_sha256, verdict.actor, *claimed.expires);
  }
  co_return verdict;
}

}  // namespace holdfast::identity
