#include "proxy/pipeline.h"

#include <utility>

#include "base/log.h"
#include "graph/batch.h"
#include "proxy/forwarding.h"
#include "proxy/source_address.h"

namespace holdfast::proxy {
namespace {

using graph::RequestClass;
using nlohmann::json;

constexpr std::string_view kLocalPrefix = "/holdfast/";

graph::Classification classify_call_head(const Call& call) {
  const http::RequestHead& head = call.request.head;
  std::vector<graph::HeaderView> headers;
  headers.reserve(head.headers.size());
  for (const http::Header& header : head.headers) headers.push_back({header.name, header.value});
  graph::RequestView view{
      .method = head.method, .target = head.target, .headers = headers, .body = std::nullopt};
  if (call.content) view.body = *call.content;
  return graph::classify(view);
}

// Who a call that was refused said it came from; never more than a claim.
std::optional<identity::Actor> claimed_actor(const Call& call) {
  const auto token = identity::bearer_token(call.request.head);
  if (!token.ok() || !token->has_value()) return std::nullopt;
  Result<identity::Actor> claims = identity::read_claims(**token);
  if (!claims.ok()) return std::nullopt;
  return std::move(*claims);
}

std::string budget_key(const std::optional<identity::Actor>& actor) {
  if (!actor || !actor->verified()) return {};
  return actor->tenant_id + "/" +
         (actor->kind == identity::ActorKind::kUser ? actor->object_id : actor->app_id);
}

approval::Facts facts_of(const Subject& subject, const identity::Actor& actor, WallTime now) {
  const bool is_user = actor.kind == identity::ActorKind::kUser;
  approval::Facts facts{.action = subject.operation->action,
                        .resource = subject.operation->resource,
                        .actor_kind = actor.kind,
                        .tenant = actor.tenant_id,
                        .user = is_user ? actor.object_id : std::string(),  // Known to be nobody.
                        .source_ip = subject.call.source_ip,
                        .now = now};
  if (!actor.app_id.empty()) facts.app = actor.app_id;
  // A user's token need not list the directory roles; an app's lists all it was granted.
  if (!is_user || !actor.wids.empty()) {
    facts.roles = actor.roles;
    facts.roles->insert(facts.roles->end(), actor.wids.begin(), actor.wids.end());
  }
  facts.folder = subject.operation->folder;
  return facts;
}

}  // namespace

Pipeline::Pipeline(PipelineParts parts, std::unique_ptr<Upstream> upstream,
                   std::unique_ptr<identity::GraphLookup> lookup)
    : parts_(parts), upstream_(std::move(upstream)), lookup_(std::move(lookup)) {}

Task<http::Response> Pipeline::handle(http::Request request) {
  std::string source = source_address(request.peer, request.head.headers, parts_.trusted_proxies);
  Call call = begin_call(std::move(request), std::move(source), parts_.clock.now());
  if (call.request.head.target.starts_with(kLocalPrefix)) co_return local_endpoint(call);

  const Result<graph::Classification> what = co_await classify_call(call);
  Subject subject{
      .call = call, .operation = std::nullopt, .actor = std::nullopt, .mailbox_names = {}};
  if (!what.ok()) {
    const int status = what.error().code == ErrorCode::kLimit ? 413 : 400;
    co_return co_await refuse_call(subject, bad_request(what.error().message, status), nullptr);
  }
  subject.operation = what->operation;
  switch (what->request_class) {
    case RequestClass::kPassThrough:
      co_return co_await pass_through(call);
    case RequestClass::kBatch:
      co_return co_await pass_batch(subject, what->version);
    case RequestClass::kRejected:
      co_return co_await refuse_call(subject, bad_request(what->reason), nullptr);
    case RequestClass::kGuarded:
      break;
  }
  if (!parts_.log.health().ready) co_return audit_unavailable(call);

  std::variant<Caller, Refusal> identified = co_await identify(call);
  if (auto* refusal = std::get_if<Refusal>(&identified)) {
    co_return co_await refuse_call(subject, std::move(*refusal), nullptr);
  }
  const Caller caller = std::get<Caller>(std::move(identified));
  subject.actor = caller.actor;

  const DecisionBasis basis = co_await decide_call(subject, caller);
  std::optional<Refusal> refusal =
      refusal_of(basis.decision, call.request.head.headers, to_string(make_uuid_v4()));
  if (refusal) co_return co_await refuse_call(subject, std::move(*refusal), &basis);

  Result<audit::Receipt> receipt =
      co_await parts_.log.append_intent(intent_record(subject, basis), outbound_request(call));
  if (!receipt.ok()) co_return audit_unavailable(call);
  // From here on the intent is durable, and exactly one terminal record must follow.
  const audit::RecordRef intent = receipt->intent();
  const SteadyTime begun = parts_.clock.steady_now();
  ForwardResult result = co_await upstream_->forward(std::move(*receipt));
  const auto duration =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.clock.steady_now() - begun);
  const Result<audit::RecordRef> ended =
      co_await parts_.log.append_outcome(outcome_record(subject, result, duration));
  co_return answer_forwarded(subject, intent, std::move(result), ended);
}

Task<http::Response> Pipeline::refuse(http::Unreadable request) {
  http::Request seen{
      .head = std::move(request.head), .peer = std::move(request.peer), .body = http::empty_body()};
  std::string source = seen.peer.address;
  const Call call = begin_call(std::move(seen), std::move(source), parts_.clock.now());
  const Refusal refusal =
      bad_request("The request could not be read: " + request.why + ".", request.status);
  if (!call.request.head.target.empty()) {
    const graph::Classification what = classify_call_head(call);
    if (what.request_class != RequestClass::kPassThrough) {
      const Subject subject{
          .call = call, .operation = what.operation, .actor = std::nullopt, .mailbox_names = {}};
      co_return co_await refuse_call(subject, refusal, nullptr);
    }
  }
  co_return error_response(refusal.answer, call, parts_.clock.now());
}

Task<Result<graph::Classification>> Pipeline::classify_call(Call& call) {
  const graph::Classification what = classify_call_head(call);
  const bool wants_body = what.needs_body || what.request_class == RequestClass::kGuarded ||
                          what.request_class == RequestClass::kBatch;
  if (!wants_body) co_return what;
  Result<std::string> content =
      co_await http::read_all(*call.request.body, parts_.buffered_body_bytes_max);
  if (!content.ok()) co_return content.error();
  call.content = std::move(*content);
  if (what.needs_body) co_return classify_call_head(call);
  co_return what;
}

Task<std::variant<Pipeline::Caller, Refusal>> Pipeline::identify(const Call& call) {
  const auto token = identity::bearer_token(call.request.head);
  if (!token.ok()) co_return bad_request(token.error().message);
  if (!token->has_value()) co_return unauthenticated("A bearer token is required.");
  Caller caller{.token = **token, .actor = {}};
  if (std::optional<identity::Actor> known = parts_.verifier.remembered(caller.token)) {
    caller.actor = std::move(*known);
    co_return caller;
  }
  const Result<identity::Actor> claimed = identity::read_claims(caller.token);
  if (!claimed.ok()) co_return unauthenticated(claimed.error().message);
  Result<identity::Verdict> verdict =
      co_await parts_.verifier.verify(*lookup_, caller.token, *claimed);
  if (!verdict.ok()) {
    if (verdict.error().code != ErrorCode::kRefused) {
      co_return identity_unavailable(verdict.error().message);
    }
    log_error("forged token", {{"token_sha256", claimed->token_sha256},
                               {"source_ip", call.source_ip},
                               {"reason", verdict.error().message}});
    co_return unauthenticated(verdict.error().message);
  }
  if (verdict->refusal) co_return rejected_by_graph(std::move(*verdict->refusal));
  caller.actor = std::move(verdict->actor);
  co_return caller;
}

Task<DecisionBasis> Pipeline::decide_call(Subject& subject, const Caller& caller) {
  const graph::Operation& operation = *subject.operation;
  approval::Facts facts = facts_of(subject, caller.actor, parts_.clock.now());
  // What may be shared from elsewhere can belong to another mailbox than the path says: unknown.
  if (!operation.may_be_shared) {
    const std::optional<identity::Names> names =
        co_await parts_.mailboxes.resolve(*lookup_, operation.mailbox, caller.actor, caller.token);
    if (names) {
      subject.mailbox_names = *names;
      facts.mailbox = approval::MailboxNames{.names = *names};
      facts.own_mailbox = identity::is_own_mailbox(names, caller.actor);
    }
  }
  const approval::RuleSet rules = parts_.rules.current();
  approval::Decision decision = approval::decide(rules, facts);
  co_return DecisionBasis{.decision = std::move(decision),
                          .facts = std::move(facts),
                          .rules_sha256 = rules.sha256(),
                          .rules_revision = rules.revision()};
}

Task<http::Response> Pipeline::pass_through(const Call& call) {
  const http::RequestHead head = forwarded_head(call.request.head);
  const std::unique_ptr<http::Body> content =
      call.content ? http::string_body(*call.content) : nullptr;
  http::Body* const body = content ? content.get() : call.request.body.get();
  http::SendResult sent = co_await upstream_->pass(head, body);
  if (sent.response.ok()) {
    strip_connection_fields(*sent.response);
    co_return std::move(*sent.response);
  }
  const bool nothing_sent = sent.progress == http::Progress::kNothingSent;
  const ErrorAnswer answer{
      .status = 502,
      .code = nothing_sent ? "HoldfastUpstreamUnreachable" : "HoldfastOutcomeUnknown",
      .message = nothing_sent ? "Microsoft Graph could not be reached; nothing was sent: " +
                                    sent.response.error().message
                              : "The request was sent to Microsoft Graph and no complete answer "
                                "came: " +
                                    sent.response.error().message};
  co_return error_response(answer, call, parts_.clock.now());
}

// A batch is forwarded only if nothing in it is guarded: its parts would share one request, and
// each guarded call needs a decision, an intent and an outcome of its own.
Task<http::Response> Pipeline::pass_batch(Subject& subject, std::optional<std::string> version) {
  const Result<std::vector<graph::BatchPart>> parts =
      graph::classify_batch(*subject.call.content, version);
  if (!parts.ok()) {
    co_return co_await refuse_call(subject, bad_request(parts.error().message), nullptr);
  }
  for (const graph::BatchPart& part : *parts) {
    const RequestClass part_class = part.classification.request_class;
    if (part_class == RequestClass::kPassThrough) continue;
    subject.operation = part.classification.operation;
    const std::string why = part_class == RequestClass::kGuarded
                                ? "is guarded: send it as a request of its own, outside $batch"
                                : part.classification.reason;
    co_return co_await refuse_call(
        subject, bad_request("Request \"" + part.id + "\" of the batch " + why), nullptr);
  }
  co_return co_await pass_through(subject.call);
}

Task<http::Response> Pipeline::refuse_call(const Subject& subject, Refusal refusal,
                                           const DecisionBasis* basis) {
  const Call& call = subject.call;
  Subject told = subject;
  if (!told.actor) told.actor = claimed_actor(call);
  http::Response response = error_response(refusal.answer, call, parts_.clock.now());
  if (refusal.from_graph) {
    response = http::Response{.status = refusal.from_graph->status,
                              .headers = std::move(refusal.from_graph->headers),
                              .content = std::move(refusal.from_graph->body)};
  }
  if (!parts_.refusals.admit(budget_key(told.actor))) co_return response;
  const RefusalNote note{.effect = refusal.effect,
                         .reason = refusal.answer.message,
                         .status = response.status,
                         .approval_code = refusal.approval_code};
  const Result<audit::RecordRef> recorded =
      co_await parts_.log.append(refusal_record(told, note, basis));
  if (!recorded.ok()) co_return audit_unavailable(call);
  response.headers.set("Holdfast-Record", to_string(recorded->id));
  co_return response;
}

http::Response Pipeline::answer_forwarded(const Subject& subject, const audit::RecordRef& intent,
                                          ForwardResult result,
                                          const Result<audit::RecordRef>& ended) {
  const std::string record = to_string(intent.id);
  // kRefused: settled as unknown meanwhile, and this result recorded as its reconciliation.
  const bool durable = ended.ok() || ended.error().code == ErrorCode::kRefused;
  const bool certain =
      result.result == audit::CallResult::kExecuted || result.result == audit::CallResult::kRefused;
  if (durable && certain && result.response) {
    strip_connection_fields(*result.response);
    result.response->headers.set("Holdfast-Record", record);
    return std::move(*result.response);
  }
  json detail = {{"record", record}, {"operation_id", to_string(subject.call.operation_id)}};
  ErrorAnswer answer{.status = 502, .headers = {{"Holdfast-Record", record}}};
  if (durable && result.result == audit::CallResult::kNotSent) {
    answer.code = "HoldfastUpstreamUnreachable";
    answer.message = "Microsoft Graph could not be reached; nothing was sent: " + result.reason;
  } else {
    answer.code = "HoldfastOutcomeUnknown";
    answer.message =
        "The call was sent to Microsoft Graph and its outcome is not known. Do not repeat it "
        "before "
        "checking; the record " +
        record + " will tell once it is settled.";
    if (result.response) detail["status"] = result.response->status;
  }
  if (!durable) {
    log_error("outcome could not be recorded",
              {{"operation_id", detail["operation_id"]}, {"reason", ended.error().message}});
  }
  answer.holdfast = std::move(detail);
  return error_response(answer, subject.call, parts_.clock.now());
}

http::Response Pipeline::audit_unavailable(const Call& call) const {
  const ErrorAnswer answer{
      .status = 503,
      .code = "HoldfastAuditUnavailable",
      .message = "The audit log cannot take a record now, so nothing was forwarded."};
  return error_response(answer, call, parts_.clock.now());
}

http::Response Pipeline::local_endpoint(const Call& call) const {
  const std::string& target = call.request.head.target;
  if (target == "/holdfast/livez") return json_response(200, {{"status", "alive"}});
  if (target == "/holdfast/readyz") {
    const audit::LogHealth health = parts_.log.health();
    if (health.ready) return json_response(200, {{"status", "ready"}});
    return json_response(
        503, {{"status", "unavailable"}, {"reason", health.reason}, {"spooled", health.spooled}});
  }
  const ErrorAnswer answer{
      .status = 404,
      .code = "HoldfastNotFound",
      .message = "Holdfast serves /holdfast/livez and /holdfast/readyz under this path."};
  return error_response(answer, call, parts_.clock.now());
}

}  // namespace holdfast::proxy
