#include "officers/access.h"

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"
#include "http/body.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

constexpr std::size_t kUserAgentBytesMax = 256;
constexpr std::size_t kBodyBytesMax = 16 * 1024;
constexpr std::size_t kHeaderTextBytesMax = 2048;

// A name is whatever the issuer lets it be, and two may have the same; the object id is one
// person's.
nlohmann::json actor_of(const Officer& officer) {
  nlohmann::json actor = {{"kind", "user"}, {"name", to_text(officer.name)}};
  if (!officer.person.accounts.empty()) {
    const std::string& account = officer.person.accounts.front();
    const std::size_t slash = account.find('/');
    actor["tenant"] = to_text(account.substr(0, slash));
    if (slash != std::string::npos) actor["user"] = to_text(account.substr(slash + 1));
  }
  if (officer.token_id) actor["token_id"] = to_string(*officer.token_id);
  return actor;
}

}  // namespace

Task<std::variant<nlohmann::json, http::Response>> body_of(const Asked& asked) {
  const Result<std::string> content = co_await http::read_all(*asked.request.body, kBodyBytesMax);
  if (!content.ok()) co_return problem(400, "the body cannot be read: " + content.error().message);
  if (content->empty()) co_return nlohmann::json::object();
  Result<nlohmann::json> body = parse_json(*content);
  if (!body.ok()) co_return problem(400, "the body is no JSON: " + body.error().message);
  if (!body->is_object()) co_return problem(400, "the body is no JSON object");
  co_return *std::move(body);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string text_problem(const std::string& text, const std::string& name, Needed needed) {
  if (text.size() > kHeaderTextBytesMax) {
    return name + " is longer than " + std::to_string(kHeaderTextBytesMax) + " bytes";
  }
  // They are read in tables; a comment or a finding may have lines.
  if ((name == "reason" || name == "person") && to_text(text) != text) {
    return name + " must be UTF-8 without control characters";
  }
  if (needed == Needed::kYes && is_blank(text)) return "a " + name + " is needed";
  return {};
}

std::optional<http::Response> bad_text(const std::string& text, const std::string& name,
                                       Needed needed) {
  const std::string wrong = text_problem(text, name, needed);
  return wrong.empty() ? std::nullopt : std::optional(problem(400, wrong, name));
}

Task<std::variant<std::string, http::Response>> text_of_body(const Asked& asked, const char* name,
                                                             Needed needed) {
  std::variant<nlohmann::json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  std::string text;
  for (const auto& [member, value] : std::get<nlohmann::json>(body).items()) {
    if (member != name || !value.is_string()) {
      co_return problem(
          400, std::string("the body may have a text called ") + name + " and no more", member);
    }
    text = value.get<std::string>();
  }
  if (auto refusal = bad_text(text, name, needed)) co_return *std::move(refusal);
  co_return text;
}

audit::Record change_record(audit::Kind kind, const Asked& asked) {
  const http::RequestHead& head = asked.request.head;
  audit::Record record{.kind = kind};
  record.content["actor"] = actor_of(asked.officer);
  if (asked.officer.expires_at) {
    record.content["actor"]["expires_at"] = to_rfc3339(*asked.officer.expires_at);
  }
  record.content["request"] = {{"method", head.method},
                               {"source_ip", asked.request.peer.address},
                               {"target", to_text(head.target)}};
  return record;
}

Task<Result<audit::Record>> decision_record(audit::RecordSource& records, const Asked& asked,
                                            const nlohmann::json& document) {
  audit::Record record = change_record(audit::Kind::kApproval, asked);
  const nlohmann::json& filing = document.at("filing");
  if (!filing.contains("operation")) co_return record;
  record.content["operation"] = filing.at("operation");
  record.personal_data = audit::PersonalData::kSealed;
  const std::optional<Uuid> filed_by = parse_uuid(text_at(document, "/history/0/record"));
  if (!filed_by) co_return record;
  const std::variant<std::int64_t, Uuid> which = *filed_by;
  const Result<audit::FoundRecord> found = co_await records.get(which);
  if (!found.ok() && found.error().code != ErrorCode::kNotFound) co_return found.error();
  if (found.ok() && !found->malformed && found->documents.empty()) {
    record.personal_data = audit::PersonalData::kClear;
  }
  co_return record;
}

Task<Status> record_access(audit::AuditLog& log, const Asked& asked, std::string_view endpoint,
                           nlohmann::json query, std::size_t count) {
  const http::RequestHead& head = asked.request.head;
  audit::Record record{.kind = audit::Kind::kAccess};
  nlohmann::json request = {
      {"method", head.method}, {"target", head.target}, {"source_ip", asked.request.peer.address}};
  const std::string user_agent = to_text(head.headers.get("User-Agent"), kUserAgentBytesMax);
  if (!user_agent.empty()) request["user_agent"] = user_agent;
  record.content["actor"] = actor_of(asked.officer);
  record.content["request"] = std::move(request);
  record.content["access"] = {{"by", asked.officer.name},
                              {"endpoint", endpoint},
                              {"query", std::move(query)},
                              {"count", count}};
  if (asked.officer.token_id) {
    record.content["access"]["token_id"] = to_string(*asked.officer.token_id);
  }
  const Result<audit::RecordRef> appended = co_await log.append(std::move(record));
  if (!appended.ok()) co_return appended.error();
  co_return Status{};
}

http::Response unrecorded(const Error& error) {
  return not_recorded("reading is", error);
}

http::Response not_recorded(const std::string& what, const Error& error) {
  if (error.code == ErrorCode::kNotFound) return unauthenticated(error.message);
  return problem(503,
                 what + " recorded, and the audit log cannot take the record: " + error.message);
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

}  // namespace holdfast::officers
