#include "officers/api.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "base/log.h"
#include "base/uuid.h"
#include "identity/claims.h"
#include "officers/access.h"
#include "officers/approvals_api.h"
#include "officers/collection.h"
#include "officers/generations_api.h"
#include "officers/holds_api.h"
#include "officers/log_api.h"
#include "officers/problem.h"
#include "officers/record_json.h"
#include "officers/reviews_api.h"
#include "officers/target.h"
#include "officers/tokens_api.h"

namespace holdfast::officers {
namespace {

constexpr std::string_view kRecords = "/api/v1/records";
constexpr std::string_view kOneRecord = "/api/v1/records/{reference}";
constexpr std::string_view kProof = "/api/v1/records/{reference}/proof";
constexpr std::string_view kProofEnd = "/proof";
constexpr std::string_view kIntegrity = "/api/v1/integrity";
constexpr std::string_view kLog = "/log/";
constexpr const char* kLivez = "/livez";
constexpr const char* kReadyz = "/readyz";
constexpr const char* kMetrics = "/metrics";
constexpr std::int64_t kPartitionSpan = std::int64_t{1} << 22;

// A record's index or id, as the path names it.
std::optional<RecordReference> parse_reference(std::string_view text) {
  std::int64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool is_one = error == std::errc() && end == text.data() + text.size() && index >= 0;
  // In the one spelling that it has.
  if (is_one && std::to_string(index) == text) return index;
  const std::optional<Uuid> id = parse_uuid(text);
  if (!id) return std::nullopt;
  return *id;
}

// The address of the next page: where this request went, with the cursor in it.
std::string next_link(const http::Request& request, const audit::RecordQuery& query,
                      const audit::Cursor& next) {
  std::vector<audit::Parameter> parameters = audit::filters_of(query);
  parameters.push_back({"limit", std::to_string(query.limit)});
  parameters.push_back({"cursor", audit::encode_cursor(next, query)});
  const std::string host(request.head.headers.get("Host"));
  const std::string origin = host.empty() ? "" : (request.peer.tls ? "https://" : "http://") + host;
  return origin + std::string(kRecords) + "?" + encode_query(parameters);
}

class Api final : public http::Handler {
 public:
  explicit Api(const ApiServices& services) : services_(services) {}

  Task<http::Response> handle(http::Request request) override {
    http::Response response = co_await answer(request);
    services_.metrics.answered(request.head.target.starts_with("/api/"), response.status);
    co_return response;
  }

  Task<http::Response> refuse(http::Unreadable request) override {
    services_.metrics.answered(false, request.status);
    co_return problem(request.status, request.why);
  }

 private:
  Task<http::Response> answer(const http::Request& request) {
    const std::optional<Target> target = parse_target(request.head.target);
    if (!target) co_return problem(400, "the target has a % without two hex digits after it");
    if (target->path.starts_with("/api/")) co_return co_await api(request, *target);
    if (target->path.starts_with(kLog)) co_return co_await log_resource(request, *target);
    const bool is_metrics = target->path == kMetrics && is_for_operators(request);
    if (target->path != "/" && target->path != kLivez && target->path != kReadyz && !is_metrics) {
      co_return problem(404, "there is nothing here; records are at " + std::string(kRecords));
    }
    if (!is_read(request)) co_return method_not_allowed("GET, HEAD");
    if (is_metrics) co_return co_await metrics();
    if (target->path == kReadyz) co_return co_await readyz();
    if (target->path == kLivez) co_return json_response(200, std::string(R"({"status":"alive"})"));
    co_return welcome();
  }

  static bool is_read(const http::Request& request) {
    return request.head.method == "GET" || request.head.method == "HEAD";
  }

  // Who came through a balancer may be anybody, whatever the balancer's own address is.
  bool is_for_operators(const http::Request& request) const {
    const http::Headers& headers = request.head.headers;
    for (const char* name : {"X-Forwarded-For", "Forwarded", "Via"}) {
      if (headers.find(name) != nullptr) return false;
    }
    return approval::is_in_any(request.peer.address, services_.metrics_from);
  }

  Task<http::Response> metrics() {
    const Result<audit::LogState> state = co_await services_.records.state();
    if (state.ok()) services_.metrics.observe(*state, services_.clock.now());
    http::Response answer;
    answer.headers = {{"Content-Type", kMetricsContentType}};
    answer.content = services_.metrics.all().text();
    co_return answer;
  }

  static http::Response welcome() {
    http::Response answer;
    answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
    answer.content =
        "Holdfast audit service\n\n"
        "Records: /api/v1/records (bearer token needed), described by schema/openapi.yaml.\n"
        "Approvals: /api/v1/approvals. Reviews: /api/v1/reviews. Rules: /api/v1/rules.\n"
        "Legal holds: /api/v1/holds. API tokens: /api/v1/tokens.\n"
        "From a shell: holdfast records search --help, holdfast approvals --help,\n"
        "holdfast rules --help, holdfast holds --help, holdfast token --help\n";
    return answer;
  }

  // The officer, or what to answer who is none.
  Task<std::variant<Officer, http::Response>> authenticate(const http::Request& request) const {
    const auto token = identity::bearer_token(request.head);
    if (!token.ok()) co_return problem(400, token.error().message);
    if (!token->has_value()) {
      co_return unauthenticated("one Authorization: Bearer header is needed");
    }
    const std::string& text = (*token)->text;
    std::optional<Officer> officer = services_.tokens.find(text, services_.clock.now());
    if (officer) co_return *std::move(officer);
    if (is_token_text(text)) {
      const Sha256 digest = sha256(text);
      Result<std::optional<StoredToken>> stored = co_await services_.stored_tokens.use(digest);
      if (!stored.ok()) co_return failure(stored.error());
      if (*stored) co_return services_.tokens.with_person(std::move((*stored)->officer));
    }
    // An API token has no dots that make three parts of it.
    const bool is_signed = std::ranges::count(text, '.') == 2;
    if (services_.sign_in == nullptr || !is_signed) {
      co_return unauthenticated("the token is unknown, revoked or has expired");
    }
    const Result<identity::SignedIn> person = co_await services_.sign_in->verify(text);
    if (!person.ok()) {
      if (person.error().code != ErrorCode::kUnavailable) {
        co_return unauthenticated(person.error().message);
      }
      co_return problem(503, person.error().message);
    }
    officer = signed_in_officer(*person);
    if (!officer) co_return problem(403, "you have signed in, but with none of Holdfast's roles");
    co_return services_.tokens.with_person(*std::move(officer));
  }

  Task<http::Response> api(const http::Request& request, const Target& target) {
    std::variant<Officer, http::Response> caller = co_await authenticate(request);
    if (auto* refusal = std::get_if<http::Response>(&caller)) co_return std::move(*refusal);
    const Asked asked{.request = request, .target = target, .officer = std::get<Officer>(caller)};
    if (target.path == kIntegrity) {
      if (!is_read(request)) co_return method_not_allowed("GET, HEAD");
      co_return co_await answer_integrity(services_);
    }
    if (target.path == kRecords) {
      if (!is_read(request)) co_return method_not_allowed("GET, HEAD");
      co_return co_await search(asked);
    }
    if (is_of(target.path, kApprovals)) co_return co_await answer_approvals(services_, asked);
    if (is_of(target.path, kReviews)) co_return co_await answer_reviews(services_, asked);
    if (is_of(target.path, kGenerations)) co_return co_await answer_generations(services_, asked);
    if (is_of(target.path, kTokens)) co_return co_await answer_tokens(services_, asked);
    if (is_of(target.path, kHolds)) co_return co_await answer_holds(services_, asked);
    const std::string prefix = std::string(kRecords) + "/";
    if (target.path.starts_with(prefix)) {
      if (!is_read(request)) co_return method_not_allowed("GET, HEAD");
      std::string reference = target.path.substr(prefix.size());
      if (!reference.ends_with(kProofEnd)) co_return co_await show(asked, reference);
      reference.resize(reference.size() - kProofEnd.size());
      co_return co_await prove(asked, reference);
    }
    co_return problem(404, "there is no such resource in this API");
  }

  // Hashes and checkpoints are for everybody: they say nothing about what was recorded.
  Task<http::Response> log_resource(const http::Request& request, const Target& target) {
    const auto resource = parse_log_path(std::string_view(target.path).substr(kLog.size()));
    if (!resource) co_return problem(404, "the log has no such resource");
    if (!is_read(request)) co_return method_not_allowed("GET, HEAD");
    const auto* entries = std::get_if<audit::TilePosition>(&*resource);
    if (entries == nullptr || services_.entry_readers == EntryReaders::kAnyone) {
      co_return co_await answer_log(services_, *resource);
    }
    std::variant<Officer, http::Response> caller = co_await authenticate(request);
    if (auto* refusal = std::get_if<http::Response>(&caller)) co_return std::move(*refusal);
    const Asked asked{.request = request, .target = target, .officer = std::get<Officer>(caller)};
    http::Response answer = co_await answer_log(services_, *resource);
    nlohmann::json query = {{"first", entries->index * audit::kTileWidth}};
    const std::size_t count = answer.status == 200 ? entries->width : 0;
    const Status recorded =
        co_await record_access(services_.log, asked, kEntriesPath, std::move(query), count);
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    co_return answer;
  }

  Task<http::Response> search(const Asked& asked) {
    audit::ParsedQuery parsed = audit::parse_record_query(asked.target.parameters);
    if (const auto* bad = std::get_if<audit::BadParameter>(&parsed)) {
      co_return problem(400, bad->name + " " + bad->why, bad->name);
    }
    const audit::RecordQuery& query = std::get<audit::RecordQuery>(parsed);
    const Result<audit::RecordPage> page = co_await services_.records.search(query);
    if (!page.ok()) co_return failure(page.error());

    nlohmann::json filters = nlohmann::json::object();
    for (const audit::Parameter& filter : audit::filters_of(query)) {
      filters[filter.name] = filter.value;
    }
    filters["limit"] = query.limit;
    if (query.cursor) filters["after"] = query.cursor->after;
    const Status recorded = co_await record_access(services_.log, asked, kRecords,
                                                   std::move(filters), page->records.size());
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    std::string next;
    if (page->next) next = next_link(asked.request, query, *page->next);
    co_return json_response(200, page_json(*page, query, next));
  }

  // The record that the path names, or what is wrong with the request.
  static std::variant<RecordReference, http::Response> named_record(const Asked& asked,
                                                                    const std::string& reference) {
    if (!asked.target.parameters.empty()) {
      const std::string& name = asked.target.parameters.front().name;
      return problem(400, name + " is not a parameter of this request", name);
    }
    const std::optional<RecordReference> which = parse_reference(reference);
    if (!which) return problem(400, "a record is named by its index or its id", "reference");
    return *which;
  }

  Task<http::Response> prove(const Asked& asked, const std::string& reference) {
    std::variant<RecordReference, http::Response> named = named_record(asked, reference);
    if (auto* refusal = std::get_if<http::Response>(&named)) co_return std::move(*refusal);
    http::Response answer = co_await answer_proof(services_, std::get<RecordReference>(named));
    nlohmann::json query;
    query["reference"] = reference;
    const Status recorded = co_await record_access(services_.log, asked, kProof, std::move(query),
                                                   answer.status == 200 ? 1 : 0);
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    co_return answer;
  }

  Task<http::Response> show(const Asked& asked, const std::string& reference) {
    std::variant<RecordReference, http::Response> named = named_record(asked, reference);
    if (auto* refusal = std::get_if<http::Response>(&named)) co_return std::move(*refusal);
    const RecordReference which = std::get<RecordReference>(named);
    const Result<audit::FoundRecord> found = co_await services_.records.get(which);
    if (!found.ok() && found.error().code != ErrorCode::kNotFound) {
      co_return failure(found.error());
    }
    nlohmann::json query;
    query["reference"] = reference;
    const Status recorded = co_await record_access(services_.log, asked, kOneRecord,
                                                   std::move(query), found.ok() ? 1 : 0);
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    if (!found.ok()) {
      const std::int64_t* index = std::get_if<std::int64_t>(&which);
      if (index == nullptr) co_return failure(found.error());
      const auto missing = static_cast<std::uint64_t>(*index);
      co_return co_await answer_missing(services_, missing, found.error());
    }
    co_return json_response(200, record_json(*found));
  }

  Task<http::Response> readyz() {
    std::vector<std::string> problems = services_.problems();
    const audit::LogHealth health = services_.log.health();
    if (!health.ready) problems.push_back("audit log: " + health.reason);
    const Result<audit::LogState> state = co_await services_.records.state();
    if (!state.ok()) {
      problems.push_back(state.error().message);
    } else {
      if (state->partitions / kPartitionSpan <= state->log_size / kPartitionSpan + 1) {
        problems.push_back("the log has no spare partition");
      }
      if (state->log_size - state->derived > kSearchLagMax) {
        problems.push_back("search is " + std::to_string(state->log_size - state->derived) +
                           " records behind the log");
      }
    }
    const bool ready = problems.empty();
    const nlohmann::json body = {{"status", ready ? "ready" : "not ready"},
                                 {"problems", std::move(problems)}};
    co_return json_response(ready ? 200 : 503, body);
  }

  const ApiServices services_;
};

}  // namespace

bool is_probe(std::string_view target) {
  return target == kLivez || target == kReadyz || target == kMetrics;
}

std::unique_ptr<http::Handler> make_api(const ApiServices& services) {
  return std::make_unique<Api>(services);
}

const std::vector<std::string>& api_paths() {
  static const std::vector<std::string> paths = [] {
    std::vector<std::string> made = {"/", kLivez, kReadyz, kMetrics};
    for (const std::string_view path :
         {kRecords,          kOneRecord,      kProof,       kIntegrity,     kApprovals,
          kOneApproval,      kApprove,        kReject,      kRevoke,        kReviews,
          kOneReview,        kCloseReview,    kGenerations, kOneGeneration, kApproveGeneration,
          kRejectGeneration, kTokens,         kRevokeToken, kHolds,         kConfirmHold,
          kLiftHold,         kCheckpointPath, kTilePath,    kEntriesPath,   kEvidencePath}) {
      made.emplace_back(path);
    }
    return made;
  }();
  return paths;
}

}  // namespace holdfast::officers
