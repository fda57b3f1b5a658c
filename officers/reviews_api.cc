#include "officers/reviews_api.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/json.h"
#include "officers/collection.h"
#include "officers/paging.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using approval::Review;
using nlohmann::json;

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

Task<http::Response> list_reviews(const ApiServices& services, const Asked& asked) {
  approval::ReviewFilter filter;
  Page page;
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (parameter.name == "state") {
      const auto states = parse_states(parameter.value, &approval::parse_review_state);
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
  json values = json::array();
  for (const Review& review : *found) {
    values.push_back(review_json(review, asked.officer, services.token_approvals));
  }
  const std::int64_t last = found->empty() ? 0 : found->back().number;
  json shown = page_json(asked, kReviews, page, std::move(values), last);
  co_return co_await answer_list(services.log, asked, kReviews, std::move(shown));
}

Task<http::Response> show_review(const ApiServices& services, const Asked& asked, Uuid code) {
  const Result<std::optional<Review>> found = co_await services.reviews.find(code);
  if (!found.ok()) co_return failure(found.error());
  std::optional<json> shown;
  if (*found) shown = review_json(**found, asked.officer, services.token_approvals);
  json query = {{"code", to_string(code)}};
  co_return co_await answer_one(services.log, asked, kOneReview, std::move(query), std::move(shown),
                                kNoReview);
}

Task<http::Response> close(const ApiServices& services, const Asked& asked, Uuid code) {
  std::variant<std::string, http::Response> finding =
      co_await text_of_body(asked, "finding", Needed::kYes);
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
    Result<audit::Record> record =
        co_await decision_record(services.records, asked, (*found)->document);
    if (!record.ok()) co_return failure(record.error());
    record->operation_id = (*found)->operation_id;  // It belongs to the call that it is about.
    record->approval_step = audit::ApprovalStep::kReview;
    record->content["review"] = *std::move(content);
    const Result<audit::RecordRef> taken = co_await services.log.append(*std::move(record));
    if (!taken.ok() && taken.error().code == ErrorCode::kRefused) continue;
    if (!taken.ok()) co_return not_recorded("reviews are", taken.error());
    const Result<std::optional<Review>> now = co_await services.reviews.find(code);
    if (!now.ok()) co_return failure(now.error());
    json body = review_json(now->value(), asked.officer, services.token_approvals);
    body["review_record"] = to_string(taken->id);
    co_return json_response(200, body);
  }
  co_return problem(409, "the database refuses this review to be closed");
}

}  // namespace

Task<http::Response> answer_reviews(const ApiServices& services, const Asked& asked) {
  const std::optional<InCollection> below = in_collection(asked.target.path, kReviews);
  const bool closes = below && below->verb == "/close";
  if (!closes && !is_read(asked)) co_return method_not_allowed("GET, HEAD");
  if (closes && asked.request.head.method != "POST") co_return method_not_allowed("POST");
  if (!below) co_return co_await list_reviews(services, asked);
  const auto code = parse_uuid(below->item);
  if (code && closes) co_return co_await close(services, asked, *code);
  if (code && below->verb.empty()) co_return co_await show_review(services, asked, *code);
  co_return problem(404, kNoReview);
}

}  // namespace holdfast::officers
