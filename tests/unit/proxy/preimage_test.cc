#include "proxy/preimage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "graph/classify.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_graph.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::proxy {
namespace {

using approval::at;
using nlohmann::json;
using ::testing::ElementsAre;

graph::Operation operation_of(const std::string& target) {
  const graph::Classification what =
      graph::classify({.method = "POST", .target = target, .headers = {}, .body = std::nullopt});
  return what.operation.value();
}

std::string target_for(const std::string& target) {
  const std::string read = preimage_target(operation_of(target), {"message_age"});
  return read.substr(0, read.find('?'));
}

TEST(PreimageTarget, IsTheItemHoweverTheCallIsSpelled) {
  EXPECT_EQ(target_for("/v1.0/me/messages/AAMk/permanentDelete"), "/v1.0/me/messages/AAMk");
  EXPECT_EQ(target_for("/V1.0//Me/Messages('AAMk')/microsoft.graph.permanentDelete()"),
            "/v1.0/me/messages/AAMk");
  EXPECT_EQ(target_for("/beta/users/u%40contoso.com/mailFolders/inbox/messages/A%2FB%3D/recall"),
            "/beta/users/u%40contoso.com/mailfolders/inbox/messages/A%2FB%3D");
}

TEST(PreimageTarget, IsNothingWhereNothingIsAskedOrThereIsNoItem) {
  const graph::Operation message = operation_of("/v1.0/me/messages/m/permanentDelete");
  EXPECT_EQ(preimage_target(message, {}), "");
  const graph::Operation calendar = operation_of("/v1.0/me/calendars/c/permanentDelete");
  EXPECT_EQ(preimage_target(calendar, {"message_age"}), "");
}

TEST(PreimageTarget, AsksForMetadataOnly) {
  const graph::Operation message = operation_of("/v1.0/me/messages/m/permanentDelete");
  const std::string read = preimage_target(message, {"size"});
  EXPECT_EQ(read.find("body"), std::string::npos);
  EXPECT_NE(read.find("$expand=singleValueExtendedProperties"), std::string::npos);
  EXPECT_EQ(preimage_target(message, {"sender"}).find("$expand"), std::string::npos);
}

json message() {
  const auto who = [](const char* address) {
    return json{{"emailAddress", {{"address", address}}}};
  };
  return {{"@odata.etag", "W/1"},
          {"id", "m"},
          {"sentDateTime", "2026-10-05T06:00:00Z"},
          {"receivedDateTime", "2026-10-05T07:00:00Z"},
          {"from", who("Boss@contoso.com")},
          {"sender", who("assistant@contoso.com")},
          {"toRecipients", {who("a@contoso.com")}},
          {"ccRecipients", json::array()},
          {"bccRecipients", {who("B@contoso.com")}},
          {"categories", {"Red"}},
          {"parentFolderId", "F1"},
          {"body", {{"content", "secret words"}}},
          {"singleValueExtendedProperties", {{{"id", "Integer 0xe08"}, {"value", "1234"}}}}};
}

Preimage read(const json& body, const char* call = "/v1.0/me/messages/m/permanentDelete") {
  return read_preimage(identity::GraphAnswer{200, {}, body.dump()}, operation_of(call),
                       at("2026-10-05T08:00:00Z"));
}

TEST(Preimage, TellsWhatTheItemSays) {
  const Preimage preimage = read(message());
  EXPECT_EQ(preimage.item.message_age, std::chrono::hours(1));
  EXPECT_EQ(read(message(), "/beta/me/messages/m/recall").item.message_age, std::chrono::hours(2));
  EXPECT_THAT(*preimage.item.sender, ElementsAre("boss@contoso.com", "assistant@contoso.com"));
  EXPECT_THAT(*preimage.item.recipients, ElementsAre("a@contoso.com", "b@contoso.com"));
  EXPECT_THAT(*preimage.item.categories, ElementsAre("Red"));
  EXPECT_EQ(preimage.item.size_bytes, 1234);
  EXPECT_EQ(preimage.folder, "F1");
  const json recorded = json::parse(preimage.recorded);
  EXPECT_EQ(canonical_json(recorded).value(), preimage.recorded);
  EXPECT_EQ(recorded["sent"], "2026-10-05T06:00:00Z");
  EXPECT_EQ(recorded["recipients_count"], 2);
  EXPECT_EQ(preimage.recorded.find("secret"), std::string::npos);
}

TEST(Preimage, WhatIsMissingOrOfAnotherShapeIsUnknown) {
  json odd = message();
  odd.erase("bccRecipients");
  odd["from"] = {{"emailAddress", {{"name", "nobody"}}}};
  odd["categories"] = {"Red", 7};
  odd["receivedDateTime"] = "yesterday";
  odd["singleValueExtendedProperties"][0]["value"] = "-1";
  odd["parentFolderId"] = nullptr;
  const Preimage preimage = read(odd);
  EXPECT_FALSE(preimage.item.recipients || preimage.item.sender || preimage.item.categories ||
               preimage.item.message_age || preimage.item.size_bytes || preimage.folder);
  json future = message();
  future["receivedDateTime"] = "2026-10-05T08:06:00Z";
  EXPECT_FALSE(read(future).item.message_age);
}

TEST(Preimage, AFailureIsRecordedAndTellsNothing) {
  const graph::Operation call = operation_of("/v1.0/me/messages/m/permanentDelete");
  const WallTime now = at("2026-10-05T08:00:00Z");
  const Preimage gone = read_preimage(identity::GraphAnswer{404, {}, message().dump()}, call, now);
  EXPECT_FALSE(gone.item.sender);
  EXPECT_EQ(json::parse(gone.recorded)["status"], 404);
  const Preimage late = read_preimage(Error{ErrorCode::kTimeout, "no answer"}, call, now);
  EXPECT_EQ(json::parse(late.recorded)["failure"], "no answer");
}

}  // namespace
}  // namespace holdfast::proxy
