#include "audit/sealing.h"
#include "base/json.h"
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST_F(ApiTest, sealed_values_are_shown_with_their_documents_or_as_erased) {
  json content = {{"actor", {{"user", "ada"}}},
                  {"operation", {{"mailbox", {{"key", "carol"}, {"kind", "user"}}}}}};
  const std::vector<audit::SealedDocument> documents = audit::seal(content);
  ASSERT_EQ(documents.size(), 2U);
  const std::string entry = canonical_json(content).value();
  records_.page.records = {
      {.index = 7, .entry = entry, .documents = {{documents[0].bytes}, {"", true}}},
      {.index = 8, .entry = entry, .documents = {{documents[1].bytes}, {""}}},
      {.index = 9, .entry = R"({"sealed":{}})", .documents = {{"", true}}}};
  json page = body(get("/api/v1/records"));
  json& shown = page["value"][0];
  EXPECT_EQ(shown["index"], 7);
  EXPECT_EQ(shown["actor"]["user"], "ada");
  EXPECT_EQ(shown["operation"]["mailbox"], json({{"kind", "user"}}));
  EXPECT_EQ(shown["sealed"][0]["document"], documents[0].bytes);
  EXPECT_EQ(shown["sealed"][0]["sha256"], to_hex(sha256(documents[0].bytes)));
  EXPECT_TRUE(shown["sealed"][1]["erased"]);
  // What is not the entry's own is shown as little as what cannot be read.
  EXPECT_THAT(get("/api/v1/records").content, HasSubstr(R"({"index":9,"sealed":{}})"));
  EXPECT_THAT(get("/api/v1/records").content, HasSubstr("{\"index\":8," + entry.substr(1)));
}

TEST(Probes, need_no_place_and_nothing_else_does_without_one) {
  for (const char* target : {"/livez", "/readyz", "/metrics"}) {
    EXPECT_TRUE(is_probe(target)) << target;
  }
  for (const char* target : {"/", "", "/readyz?x", "/readyz/", "/log/checkpoint",
                             "/api/v1/integrity", "/holdfast/livez"}) {
    EXPECT_FALSE(is_probe(target)) << target;
  }
}

TEST_F(ApiTest, a_page_holds_the_logs_bytes_and_its_range) {
  records_.page.next = audit::Cursor{.after = 0, .complete_to = 2};
  const auto answer = get("/api/v1/records?kind=intent&from=2026-10-05T10:00:00%2B02:00&limit=2");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
  EXPECT_THAT(answer.content, HasSubstr(R"({"index":1,"id":"x","kind":"intent"})"));
  EXPECT_THAT(answer.content, HasSubstr(R"({"index":0,"malformed":true,"entry_base64":"/w=="})"));
  const json page = body(answer);
  EXPECT_EQ(page["count"], 2);
  EXPECT_EQ(page["complete_to"], 2);
  EXPECT_EQ(page["log_size"], 3);
  EXPECT_EQ(page["from"], "2026-10-05T08:00:00.000000Z");
  EXPECT_TRUE(page["to"].is_null());
  const std::string next = page["@odata.nextLink"];
  EXPECT_THAT(next, ::testing::StartsWith("https://audit.example:8444/api/v1/records?"));
  // Its own link is a question that the API understands, and the same one.
  records_.page.next.reset();
  const auto second = get(next.substr(next.find("/api")));
  EXPECT_EQ(second.status, 200) << second.content;
  EXPECT_FALSE(body(second).contains("@odata.nextLink"));
  ASSERT_EQ(records_.asked.size(), 2U);
  EXPECT_EQ(records_.asked[1].kind, "intent");
  EXPECT_EQ(records_.asked[1].limit, 2);
  EXPECT_EQ(records_.asked[1].from, records_.asked[0].from);
  EXPECT_EQ(records_.asked[1].cursor, (audit::Cursor{.after = 0, .complete_to = 2}));
}

TEST_F(ApiTest, reading_is_recorded_before_it_is_answered) {
  get("/api/v1/records?actor=bob%20x&limit=9");
  get("/api/v1/records/1");
  get("/api/v1/records/99");
  const auto entries = log_.entries();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].record.kind, audit::Kind::kAccess);
  const json& access = entries[0].record.content.at("access");
  EXPECT_EQ(access["by"], "alice");
  EXPECT_EQ(access["endpoint"], "/api/v1/records");
  EXPECT_EQ(access["query"], (json{{"actor", "bob x"}, {"order", "desc"}, {"limit", 9}}));
  EXPECT_EQ(access["count"], 2);
  EXPECT_EQ(entries[0].record.content.at("request").at("source_ip"), "10.1.2.3");
  EXPECT_EQ(entries[0].record.content.at("actor"), (json{{"kind", "user"}, {"name", "alice"}}));
  EXPECT_THAT(entries[0].record.content.dump(), ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(entries[1].record.content.at("access").at("count"), 1);
  EXPECT_EQ(entries[2].record.content.at("access").at("count"), 0);
}

TEST_F(ApiTest, fault_what_cannot_be_recorded_is_not_shown) {
  for (const std::string target : {"/api/v1/records", "/api/v1/records/1", "/api/v1/records/99"}) {
    log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
    const auto answer = get(target);
    EXPECT_EQ(answer.status, 503) << target;
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
    EXPECT_THAT(answer.content, HasSubstr("database away"));
    EXPECT_THAT(answer.content, ::testing::Not(HasSubstr("intent")));
  }
}

TEST_F(ApiTest, without_a_known_token_there_is_nothing) {
  for (const std::string token : {"", "wrong", "secret "}) {
    for (const std::string target : {"/api/v1/records", "/api/v1/records/1", "/api/v1/nothing"}) {
      const auto answer = get(target, token);
      EXPECT_EQ(answer.status, 401) << target << " " << token;
      EXPECT_THAT(std::string(answer.headers.get("WWW-Authenticate")), HasSubstr("Bearer"));
      EXPECT_EQ(body(answer)["status"], 401);
    }
  }
  http::RequestHead twice;
  twice.method = "GET";
  twice.target = "/api/v1/records";
  twice.headers.add("Authorization", "Bearer secret");
  twice.headers.add("Authorization", "Bearer secret");
  EXPECT_EQ(send(twice).status, 400);
  http::RequestHead basic;
  basic.method = "GET";
  basic.target = "/api/v1/records";
  basic.headers.add("Authorization", "Basic secret");
  EXPECT_EQ(send(basic).status, 401);
  EXPECT_TRUE(records_.asked.empty());
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(ApiTest, bad_questions_are_problems_that_name_the_parameter) {
  const auto answer = get("/api/v1/records?colour=blue");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(body(answer)["parameter"], "colour");
  EXPECT_EQ(body(answer)["title"], "Bad Request");
  EXPECT_EQ(body(get("/api/v1/records?limit=0"))["parameter"], "limit");
  EXPECT_EQ(body(get("/api/v1/records/1?limit=1"))["parameter"], "limit");
  EXPECT_EQ(get("/api/v1/records/x").status, 400);
  EXPECT_EQ(get("/api/v1/records/-1").status, 400);
  EXPECT_EQ(get("/api/v1/records/").status, 400);
  EXPECT_EQ(get("/api/v1/records?q=%zz").status, 400);
  EXPECT_EQ(get("/api/v1/records?%FF=1").status, 400);
  EXPECT_EQ(get("/api/v1/nothing").status, 404);
  EXPECT_EQ(get("/nothing").status, 404);
  const auto method = get("/api/v1/records", "secret", "POST");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.get("Allow"), "GET, HEAD");
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(ApiTest, records_are_shown_by_index_and_by_id) {
  EXPECT_EQ(get("/api/v1/records/1").content, R"({"index":1,"id":"x","kind":"intent"})");
  EXPECT_EQ(get("/api/v1/records/0190a0f0-0000-7000-8000-000000000001").status, 200);
  EXPECT_EQ(get("/api/v1/records/99").status, 404);
}

TEST_F(ApiTest, fault_failures_of_the_database_have_their_status) {
  const std::vector<std::pair<ErrorCode, int>> cases = {{ErrorCode::kUnavailable, 503},
                                                        {ErrorCode::kTimeout, 503},
                                                        {ErrorCode::kLimit, 503},
                                                        {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : cases) {
    records_.error = Error{code, "internal detail"};
    EXPECT_EQ(get("/api/v1/records").status, status);
    EXPECT_EQ(get("/api/v1/records/1").status, status);
  }
  EXPECT_THAT(get("/api/v1/records").content, ::testing::Not(HasSubstr("internal detail")));
}

TEST_F(ApiTest, readiness_says_what_is_missing) {
  EXPECT_EQ(get("/livez", "").status, 200);
  EXPECT_EQ(get("/readyz", "").status, 200);
  problems_ = {"search: broken"};
  log_.set_health({.ready = false, .reason = "no lease", .spooled = 0});
  records_.log_state = {.log_size = 4'194'304 + 20'000, .derived = 0, .partitions = 8'388'608};
  const auto answer = get("/readyz", "");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(body(answer)["problems"],
            (json{"search: broken", "audit log: no lease", "the log has no spare partition",
                  "search is 4214304 records behind the log"}));
  records_.error = Error{ErrorCode::kUnavailable, "database: away"};
  EXPECT_THAT(get("/readyz", "").content, HasSubstr("database: away"));
  EXPECT_EQ(get("/livez", "").status, 200);
}

TEST_F(ApiTest, the_root_points_the_way) {
  const auto answer = get("/", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.content, HasSubstr("/api/v1/records"));
}

TEST_F(ApiTest, MetricsAreForTheirNetworksOnly) {
  records_.page.log_size = 3;
  const http::Response seen = get("/metrics", "");
  EXPECT_EQ(seen.status, 200);
  EXPECT_EQ(seen.headers.get("Content-Type"), kMetricsContentType);
  EXPECT_NE(seen.content.find("holdfast_search_lag_records"), std::string::npos);
  peer_address_ = "192.0.2.1";
  const http::Response elsewhere = get("/metrics", "");
  EXPECT_EQ(elsewhere.status, 404);
  EXPECT_EQ(elsewhere.content, get("/metricz", "").content);
}

TEST_F(ApiTest, MetricsTellHowMuchOfSearchIsNotIndexed) {
  records_.log_state.derived = 500;
  records_.log_state.indexed = 300;
  EXPECT_THAT(get("/metrics", "").content, HasSubstr("\nholdfast_search_unindexed_records 200\n"));
}

TEST_F(ApiTest, MetricsTellHowLongAnOperationHasBeenOpen) {
  const auto shows = [this](const std::string& line) {
    return get("/metrics", "")
               .content.find("\nholdfast_oldest_open_operation_seconds " + line + "\n") !=
           std::string::npos;
  };
  EXPECT_TRUE(shows("0"));
  records_.log_state.open_since = clock_.now() - std::chrono::seconds(90);
  EXPECT_TRUE(shows("90"));
  // A writer whose clock is ahead.
  records_.log_state.open_since = clock_.now() + std::chrono::seconds(5);
  EXPECT_TRUE(shows("0"));
}

TEST_F(ApiTest, MetricsAreNotForWhoeverIsBehindABalancer) {
  for (const char* name : {"X-Forwarded-For", "Forwarded", "Via"}) {
    http::RequestHead head{.method = "GET", .target = "/metrics"};
    head.headers.add(name, "10.1.2.3");
    EXPECT_EQ(send(std::move(head)).status, 404) << name;
  }
}

TEST_F(ApiTest, AnswersAreCountedByClassAndStatus) {
  EXPECT_EQ(get("/api/v1/records").status, 200);
  EXPECT_EQ(get("/api/v1/records", "wrong").status, 401);
  EXPECT_EQ(get("/nothing").status, 404);
  const std::string page = metrics_.text();
  for (const char* line : {R"(holdfast_requests_total{class="api",status="2xx"} 1)",
                           R"(holdfast_requests_total{class="api",status="4xx"} 1)",
                           R"(holdfast_requests_total{class="local",status="4xx"} 1)"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n" << page;
  }
}

}  // namespace
}  // namespace holdfast::officers
