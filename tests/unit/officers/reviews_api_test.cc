// Reviews over HTTP: who may close them, who may not and why, and the record of it.
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using approval::ReviewState;
using ::testing::HasSubstr;

class ReviewsApiTest : public ApiTest {
 protected:
  ReviewsApiTest() { add(ReviewState::kOpen); }

  void add(ReviewState state, const approval::Identity& requester = {
                                  .name = "app", .accounts = {"t/app"}, .names = {}}) {
    const Uuid code = make_uuid_v4();
    reviews_.add(code, requester, state);
    code_ = to_string(code);
  }
  http::Response close(const std::string& who, const std::string& content = R"({"finding":"ok"})") {
    return get("/api/v1/reviews/" + code_ + "/close", who, "POST", content);
  }
  std::string why(const http::Response& response) { return body(response).value("detail", ""); }

  std::string code_;
};

TEST_F(ReviewsApiTest, they_are_listed_newest_first_and_recorded) {
  add(ReviewState::kOverdue);
  const nlohmann::json page = body(get("/api/v1/reviews"));
  ASSERT_EQ(page["count"], 2);
  EXPECT_EQ(page["value"][0]["code"], code_);
  EXPECT_EQ(page["value"][0]["justification"], "a leak");
  EXPECT_EQ(page["value"][0]["you"]["can_review"], false);
  EXPECT_EQ(log_.entries().back().record.content["access"]["endpoint"], "/api/v1/reviews");
  EXPECT_EQ(body(get("/api/v1/reviews?state=open,closed"))["count"], 1);
  const nlohmann::json first = body(get("/api/v1/reviews?limit=1"));
  const std::string next = first["@odata.nextLink"];
  EXPECT_EQ(body(get(next.substr(next.find("/api"))))["value"][0]["state"], "OPEN");
  EXPECT_EQ(body(get("/api/v1/reviews/" + code_))["state"], "OVERDUE");
}

TEST_F(ReviewsApiTest, bad_questions_are_400_and_unknown_codes_404) {
  for (const std::string query :
       {"state=NONE", "state=", "limit=0", "limit=1001", "cursor=x", "colour=red"}) {
    EXPECT_EQ(get("/api/v1/reviews?" + query).status, 400) << query;
  }
  EXPECT_EQ(get("/api/v1/reviews/" + to_string(make_uuid_v4())).status, 404);
  EXPECT_EQ(get("/api/v1/reviews/nonsense").status, 404);
  EXPECT_EQ(get("/api/v1/reviews", "bob", "POST").status, 405);
  EXPECT_EQ(get("/api/v1/reviews/" + code_ + "/close", "bob").status, 405);
}

TEST_F(ReviewsApiTest, an_approver_closes_it_and_the_record_belongs_to_the_call) {
  const http::Response response = close("bob");
  EXPECT_EQ(response.status, 200) << response.content;
  const audit::Record record = log_.entries().back().record;
  EXPECT_EQ(record.kind, audit::Kind::kApproval);
  EXPECT_EQ(record.approval_step, audit::ApprovalStep::kReview);
  EXPECT_EQ(to_string(record.operation_id), code_) << "as the fake has it";
  EXPECT_EQ(record.content["review"]["state"], "CLOSED");
  EXPECT_EQ(record.content["review"]["finding"], "ok");
  EXPECT_EQ(record.content["review"]["by"]["person"], "t/bob");
  EXPECT_EQ(record.content["operation"]["action"], "recall");
}

TEST_F(ReviewsApiTest, a_review_is_sealed_where_the_record_of_the_call_is) {
  const auto closed = [this] {
    add(ReviewState::kOpen);
    reviews_.all.back().document["history"].push_back(
        nlohmann::json({{"name", "open"},
                        {"at", "2026-10-05T08:00:00.000000Z"},
                        {"record", to_string(make_uuid_v4())},
                        {"content", nlohmann::json::object()}}));
    EXPECT_EQ(close("bob").status, 200);
    return log_.entries().back().record.personal_data;
  };
  EXPECT_EQ(closed(), audit::PersonalData::kClear);
  records_.page.records.front().documents = {{.bytes = "{}"}};
  EXPECT_EQ(closed(), audit::PersonalData::kSealed);
  records_.page.records.clear();
  EXPECT_EQ(closed(), audit::PersonalData::kSealed) << "nobody can say";
}

TEST_F(ReviewsApiTest, who_may_not_is_told_why) {
  EXPECT_EQ(close("secret").status, 403);
  EXPECT_THAT(why(close("secret")), HasSubstr("You can't review this because your role does not"));
  add(ReviewState::kOverdue, {.name = "bob", .accounts = {"t/bob"}, .names = {}});
  EXPECT_EQ(close("bob").status, 403);
  EXPECT_EQ(why(close("bob")), "You can't review this because you asked for it yourself.");
  EXPECT_EQ(close("carol").status, 200) << "any other approver may";
  token_approvals_ = approval::TokenApprovals::kRefused;
  EXPECT_THAT(why(close("carol")), HasSubstr("because API tokens may not approve here"));
}

TEST_F(ReviewsApiTest, a_finding_is_needed) {
  for (const char* content :
       {"", "{}", R"({"finding":" "})", R"({"finding":1})", "no json", R"({"comment":"x"})"}) {
    EXPECT_EQ(close("bob", content).status, 400) << content;
  }
  EXPECT_EQ(close("bob", R"({"finding":")" + std::string(2049, 'x') + "\"}").status, 400);
}

TEST_F(ReviewsApiTest, what_is_closed_or_cannot_be_recorded_is_not_closed_again) {
  log_.fail_nth(1, {ErrorCode::kRefused, "closed"});
  log_.before_next_append([this] { reviews_.all.back().state = ReviewState::kClosed; });
  const http::Response overtaken = close("bob");
  EXPECT_EQ(overtaken.status, 409);
  EXPECT_EQ(why(overtaken), "You can't review this because it has been reviewed.");
  add(ReviewState::kOpen);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(close("bob").status, 503);
  reviews_.away = true;
  EXPECT_EQ(close("bob").status, 503);
  EXPECT_EQ(get("/api/v1/reviews").status, 503);
}

}  // namespace
}  // namespace holdfast::officers
