#include "officers/reviews_api.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/json.h"
#include "officers/paging.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using approval::Review;
using nlohmann::json;

constexpr std::string_view kCloseEnd = "/close";
constexpr std::size_t kFindingBytesMax = 2048;
constexpr const char* kNoReview = "there is no review with that code";

json history_json(const Review& review) {
  json history = json::array();
  for (const json& taken : review.document.at("history")) {
    json step = {{"at", taken.at("at")}, {"name", taken.at("name")}};
    if (taken.at("record").is_string()) step["record"] = taken.at("record");
    const json& content = taken.at("content");
    if (content.contains("by")) step["by"] = content.at("by").at("name");
    if (content.contains("finding")) step["finding"] = content.at("finding");
    history.push_back(std::move(step));
  }
  return history;
}

json review_json(const Review& review, const Officer& officer, approval::TokenApprovals tokens) {
  const json& filing = review.document.at("filing");
  json shown = {{"code", to_string(review.code)},
                {"state", to_string(review.state)},
                {"opened_at", review.opened_at},
                {"review_by", review.review_by},
                {"requested_by", filing.at("requested_by")},
                {"operation", filing.value("operation", json())},
                {"operation_id", to_string(review.operation_id)},
                {"rules", filing.value("rules", json())},
                {"history", history_json(review)}};
  const json request = filing.value("request", json::object());
  for (const char* name : {"justification", "ticket", "method", "target", "source_ip"}) {
    if (request.contains(name)) shown[name] = request.at(name);
  }
  const Result<json> mine = approval::close(review, approver_of(officer), tokens, "");
  shown["you"] = {{"can_review", mine.ok()}};
  if (!mine.ok()) shown["you"]["why_not"] = mine.error().message;
  return shown;
}

std::optional<std::vector<approval::ReviewState>> parse_states(const std::string& text) {
  std::string upper = text;
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  std::string_view rest = upper;
  std::vector<approval::ReviewState> states;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const auto state = approval::parse_review_state(rest.substr(0, end));
    if (!state) return std::nullopt;
    states.push_back(*state);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (states.empty()) return std::nullopt;
  return states;
}

Task<http::Response> list(const ApiServices& services, const Asked& asked) {
  approval::ReviewFilter filter;
  Page page;
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (parameter.name == "state") {
      const auto states = parse_states(parameter.value);
      if (!states) {
        co_return problem(
            400, "state must be OPEN, OVERDUE or CLOSED, or several with commas between", "state");
      }
      filter.states = *states;
    } else if (auto refusal = take_paging(parameter, page)) {
      co_return *std::move(refusal);
    }
  }
  filter.before = page.before;
  filter.at_most = page.at_most;
  const Result<std::vector<Review>> found = co_await services.reviews.list(std::move(filter));
  if (!found.ok()) co_return failure(found.error());
  json query = query_json(asked);
  const Status recorded =
      co_await record_access(services.log, asked, kReviews, std::move(query), found->size());
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  json values = json::array();
  for (const Review& review : *found) {
    values.push_back(review_json(review, asked.officer, services.token_approvals));
  }
  const std::int64_t last = found->empty() ? 0 : found->back().number;
  co_return json_response(200, page_json(asked, kReviews, page, std::move(values), last));
}

Task<http::Response> show(const ApiServices& services, const Asked& asked, Uuid code) {
  const Result<std::optional<Review>> found = co_await services.reviews.find(code);
  if (!found.ok()) co_return failure(found.error());
  json query = {{"code", to_string(code)}};
  const Status recorded = co_await record_access(services.log, asked, kOneReview, std::move(query),
                                                 found->has_value() ? 1 : 0);
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  if (!found->has_value()) co_return problem(404, kNoReview);
  co_return json_response(200, review_json(**found, asked.officer, services.token_approvals));
}

// What the officer found.
Task<std::variant<std::string, http::Response>> finding_of(const Asked& asked) {
  std::variant<json, http::Response> body = co_await body_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&body)) co_return std::move(*refusal);
  std::string finding;
  for (const auto& [name, value] : std::get<json>(body).items()) {
    if (name != "finding" || !value.is_string()) {
      co_return problem(400, "the body has a text called finding and no more", name);
    }
    finding = value.get<std::string>();
  }
  if (finding.size() > kFindingBytesMax) co_return problem(400, "finding is too long", "finding");
  if (finding.find_first_not_of(" \t\r\n") == std::string::npos) {
    co_return problem(400, "a finding is needed", "finding");
  }
  co_return finding;
}

// The record belongs to the call that it is about.
audit::Record closing_record(const Review& review, const Asked& asked, json content) {
  audit::Record record = change_record(audit::Kind::kApproval, asked);
  record.operation_id = review.operation_id;
  record.approval_step = audit::ApprovalStep::kReview;
  record.content["review"] = std::move(content);
  const json& filing = review.document.at("filing");
  if (filing.contains("operation")) record.content["operation"] = filing.at("operation");
  return record;
}

Task<http::Response> close(const ApiServices& services, const Asked& asked, Uuid code) {
  std::variant<std::string, http::Response> finding = co_await finding_of(asked);
  if (auto* refusal = std::get_if<http::Response>(&finding)) co_return std::move(*refusal);
  // The second time, where another officer closed it in between, nothing is left to try.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Result<std::optional<Review>> found = co_await services.reviews.find(code);
    if (!found.ok()) co_return failure(found.error());
    if (!found->has_value()) co_return problem(404, kNoReview);
    Result<json> content =
        approval::close(**found, approver_of(asked.officer), services.token_approvals,
                        std::get<std::string>(finding));
    if (!content.ok()) {
      const bool not_you = content.error().code == ErrorCode::kRefused;
      co_return problem(not_you ? 403 : 409, content.error().message);
    }
    audit::Record record = closing_record(**found, asked, *std::move(content));
    const Result<audit::RecordRef> taken = co_await services.log.append(std::move(record));
    if (!taken.ok() && taken.error().code == ErrorCode::kRefused) continue;
    if (!taken.ok()) {
      co_return problem(503, "reviews are recorded, and the audit log cannot take the record: " +
                                 taken.error().message);
    }
    const Result<std::optional<Review>> now = co_await services.reviews.find(code);
    if (!now.ok()) co_return failure(now.error());
    json body = review_json(now->value(), asked.officer, services.token_approvals);
    body["review_record"] = to_string(taken->id);
    co_return json_response(200, body);
  }
  co_return problem(409, "the database refuses this review to be closed");
}

}  // namespace

bool is_reviews_path(std::string_view path) {
  return path == kReviews || path.starts_with(std::string(kReviews) + "/");
}

Task<http::Response> answer_reviews(const ApiServices& services, const Asked& asked) {
  const std::string& method = asked.request.head.method;
  const bool is_read = method == "GET" || method == "HEAD";
  std::string_view rest = asked.target.path;
  rest.remove_prefix(kReviews.size());
  if (rest.empty()) {
    if (!is_read) co_return method_not_allowed("GET");
    co_return co_await list(services, asked);
  }
  rest.remove_prefix(1);
  const bool closes = rest.ends_with(kCloseEnd);
  if (closes) rest.remove_suffix(kCloseEnd.size());
  if (closes && method != "POST") co_return method_not_allowed("POST");
  if (!closes && !is_read) co_return method_not_allowed("GET");
  const auto code = parse_uuid(rest);
  if (!code) co_return problem(404, kNoReview);
  if (closes) co_return co_await close(services, asked, *code);
  co_return co_await show(services, asked, *code);
}

}  // namespace holdfast::officers
