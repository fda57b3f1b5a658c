#include "approval/review.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;

constexpr std::size_t kFindingBytesMax = 2048;

constexpr std::array<std::pair<ReviewState, std::string_view>, 3> kStates = {
    {{ReviewState::kOpen, "OPEN"},
     {ReviewState::kOverdue, "OVERDUE"},
     {ReviewState::kClosed, "CLOSED"}}};

Error not_you(const std::string& why) {
  return {ErrorCode::kRefused, "You can't review this because " + why + "."};
}

}  // namespace

std::string_view to_string(ReviewState state) {
  return std::ranges::find(kStates, state, [](const auto& one) { return one.first; })->second;
}

std::optional<ReviewState> parse_review_state(std::string_view text) {
  const auto found = std::ranges::find(kStates, text, [](const auto& one) { return one.second; });
  if (found == kStates.end()) return std::nullopt;
  return found->first;
}

Result<Review> read_review(json document) {
  try {
    const json& filed = document.at("filing");
    const auto code = parse_uuid(document.at("code").get<std::string>());
    const auto state = parse_review_state(document.at("state").get<std::string>());
    const auto operation = parse_uuid(filed.at("operation_id").get<std::string>());
    if (!code || !state || !operation) return Error{ErrorCode::kInternal, "not a review"};
    Review review{.code = *code,
                  .number = document.at("number").get<std::int64_t>(),
                  .state = *state,
                  .opened_at = document.at("opened_at").get<std::string>(),
                  .review_by = document.at("review_by").get<std::string>(),
                  .requester = identity_from(filed.at("requested_by")),
                  .operation_id = *operation,
                  .document = {}};
    review.document = std::move(document);
    return review;
  } catch (const json::exception& problem) {
    return Error{ErrorCode::kInternal, std::string("not a review: ") + problem.what()};
  }
}

json opening(const Opening& opening, const Identity& requester) {
  json content = {{"binding", to_hex(opening.binding)},
                  {"code", to_string(opening.code)},
                  {"requested_by", to_json(requester)},
                  {"requester", requester.accounts.front()},
                  {"review_within_s", opening.review_within.count()},
                  {"state", to_string(ReviewState::kOpen)}};
  if (opening.overrides) {
    content["overrides"] = {{"code", to_string(opening.overrides->code)},
                            {"step", opening.overrides->step}};
  }
  return content;
}

Result<json> close(const Review& review, const Approver& approver, TokenApprovals tokens,
                   std::string_view finding) {
  if (const auto why = bar(review.requester, approver)) return not_you(*why);
  if (approver.by_api_token && tokens == TokenApprovals::kRefused) {
    return not_you("API tokens may not approve here (audit.allow_token_approvals): sign in");
  }
  if (review.state == ReviewState::kClosed) {
    return Error{ErrorCode::kInvalid, "You can't review this because it has been reviewed."};
  }
  return json{{"by", to_json(approver)},
              {"code", to_string(review.code)},
              {"finding", to_text(finding, kFindingBytesMax)},
              {"state", to_string(ReviewState::kClosed)}};
}

}  // namespace holdfast::approval
