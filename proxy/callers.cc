#include "proxy/callers.h"

#include <utility>

#include "base/log.h"
#include "http/admission.h"

namespace holdfast::proxy {
namespace {

std::variant<Caller, Refusal> named_by_certificate(const identity::CertificateApps& apps,
                                                   const http::ClientCertificate* certificate,
                                                   const identity::BearerToken& token) {
  if (certificate == nullptr) return not_admitted("A client certificate is required.");
  Result<identity::Actor> app = apps.app_of(*certificate, token);
  if (!app.ok()) return not_admitted(app.error().message);
  return Caller{.token = token, .actor = *std::move(app)};
}

// What the token itself says against its coming from that app.
std::optional<Refusal> contradiction(const Caller& caller, WallTime now) {
  const Status may_be_own = identity::check_token(caller.token, caller.actor, now);
  if (may_be_own.ok()) return std::nullopt;
  const Error& problem = may_be_own.error();
  return problem.code == ErrorCode::kRefused ? not_admitted(problem.message)
                                             : unauthenticated(problem.message);
}

}  // namespace

std::variant<Caller, Refusal> Callers::named_in(const Call& call) {
  const auto token = identity::bearer_token(call.request.head);
  if (!token.ok()) return bad_request(token.error().message);
  if (!token->has_value()) return unauthenticated("A bearer token is required.");
  if (certificates_ != nullptr) {
    return named_by_certificate(*certificates_, call.request.peer.certificate.get(), **token);
  }
  if (std::optional<identity::Actor> known = verifier_.remembered(**token)) {
    return Caller{.token = **token, .actor = *std::move(known)};
  }
  Result<identity::Actor> claims = identity::read_claims(**token);
  if (!claims.ok()) return unauthenticated(claims.error().message);
  return Caller{.token = **token, .actor = *std::move(claims)};
}

Task<std::optional<Refusal>> Callers::verify(Caller& caller, const Call& call) {
  if (certificates_ != nullptr) co_return contradiction(caller, call.received);
  if (caller.actor.verified()) co_return std::nullopt;
  const std::string address = http::address_group(call.source_ip);
  const identity::ProbeBudget::Verdict may_ask = probes_.take(address);
  if (may_ask != identity::ProbeBudget::Verdict::kAsk) {
    const bool of_address = may_ask == identity::ProbeBudget::Verdict::kAddressOverRate;
    (of_address ? metrics_.over_probes_of_address : metrics_.over_probes).add();
    co_return too_many_unknown_callers();
  }
  Result<identity::Verdict> verdict =
      co_await verifier_.verify(lookup_, caller.token, caller.actor);
  if (!verdict.ok()) {
    if (verdict.error().code != ErrorCode::kRefused) {
      metrics_.probes_unsettled.add();
      co_return identity_unavailable(verdict.error().message);
    }
    metrics_.probes_refused.add();
    log_error("forged token", {{"token_sha256", caller.actor.token_sha256},
                               {"source_ip", call.source_ip},
                               {"reason", verdict.error().message}});
    co_return unauthenticated(verdict.error().message);
  }
  if (verdict->refusal) {
    metrics_.probes_refused.add();
    co_return rejected_by_graph(*verdict->refusal);
  }
  metrics_.probes_accepted.add();
  probes_.give_back(address);
  caller.actor = std::move(verdict->actor);
  co_return std::nullopt;
}

}  // namespace holdfast::proxy
