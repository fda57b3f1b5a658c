#include "proxy/pipeline.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "graph/batch.h"
#include "proxy/forwarding.h"
#include "proxy/held_body.h"
#include "proxy/preimage.h"
#include "proxy/source_address.h"

namespace holdfast::proxy {
namespace {

using graph::RequestClass;
using nlohmann::json;

constexpr std::string_view kLocalPrefix = "/holdfast/";
constexpr std::string_view kLivez = "/holdfast/livez";
constexpr std::string_view kReadyz = "/holdfast/readyz";
constexpr std::string_view kMetrics = "/holdfast/metrics";
// What a Link to the proof of a record is (RFC 8288: an extension relation is a URI).
constexpr std::string_view kProofRelation = "https://c2sp.org/tlog-proof";
// Guarded actions take no body; what a client sends all the same is forwarded, within reason.
constexpr std::size_t kGuardedBodyBytesMax = 64 * 1024;
constexpr int kTooBusy = 503;
// How often a call is decided while the rules keep changing, and how long it waits for those that a
// replica has put in force.
constexpr int kDecisionsMax = 4;
constexpr std::chrono::milliseconds kNewerRulesWait{2'000};
// How often a call is permitted while others keep changing its approval.
constexpr int kPermitsMax = 4;

graph::Classification classify_call(Call& call) {
  const http::RequestHead& head = call.request.head;
  std::vector<graph::HeaderView> headers;
  headers.reserve(head.headers.size());
  for (const http::Header& header : head.headers) headers.push_back({header.name, header.value});
  graph::RequestView view{
      .method = head.method, .target = head.target, .headers = headers, .body = std::nullopt};
  if (call.content) view.body = *call.content;
  graph::Classification what = graph::classify(view);
  call.kind = kind_of(what.request_class);
  return what;
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
                        .now = now};
  if (!subject.call.source_ip.empty()) facts.source_ip = subject.call.source_ip;
  if (!actor.app_id.empty()) facts.app = actor.app_id;
  // A user's token need not list the directory roles; an app's lists all it was granted. Of a
  // caller known by certificate the token is not verified.
  const bool knows_token = actor.verification == identity::Verification::kProbe;
  if (knows_token && (!is_user || !actor.wids.empty())) {
    facts.roles = actor.roles;
    facts.roles->insert(facts.roles->end(), actor.wids.begin(), actor.wids.end());
  }
  facts.folder = subject.operation->folder;
  return facts;
}

// To an ordinary call that Graph gave no complete answer to.
ErrorAnswer no_answer(http::Progress progress, const Error& why) {
  if (progress != http::Progress::kNothingSent) {
    return {.status = 502,
            .code = "HoldfastOutcomeUnknown",
            .message = "The request was sent to Microsoft Graph and no complete answer came: " +
                       why.message};
  }
  if (why.code == ErrorCode::kLimit) {
    // No connection was free: Holdfast's own limit, which says nothing of Graph. A batch has been
    // read by now, and nothing in it is guarded.
    ErrorAnswer busy = too_busy(RequestKind::kPassThrough);
    busy.message += " (" + why.message + ")";
    return busy;
  }
  return {.status = 502,
          .code = "HoldfastUpstreamUnreachable",
          .message = "Microsoft Graph could not be reached; nothing was sent: " + why.message};
}

}  // namespace

bool is_probe(std::string_view target) {
  return target == kLivez || target == kReadyz || target == kMetrics;
}

Pipeline::Pipeline(PipelineParts parts, std::unique_ptr<Upstream> upstream,
                   std::unique_ptr<identity::GraphLookup> lookup)
    : parts_(std::move(parts)),
      metrics_(parts_.metrics),
      open_(std::make_shared<OpenOperations>()),
      upstream_(std::move(upstream)),
      lookup_(std::move(lookup)),
      desk_(parts_.approvals, parts_.log, parts_.clock),
      callers_(parts_.certificates, parts_.verifier, parts_.probes, *lookup_, metrics_) {
  parts_.metrics.gauge_from(
      "holdfast_oldest_open_operation_seconds",
      "Age of the oldest guarded call whose intent is recorded and whose outcome is not; 0: none.",
      {{"worker", std::to_string(parts_.worker)}}, [open = open_, &clock = parts_.clock] {
        const SteadyTime oldest = open->oldest();
        if (oldest == SteadyTime::max()) return 0.0;
        return std::chrono::duration<double>(clock.steady_now() - oldest).count();
      });
}

Task<http::Response> Pipeline::handle(http::Request request) {
  const SteadyTime begun = parts_.clock.steady_now();
  std::string source = source_address(request.peer, request.head.headers, parts_.trusted_proxies);
  Call call = begin_call(std::move(request), std::move(source), parts_.clock.now());
  http::Response response = co_await handle(call);
  metrics_.answered(call.kind, response.status, parts_.clock.steady_now() - begun);
  co_return response;
}

Task<http::Response> Pipeline::handle(Call& call) {
  if (call.request.head.target.starts_with(kApprovalsPrefix)) co_return co_await own_approval(call);
  if (call.request.head.target.starts_with(kLocalPrefix)) co_return local_endpoint(call);

  graph::Classification what = classify_call(call);
  if (what.request_class == RequestClass::kPassThrough) co_return co_await pass_through(call);
  Subject subject{
      .call = call, .operation = what.operation, .actor = std::nullopt, .mailbox_names = {}};
  std::variant<Caller, Refusal> named = callers_.named_in(call);
  if (const Caller* caller = std::get_if<Caller>(&named)) subject.actor = caller->actor;
  if (what.request_class == RequestClass::kRejected) {
    co_return co_await refuse_call(subject, bad_request(what.reason));
  }
  // Bodies are kept in memory from here on, for callers who name themselves.
  if (auto* refusal = std::get_if<Refusal>(&named)) {
    co_return co_await refuse_call(subject, std::move(*refusal));
  }
  Caller caller = std::get<Caller>(std::move(named));
  const SharedBudget::Account account(parts_.buffered_bodies,
                                      share_group(call.source_ip, parts_.trusted_proxies));
  SharedBudget::Share memory(account);
  const bool may_be_long = what.needs_body || what.request_class == RequestClass::kBatch;
  std::optional<Refusal> refusal = co_await read_content(
      call, may_be_long ? parts_.buffered_body_bytes_max : kGuardedBodyBytesMax, memory);
  if (refusal) co_return co_await refuse_call(subject, std::move(*refusal));
  if (what.request_class == RequestClass::kBatch) {
    co_return co_await pass_batch(call, subject, what.version);
  }
  if (what.needs_body) {
    what = classify_call(call);
    subject.operation = what.operation;
    if (what.request_class == RequestClass::kPassThrough) co_return co_await pass_through(call);
    if (what.request_class != RequestClass::kGuarded) {
      co_return co_await refuse_call(subject, bad_request(what.reason));
    }
  }

  Budget::Share place(parts_.guarded_in_flight);
  if (!place.take(1)) {
    metrics_.over_guarded_in_flight.add();
    co_return error_response(too_busy(call.kind), call, parts_.clock.now());
  }
  if (!parts_.log.health().ready || !parts_.rules.current()) co_return audit_unavailable(call);
  refusal = co_await callers_.verify(caller, call);
  if (refusal) co_return co_await refuse_call(subject, std::move(*refusal));
  subject.actor = caller.actor;
  refusal = ambiguous_papers(call.request.head.headers);
  if (refusal) co_return co_await refuse_call(subject, std::move(*refusal));

  CallMembers members;
  std::variant<audit::Receipt, http::Response> committed =
      co_await commit_call(subject, caller, members);
  if (auto* answer = std::get_if<http::Response>(&committed)) co_return std::move(*answer);
  audit::Receipt receipt = std::get<audit::Receipt>(std::move(committed));
  // From here on the intent is durable, and exactly one terminal record must follow.
  const audit::RecordRef intent = receipt.intent();
  call.content.reset();  // The receipt holds what is sent.
  const SteadyTime begun = parts_.clock.steady_now();
  const OpenOperations::Entry open(*open_, begun);
  ForwardResult result = co_await upstream_->forward(std::move(receipt));
  const auto duration =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.clock.steady_now() - begun);
  metrics_.forwarded(result.result, duration);
  const Result<audit::RecordRef> ended = co_await parts_.log.append_outcome(
      outcome_record(subject, std::move(members), result, duration));
  metrics_.outcome_commit.observe(parts_.clock.steady_now() - begun - duration);
  co_return answer_forwarded(subject, intent, std::move(result), ended);
}

Task<std::variant<audit::Receipt, http::Response>> Pipeline::commit_call(Subject& subject,
                                                                         const Caller& caller,
                                                                         CallMembers& members) {
  for (int attempt = 0; attempt < kDecisionsMax; ++attempt) {
    DecisionBasis basis = co_await decide_call(subject, caller);
    members = call_members(subject);
    const SteadyTime decided = parts_.clock.steady_now();
    std::variant<audit::Receipt, http::Response, Outdated> committed =
        co_await commit_intent(subject, members, basis);
    if (auto* answer = std::get_if<http::Response>(&committed)) co_return std::move(*answer);
    if (auto* receipt = std::get_if<audit::Receipt>(&committed)) {
      metrics_.intent_commit.observe(parts_.clock.steady_now() - decided);
      co_return std::move(*receipt);
    }
    subject.claim.reset();
    subject.review.reset();
    const bool is_newer =
        co_await parts_.rules.wait_beyond(basis.rules_generation, kNewerRulesWait);
    if (!is_newer) break;
  }
  co_return audit_unavailable(subject.call);
}

Task<std::variant<audit::Receipt, http::Response, Pipeline::Outdated>> Pipeline::commit_intent(
    Subject& subject, const CallMembers& members, DecisionBasis& basis) {
  int overtaken = 0;
  for (;;) {
    if (basis.decision.effect != approval::Effect::kAllow) {
      Permit permit;
      if (overtaken > 0) {
        permit = co_await desk_.overtaken(subject, basis);
      } else {
        permit = co_await desk_.permit(subject, basis);
      }
      if (permit.unavailable) co_return audit_unavailable(subject.call);
      if (permit.refusal) {
        co_return co_await refuse_call(subject, *std::move(permit.refusal), &basis);
      }
      subject.claim = std::move(permit.claim);
      subject.review = std::move(permit.review);
    }
    Result<audit::Receipt> receipt = co_await parts_.log.append_intent(
        intent_record(subject, members, basis), outbound_request(subject.call));
    if (receipt.ok()) {
      if (subject.review) alarm(subject, receipt->intent());
      co_return *std::move(receipt);
    }
    if (receipt.error().code == ErrorCode::kNotFound) co_return Outdated{};
    if ((subject.claim || subject.review) && receipt.error().code == ErrorCode::kRefused &&
        ++overtaken < kPermitsMax) {
      continue;
    }
    const auto spent = std::ranges::find_if(basis.decision.limits, [&](const auto& taken) {
      return receipt.error().code == ErrorCode::kLimit && taken.rule.id == receipt.error().message;
    });
    if (spent == basis.decision.limits.end()) {
      co_return unrecorded(subject.call, receipt.error());
    }
    const approval::TakenLimit limit = *spent;
    if (limit.limit.over == approval::Effect::kDeny) {
      co_return co_await refuse_call(subject, limit_exceeded(limit), &basis);
    }
    // Once at most: such limits are not taken by a call that has its approval.
    basis.decision = approval::over_limit(std::move(basis.decision), limit);
  }
}

void Pipeline::alarm(const Subject& subject, const audit::RecordRef& intent) const {
  metrics_.break_glass.add();
  log_error("a call goes past its approval: break glass",
            {{"rule", subject.review->rules.front()},
             {"review", to_string(subject.review->code)},
             {"record", to_string(intent.id)},
             {"requester", approval::actor_key(*subject.actor)}});
}

Task<http::Response> Pipeline::refuse(http::Unreadable request) {
  const SteadyTime begun = parts_.clock.steady_now();
  const int status = request.status;
  const Refusal refusal =
      bad_request("The request could not be read: " + request.why + ".", status);
  http::Request seen{
      .head = std::move(request.head), .peer = std::move(request.peer), .body = http::empty_body()};
  // Not what a half-read head says of it.
  std::string source = seen.peer.address;
  Call call = begin_call(std::move(seen), std::move(source), parts_.clock.now());
  http::Response response = co_await refuse(call, refusal);
  if (status != kTooBusy) call.kind = RequestKind::kUnreadable;
  metrics_.answered(call.kind, response.status, parts_.clock.steady_now() - begun);
  co_return response;
}

Task<http::Response> Pipeline::refuse(Call& call, const Refusal& refusal) {
  const bool has_line = !call.request.head.target.empty();
  const graph::Classification what = has_line ? classify_call(call) : graph::Classification();
  if (refusal.answer.status == kTooBusy) {
    co_return error_response(too_busy(call.kind), call, parts_.clock.now());
  }
  if (what.request_class == RequestClass::kPassThrough) {
    co_return error_response(refusal.answer, call, parts_.clock.now());
  }
  Subject subject{
      .call = call, .operation = what.operation, .actor = std::nullopt, .mailbox_names = {}};
  const std::variant<Caller, Refusal> named = callers_.named_in(call);
  if (const Caller* caller = std::get_if<Caller>(&named)) subject.actor = caller->actor;
  co_return co_await refuse_call(subject, refusal);
}

Task<std::optional<Refusal>> Pipeline::read_content(Call& call, std::size_t bytes_max,
                                                    SharedBudget::Share& memory) {
  MeteredBody body(*call.request.body, memory);
  Result<std::string> content = co_await http::read_all(body, bytes_max);
  if (content.ok()) {
    call.content = *std::move(content);
    co_return std::nullopt;
  }
  if (body.memory_answer() != SharedBudget::Answer::kTaken) {
    const bool over_part = body.memory_answer() == SharedBudget::Answer::kOverPart;
    (over_part ? metrics_.over_buffered_bodies_of_address : metrics_.over_buffered_bodies).add();
    co_return Refusal{.answer = too_busy(call.kind), .effect = {}};
  }
  if (content.error().code == ErrorCode::kLimit) metrics_.over_buffered_body.add();
  co_return unreadable_body(content.error());
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
  facts.affected = approval::affected_by_path(facts);
  // There is one from the first call on.
  const approval::Generation generation = parts_.rules.current().value();
  const approval::RuleSet& rules = generation.rules;
  const ItemReader reader{.graph = *lookup_,
                          .mailboxes = parts_.mailboxes,
                          .clock = parts_.clock,
                          .timeout = parts_.facts_timeout};
  co_await reader.find_out(rules, caller.actor, caller.token, subject, facts);
  approval::Decision decision = approval::decide(rules, facts);
  co_return DecisionBasis{.decision = std::move(decision),
                          .facts = std::move(facts),
                          .rules_generation = generation.number,
                          .rules_sha256 = rules.sha256(),
                          .rules_revision = rules.revision()};
}

Task<http::Response> Pipeline::pass_through(Call& call, graph::LinkRewriter::Content content_kind) {
  const Status clear = identity::check_credentials(call.request.head);
  if (!clear.ok()) {
    const Refusal refusal = bad_request(clear.error().message);
    co_return error_response(refusal.answer, call, parts_.clock.now());
  }
  if (ends_here(call.request.head)) co_return offered_methods();
  // Only here: answers to guarded calls are not changed, so those calls need no Host.
  const Result<graph::LinkOrigins> origins = link_origins(parts_.links, call.request);
  if (!origins.ok()) {
    const Refusal refusal = bad_request(origins.error().message);
    co_return error_response(refusal.answer, call, parts_.clock.now());
  }
  const http::RequestHead head = passed_head(std::move(call.request.head));
  // Moved: it stays in memory for as long as Graph takes, and has been counted once.
  const std::unique_ptr<http::Body> content =
      call.content ? http::string_body(*std::move(call.content)) : nullptr;
  WatchedBody body(content ? *content : *call.request.body);
  const std::string address = share_group(call.source_ip, parts_.trusted_proxies);
  http::SendResult sent = co_await upstream_->pass(head, &body, address);
  if (sent.response.ok()) {
    strip_connection_fields(*sent.response);
    keep_links_inside(*sent.response, head, *origins, content_kind);
    co_return std::move(*sent.response);
  }
  if (body.failure()) {
    const Refusal refusal = unreadable_body(*body.failure());
    co_return error_response(refusal.answer, call, parts_.clock.now());
  }
  const ErrorAnswer answer = no_answer(sent.progress, sent.response.error());
  co_return error_response(answer, call, parts_.clock.now());
}

// A batch is forwarded only if nothing in it is guarded: its parts would share one request, and
// each guarded call needs a decision, an intent and an outcome of its own.
Task<http::Response> Pipeline::pass_batch(Call& call, Subject& subject,
                                          std::optional<std::string> version) {
  const Result<std::vector<graph::BatchPart>> parts =
      graph::classify_batch(*subject.call.content, version);
  if (!parts.ok()) {
    co_return co_await refuse_call(subject, bad_request(parts.error().message));
  }
  for (const graph::BatchPart& part : *parts) {
    const RequestClass part_class = part.classification.request_class;
    if (part_class == RequestClass::kPassThrough) continue;
    subject.operation = part.classification.operation;
    const std::string why = part_class == RequestClass::kGuarded
                                ? "is guarded: send it as a request of its own, outside $batch"
                                : part.classification.reason;
    co_return co_await refuse_call(subject,
                                   bad_request("Request \"" + part.id + "\" of the batch " + why));
  }
  co_return co_await pass_through(call, graph::LinkRewriter::Content::kBatch);
}

Task<http::Response> Pipeline::refuse_call(const Subject& subject, Refusal refusal,
                                           const DecisionBasis* basis, IfOvertaken if_overtaken) {
  const Call& call = subject.call;
  http::Response response = error_response(refusal.answer, call, parts_.clock.now());
  // Nothing is recorded when there is too much to do: the log is the last thing to load further.
  if (refusal.answer.status == kTooBusy) co_return response;
  if (!parts_.refusals.admit(budget_key(subject.actor))) {
    const bool files = refusal.approval && refusal.approval->step == audit::ApprovalStep::kFile;
    if (!files) co_return response;
    co_return error_response(too_many_refusals(), call, parts_.clock.now());
  }
  const RefusalNote note{.effect = refusal.effect,
                         .reason = refusal.answer.message,
                         .status = response.status,
                         .approval = std::move(refusal.approval)};
  const Result<audit::RecordRef> recorded =
      co_await parts_.log.append(refusal_record(subject, note, basis));
  if (!recorded.ok()) {
    const bool overtaken = note.approval && recorded.error().code == ErrorCode::kRefused;
    if (!overtaken || if_overtaken == IfOvertaken::kGiveUp) {
      co_return unrecorded(call, recorded.error());
    }
    Permit permit = co_await desk_.overtaken(subject, *basis);
    if (!permit.refusal) co_return audit_unavailable(call);
    co_return co_await refuse_call(subject, *std::move(permit.refusal), basis,
                                   IfOvertaken::kGiveUp);
  }
  name_record(response, to_string(recorded->id));
  co_return response;
}

Task<http::Response> Pipeline::own_approval(Call& call) {
  std::variant<Caller, Refusal> named = callers_.named_in(call);
  if (const auto* refusal = std::get_if<Refusal>(&named)) {
    co_return error_response(refusal->answer, call, parts_.clock.now());
  }
  Caller caller = std::get<Caller>(std::move(named));
  const std::optional<Refusal> refusal = co_await callers_.verify(caller, call);
  if (refusal) co_return error_response(refusal->answer, call, parts_.clock.now());
  co_return co_await desk_.own_approval(call, caller.actor);
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
    name_record(*result.response, record);
    return std::move(*result.response);
  }
  json detail = {{"record", record}, {"operation_id", to_string(subject.call.operation_id)}};
  ErrorAnswer answer{.status = 502};
  if (durable && result.result == audit::CallResult::kNotSent) {
    answer.code = "HoldfastUpstreamUnreachable";
    // Graph need not be at fault: no connection was free, or it was too late to send.
    answer.message = "Nothing was sent to Microsoft Graph: " + result.reason;
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
  http::Response response = error_response(answer, subject.call, parts_.clock.now());
  name_record(response, record);
  return response;
}

// Which record the call has, and where the proof is that the signed log holds it.
void Pipeline::name_record(http::Response& response, const std::string& record) const {
  response.headers.set("Holdfast-Record", record);
  if (parts_.audit_url.empty()) return;
  // Beside any that Graph may have sent.
  response.headers.add("Link", "<" + parts_.audit_url + "/api/v1/records/" + record +
                                   "/proof>; rel=\"" + std::string(kProofRelation) + "\"");
}

http::Response Pipeline::audit_unavailable(const Call& call) const {
  return error_response(proxy::audit_unavailable(), call, parts_.clock.now());
}

http::Response Pipeline::unrecorded(const Call& call, const Error& error) const {
  if (error.code == ErrorCode::kLimit || error.code == ErrorCode::kInvalid) {
    log_error("a call cannot be recorded",
              {{"request_id", call.request_id}, {"why", error.message}});
  }
  return audit_unavailable(call);
}

http::Response Pipeline::local_endpoint(const Call& call) const {
  const std::string& target = call.request.head.target;
  if (target == kLivez) return json_response(200, {{"status", "alive"}});
  if (target == kMetrics &&
      is_for_operators(call.request, call.source_ip, parts_.metrics_from, parts_.trusted_proxies)) {
    return {.status = 200,
            .headers = {{"Content-Type", kMetricsContentType}},
            .content = parts_.metrics.text()};
  }
  if (target == kReadyz) {
    if (parts_.draining) return json_response(503, {{"status", "draining"}});
    audit::LogHealth health = parts_.log.health();
    if (health.ready) health.reason = parts_.rules.problem();
    if (health.reason.empty()) return json_response(200, {{"status", "ready"}});
    return json_response(
        503, {{"status", "unavailable"}, {"reason", health.reason}, {"spooled", health.spooled}});
  }
  const ErrorAnswer answer{
      .status = 404,
      .code = "HoldfastNotFound",
      .message = "Holdfast serves livez, readyz and approvals/{code} under this path."};
  return error_response(answer, call, parts_.clock.now());
}

}  // namespace holdfast::proxy
