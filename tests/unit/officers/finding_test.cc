#include "officers/finding.h"

#include <gtest/gtest.h>

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr const char* kGuid = "3f2c0a52-0000-4000-8000-000000000001";

json outcome_of(const std::string& resource, json mailbox, const std::string& item = "AAMk=") {
  return {{"operation",
           {{"action", "permanentDelete"},
            {"resource", resource},
            {"mailbox", std::move(mailbox)},
            {"item", item}}},
          {"actor", {{"user", kGuid}}},
          {"request", {{"target", "/v1.0/me/messages/AAMk=/permanentDelete"}}},
          {"outcome", {{"result", "unknown"}}}};
}

std::string target_of(const json& outcome) {
  const auto question = question_about(outcome);
  return question ? question->target : "";
}

TEST(Finding, asks_for_the_item_in_its_mailbox) {
  const std::string user = std::string("/users/") + kGuid;
  const json me = {{"kind", "me"}};
  EXPECT_EQ(target_of(outcome_of("message", me)), "/v1.0" + user + "/messages/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of("event", me)), "/v1.0" + user + "/events/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of("contact", me)), "/v1.0" + user + "/contacts/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of("mailFolder", me)),
            "/v1.0" + user + "/mailFolders/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of("outlookTask", me)),
            "/beta" + user + "/outlook/tasks/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of("event", {{"kind", "group"}, {"key", kGuid}})),
            std::string("/v1.0/groups/") + kGuid + "/events/AAMk%3D?$select=id");
}

// A name may belong to another mailbox when the question is asked; its id does not.
TEST(Finding, names_the_mailbox_by_its_id_where_that_is_known) {
  EXPECT_EQ(target_of(outcome_of("message", {{"kind", "user"}, {"key", "a/b@contoso.com"}})),
            "/v1.0/users/a%2Fb%40contoso.com/messages/AAMk%3D?$select=id");
  EXPECT_EQ(target_of(outcome_of(
                "message",
                {{"kind", "user"}, {"key", "a@contoso.com"}, {"names", {kGuid, "a@contoso.com"}}})),
            std::string("/v1.0/users/") + kGuid + "/messages/AAMk%3D?$select=id");
}

TEST(Finding, asks_nothing_where_no_answer_would_tell) {
  const json me = {{"kind", "me"}};
  json recall = outcome_of("message", me);
  recall["operation"]["action"] = "recall";
  json shared = outcome_of("event", me);
  shared["operation"]["may_be_shared"] = true;
  json nobody = outcome_of("message", me);
  nobody.erase("actor");
  json two_ids = outcome_of(
      "message",
      {{"kind", "user"}, {"key", "a"}, {"names", {kGuid, "91ab77de-0000-4000-8000-000000000002"}}});
  for (const json& outcome :
       {recall, shared, nobody, two_ids, outcome_of("unknownType", me),
        outcome_of("message", me, ""), outcome_of("message", me, ".."),
        outcome_of("message", {{"kind", "none"}}),
        outcome_of("message", {{"kind", "user"}, {"key", ".."}}), json::object(), json()}) {
    EXPECT_EQ(target_of(outcome), "") << outcome;
  }
}

TEST(Finding, reads_ids_as_the_call_did) {
  json outcome = outcome_of("message", {{"kind", "me"}});
  EXPECT_EQ(question_about(outcome)->headers.size(), 0U);
  outcome["request"]["prefer"] = "outlook.timezone=\"UTC\", idtype=\"immutableid\"";
  EXPECT_EQ(question_about(outcome)->headers.get("Prefer"), "IdType=\"ImmutableId\"");
}

TEST(Finding, believes_a_clear_answer_only) {
  const auto fate = [](int status, const std::string& body, bool from_graph = true) {
    http::Headers headers;
    if (from_graph) headers.add("request-id", "r1");
    return judge({.status = status, .headers = headers, .body = body}).fate;
  };
  const std::string gone = R"({"error":{"code":"ErrorItemNotFound","message":"m"}})";
  EXPECT_EQ(fate(404, gone), Fate::kGone);
  EXPECT_EQ(fate(200, R"({"id":"AAMk="})"), Fate::kThere);
  EXPECT_EQ(fate(404, gone, false), Fate::kUnclear);  // Somebody on the way, not Graph.
  EXPECT_EQ(fate(404, R"({"error":{"code":"ErrorInvalidUser"}})"), Fate::kUnclear);
  EXPECT_EQ(fate(404, R"({"error":{"code":"Request_ResourceNotFound"}})"), Fate::kUnclear);
  EXPECT_EQ(fate(404, "not found"), Fate::kUnclear);
  EXPECT_EQ(fate(403, gone), Fate::kUnclear);
  EXPECT_EQ(fate(410, gone), Fate::kUnclear);
  EXPECT_EQ(fate(200, "{}"), Fate::kUnclear);
  EXPECT_EQ(fate(200, "[]"), Fate::kUnclear);
  EXPECT_EQ(fate(429, ""), Fate::kUnclear);
  EXPECT_EQ(fate(503, ""), Fate::kUnclear);
}

TEST(Finding, is_recorded_with_its_evidence) {
  const json outcome = outcome_of("message", {{"kind", "me"}});
  const Question question = *question_about(outcome);
  const Finding finding{.fate = Fate::kGone,
                        .status = 404,
                        .error_code = "ErrorItemNotFound",
                        .graph_request_id = "r1"};
  const Uuid operation = make_uuid_v4();
  const audit::Record record =
      reconciliation_record(operation, outcome, question, finding, WallTime{});
  EXPECT_EQ(record.kind, audit::Kind::kReconciliation);
  EXPECT_EQ(record.operation_id, operation);
  EXPECT_EQ(record.content.at("operation"), outcome.at("operation"));
  EXPECT_EQ(record.content.at("outcome"), (json{{"result", "executed"},
                                                {"reason", "Graph does not have the item any more"},
                                                {"evidence",
                                                 {{"asked_at", "1970-01-01T00:00:00.000000Z"},
                                                  {"target", question.target},
                                                  {"status", 404},
                                                  {"error_code", "ErrorItemNotFound"},
                                                  {"graph_request_id", "r1"}}}}));
  const audit::Record other = reconciliation_record(
      operation, outcome, question, {.fate = Fate::kThere, .status = 200}, WallTime{});
  EXPECT_EQ(other.content.at("outcome").at("result"), "not_executed");
}

}  // namespace
}  // namespace holdfast::officers
