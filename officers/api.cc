#include "officers/api.h"

#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "base/log.h"
#include "base/uuid.h"
#include "identity/claims.h"
#include "officers/problem.h"
#include "officers/record_json.h"
#include "officers/target.h"

namespace holdfast::officers {
namespace {

constexpr std::string_view kRecords = "/api/v1/records";
constexpr std::string_view kOneRecord = "/api/v1/records/{reference}";
constexpr std::size_t kUserAgentBytesMax = 256;
constexpr std::int64_t kPartitionSpan = std::int64_t{1} << 22;

// One request on its way to an answer.
struct Asked {
  const http::Request& request;
  const Target& target;
  const Officer& officer;
};

// A record's index or id, as the path names it.
std::optional<std::variant<std::int64_t, Uuid>> parse_reference(std::string_view text) {
  std::int64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error == std::errc() && end == text.data() + text.size() && index >= 0) return index;
  const std::optional<Uuid> id = parse_uuid(text);
  if (!id) return std::nullopt;
  return *id;
}

http::Response failure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
      return problem(404, error.message);
    case ErrorCode::kTimeout:
      return problem(503, "the question takes too long: narrow it, for example by from and to");
    case ErrorCode::kLimit:
    case ErrorCode::kUnavailable:
      return problem(503, error.message);
    default:
      log_error("a query failed", {{"error", error.message}});
      return problem(500, "the query failed; the service's own log says why");
  }
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
    const std::optional<Target> target = parse_target(request.head.target);
    if (!target) co_return problem(400, "the target has a % without two hex digits after it");
    if (target->path.starts_with("/api/")) co_return co_await api(request, *target);
    if (target->path != "/" && target->path != "/livez" && target->path != "/readyz") {
      co_return problem(404, "there is nothing here; records are at " + std::string(kRecords));
    }
    if (!is_read(request)) co_return not_allowed();
    if (target->path == "/readyz") co_return co_await readyz();
    if (target->path == "/livez") co_return json_response(200, R"({"status":"alive"})");
    co_return welcome();
  }

  Task<http::Response> refuse(http::Unreadable request) override {
    co_return problem(request.status, request.why);
  }

 private:
  static bool is_read(const http::Request& request) {
    return request.head.method == "GET" || request.head.method == "HEAD";
  }

  static http::Response not_allowed() {
    http::Response answer = problem(405, "only GET and HEAD are served here");
    answer.headers.add("Allow", "GET, HEAD");
    return answer;
  }

  static http::Response welcome() {
    http::Response answer;
    answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
    answer.content =
        "Holdfast audit service\n\n"
        "Records: /api/v1/records (bearer token needed), described by schema/openapi.yaml.\n"
        "From a shell: holdfast records search --help\n";
    return answer;
  }

  Task<http::Response> api(const http::Request& request, const Target& target) {
    const auto token = identity::bearer_token(request.head);
    if (!token.ok()) co_return problem(400, token.error().message);
    if (!token->has_value()) {
      co_return unauthenticated("one Authorization: Bearer header is needed");
    }
    const std::optional<Officer> officer =
        services_.tokens.find((*token)->text, services_.clock.now());
    if (!officer) co_return unauthenticated("the token is unknown or has expired");
    const Asked asked{.request = request, .target = target, .officer = *officer};
    if (target.path == kRecords) {
      if (!is_read(request)) co_return not_allowed();
      co_return co_await search(asked);
    }
    const std::string prefix = std::string(kRecords) + "/";
    if (target.path.starts_with(prefix)) {
      if (!is_read(request)) co_return not_allowed();
      co_return co_await show(asked, target.path.substr(prefix.size()));
    }
    co_return problem(404, "there is no such resource in this API");
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
    const Status recorded =
        co_await record_access(asked, kRecords, std::move(filters), page->records.size());
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    std::string next;
    if (page->next) next = next_link(asked.request, query, *page->next);
    co_return json_response(200, page_json(*page, query, next));
  }

  Task<http::Response> show(const Asked& asked, const std::string& reference) {
    if (!asked.target.parameters.empty()) {
      const std::string& name = asked.target.parameters.front().name;
      co_return problem(400, name + " is not a parameter of this request", name);
    }
    const auto which = parse_reference(reference);
    if (!which) co_return problem(400, "a record is named by its index or its id", "reference");
    const Result<audit::FoundRecord> found = co_await services_.records.get(*which);
    if (!found.ok() && found.error().code != ErrorCode::kNotFound) {
      co_return failure(found.error());
    }
    nlohmann::json query;
    query["reference"] = reference;
    const Status recorded =
        co_await record_access(asked, kOneRecord, std::move(query), found.ok() ? 1 : 0);
    if (!recorded.ok()) co_return unrecorded(recorded.error());
    if (!found.ok()) co_return failure(found.error());
    co_return json_response(200, record_json(*found));
  }

  // Durable when it returns; without that nothing is shown.
  Task<Status> record_access(const Asked& asked, std::string_view endpoint, nlohmann::json query,
                             std::size_t count) {
    const http::RequestHead& head = asked.request.head;
    audit::Record record{.kind = audit::Kind::kAccess};
    nlohmann::json request = {{"method", head.method},
                              {"target", head.target},
                              {"source_ip", asked.request.peer.address}};
    const std::string user_agent = to_text(head.headers.get("User-Agent"), kUserAgentBytesMax);
    if (!user_agent.empty()) request["user_agent"] = user_agent;
    record.content["request"] = std::move(request);
    record.content["access"] = {{"by", asked.officer.name},
                                {"endpoint", endpoint},
                                {"query", std::move(query)},
                                {"count", count}};
    const Result<audit::RecordRef> appended = co_await services_.log.append(std::move(record));
    if (!appended.ok()) co_return appended.error();
    co_return Status{};
  }

  static http::Response unrecorded(const Error& error) {
    return problem(
        503, "reading is recorded, and the audit log cannot take the record: " + error.message);
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
    co_return json_response(ready ? 200 : 503,
                            body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

  const ApiServices services_;
};

}  // namespace

std::unique_ptr<http::Handler> make_api(const ApiServices& services) {
  return std::make_unique<Api>(services);
}

const std::vector<std::string>& api_paths() {
  static const std::vector<std::string> paths = {"/", "/livez", "/readyz", std::string(kRecords),
                                                 std::string(kOneRecord)};
  return paths;
}

}  // namespace holdfast::officers
