#include "graph/batch.h"

#include <gtest/gtest.h>

namespace holdfast::graph {
namespace {

std::string envelope(const std::string& parts) {
  return R"({"requests":[)" + parts + "]}";
}

std::string part(const std::string& id, const std::string& method, const std::string& url,
                 const std::string& more = "") {
  return R"({"id":")" + id + R"(","method":")" + method + R"(","url":")" + url + "\"" + more + "}";
}

TEST(Batch, PartsAreClassifiedUnderTheVersionOfTheBatch) {
  struct Case {
    const char* name;
    std::string part;
    RequestClass expected;
  };
  const Case cases[] = {
      {"ordinary", part("1", "GET", "/me/messages"), RequestClass::kPassThrough},
      {"guarded", part("1", "POST", "/me/messages/m1/permanentDelete"), RequestClass::kGuarded},
      {"without a leading slash", part("1", "POST", "me/messages/m1/permanentDelete"),
       RequestClass::kGuarded},
      {"with a version of its own", part("1", "POST", "/beta/me/messages/m1/recall"),
       RequestClass::kGuarded},
      {"method in any case", part("1", "post", "/me/messages/m1/permanentDelete"),
       RequestClass::kGuarded},
      {"escaped in JSON", part("1", "POST", R"(/me/messages/m1/\u0070ermanentDelete)"),
       RequestClass::kGuarded},
      {"percent-encoded", part("1", "POST", "/me/messages/m1/%70ermanentDelete"),
       RequestClass::kGuarded},
      {"ambiguous", part("1", "POST", "/me/messages/m1/permanentDelete%20"),
       RequestClass::kRejected},
      {"method override",
       part("1", "PUT", "/me/messages/m1/permanentDelete",
            R"(,"headers":{"X-HTTP-Method":"POST"})"),
       RequestClass::kRejected},
      {"harder by body",
       part("1", "POST", "/security/collaboration/analyzedEmails/remediate",
            R"(,"body":{"action":"hardDelete"})"),
       RequestClass::kGuarded},
      {"softer by body",
       part("1", "POST", "/security/collaboration/analyzedEmails/remediate",
            R"(,"body":{"action":"moveToInbox"})"),
       RequestClass::kPassThrough},
      {"needs a body and has none",
       part("1", "POST", "/security/collaboration/analyzedEmails/remediate"),
       RequestClass::kRejected},
      {"junk after a nested batch", part("1", "POST", "/$batch%20"), RequestClass::kRejected},
  };
  for (const Case& c : cases) {
    const auto parts = classify_batch(envelope(c.part), "v1.0");
    ASSERT_TRUE(parts.ok()) << c.name << ": " << parts.error().message;
    ASSERT_EQ(parts->size(), 1U) << c.name;
    EXPECT_EQ(parts->front().classification.request_class, c.expected) << c.name;
    EXPECT_FALSE(parts->front().classification.needs_body) << c.name;
  }
}

TEST(Batch, TargetsAreWhatGraphWouldSeeAlone) {
  const auto parts = classify_batch(envelope(part("1", "get", "me?$select=id")), "beta");
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->front().target, "/beta/me?$select=id");
  EXPECT_EQ(parts->front().method, "GET");
  const auto bare = classify_batch(envelope(part("1", "GET", "/v1.0/me")), std::nullopt);
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ(bare->front().target, "/v1.0/me");
}

TEST(Batch, BodiesThatGraphRefusesOrThatReadTwoWaysAreErrors) {
  std::string many;
  for (int i = 0; i <= 20; ++i) many += (i ? "," : "") + part(std::to_string(i), "GET", "/me");
  struct Case {
    const char* name;
    std::string body;
    const char* message;
  };
  const Case cases[] = {
      {"not JSON", "{", "not valid JSON"},
      {"empty", "", "not valid JSON"},
      {"array", "[]", "no JSON object"},
      {"no requests", "{}", "no array"},
      {"requests is an object", R"({"requests":{}})", "no array"},
      {"requests twice", R"({"requests":[],"requests":[]})", "duplicate key"},
      {"requests in capitals", R"({"Requests":[]})", "another case"},
      {"url twice", envelope(R"({"id":"1","method":"GET","url":"/me","url":"/x"})"),
       "duplicate key"},
      {"url in capitals", envelope(R"({"id":"1","method":"GET","url":"/me","URL":"/x"})"),
       "another case"},
      {"21 parts", envelope(many), "at most 20"},
      {"no id", envelope(R"({"method":"GET","url":"/me"})"), "no id"},
      {"id is a number", envelope(R"({"id":1,"method":"GET","url":"/me"})"), "no id"},
      {"no method", envelope(R"({"id":"1","url":"/me"})"), "no method"},
      {"no url", envelope(R"({"id":"1","method":"GET"})"), "no url"},
      {"same id in another case", envelope(part("a", "GET", "/me") + "," + part("A", "GET", "/me")),
       "repeats the id"},
      {"absolute url", envelope(part("1", "GET", "https://graph.microsoft.com/v1.0/me")),
       "absolute url"},
      {"url naming a host", envelope(part("1", "GET", "//evil.example/me")), "absolute url"},
      {"nested", envelope(part("1", "POST", "/$batch")), "a batch itself"},
      {"nested, encoded", envelope(part("1", "POST", "%24BATCH/")), "a batch itself"},
      {"headers no object", envelope(part("1", "GET", "/me", R"(,"headers":[])")), "no object"},
      {"header no string", envelope(part("1", "GET", "/me", R"(,"headers":{"a":1})")), "no string"},
      {"part no object", envelope("1"), "is no object"},
  };
  for (const Case& c : cases) {
    const auto parts = classify_batch(c.body, "v1.0");
    ASSERT_FALSE(parts.ok()) << c.name;
    EXPECT_NE(parts.error().message.find(c.message), std::string::npos)
        << c.name << ": " << parts.error().message;
  }
}

TEST(Batch, TwentyPartsAreFine) {
  std::string many;
  for (int i = 0; i < 20; ++i) many += (i ? "," : "") + part(std::to_string(i), "GET", "/me");
  const auto parts = classify_batch(envelope(many), "v1.0");
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->size(), 20U);
}

}  // namespace
}  // namespace holdfast::graph
