#include "graph/classify_lines.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graph/flat_request.h"

namespace holdfast::graph {
namespace {

std::string answer(std::string_view line) {
  std::string out;
  classify_line(line, out);
  return out;
}

TEST(ClassifyLines, EveryKeyIsThereInOrder) {
  EXPECT_EQ(answer(R"({"method":"POST","target":"/v1.0/me/messages/m1/permanentDelete"})"),
            R"({"class":"guarded","action":"permanentDelete","resource":"message",)"
            R"("mailbox":{"kind":"me","key":null},"item":"m1","version":"v1.0",)"
            R"("reason":"a guarded action"})"
            "\n");
  EXPECT_EQ(answer(R"({"method":"GET","target":"/me"})"),
            R"({"class":"passthrough","action":null,"resource":null,)"
            R"("mailbox":{"kind":"none","key":null},"item":null,"version":null,)"
            R"("reason":"nothing in it destroys or recalls"})"
            "\n");
}

TEST(ClassifyLines, HeadersAndBodiesInEveryShape) {
  struct Case {
    const char* name;
    const char* line;
    const char* expected;
  };
  const Case cases[] = {
      {"header object",
       R"({"method":"PUT","target":"/me/messages/m/recall","headers":{"X-HTTP-Method":"POST"}})",
       "rejected"},
      {"header with two values",
       R"({"method":"PUT","target":"/me/messages/m/recall","headers":{"X-HTTP-Method":["a","POST"]}})",
       "rejected"},
      {"header pairs",
       R"({"method":"PUT","target":"/me/messages/m/recall","headers":[["X-HTTP-Method","POST"]]})",
       "rejected"},
      {"header text",
       R"({"method":"PUT","target":"/me/messages/m/recall","headers":"A: b\r\nX-HTTP-Method: POST"})",
       "rejected"},
      {"headers null", R"({"method":"PUT","target":"/me/messages/m/recall","headers":null})",
       "passthrough"},
      {"body as text",
       R"({"method":"POST","target":"/security/collaboration/analyzedEmails/remediate","body":"{\"action\":\"hardDelete\"}"})",
       "guarded"},
      {"body as an object",
       R"({"method":"POST","target":"/security/collaboration/analyzedEmails/remediate","body":{"action":"softDelete"}})",
       "passthrough"},
      {"body null is none given",
       R"({"method":"POST","target":"/security/collaboration/analyzedEmails/remediate","body":null})",
       "guarded"},
      {"escapes in the target", R"({"method":"POST","target":"/me/messages/m/\u0072ecall"})",
       "guarded"},
      {"blanks between tokens", R"(  { "method" : "POST" , "target" : "/me/messages/m/recall" } )",
       "guarded"},
  };
  for (const Case& c : cases) {
    std::string out;
    EXPECT_TRUE(classify_line(c.line, out)) << c.name;
    EXPECT_EQ(nlohmann::json::parse(out)["class"], c.expected) << c.name << ": " << out;
  }
}

TEST(ClassifyLines, BadLinesAreAnsweredAndReported) {
  struct Case {
    const char* name;
    std::string line;
    const char* reason;
  };
  const Case cases[] = {
      {"empty", "", "the line is empty"},
      {"blank", "  ", "the line is empty"},
      {"not JSON", "POST /me", "not valid JSON"},
      {"array", "[]", "no JSON object"},
      {"no method", R"({"target":"/me"})", "\"method\" is missing"},
      {"no target", R"({"method":"GET"})", "\"target\" is missing"},
      {"method is a number", R"({"method":1,"target":"/me"})", "\"method\" must be a string"},
      {"unknown key", R"({"method":"GET","target":"/me","path":"/x"})", "unknown key \"path\""},
      {"duplicate key", R"({"method":"GET","target":"/me","target":"/x"})", "duplicate key"},
      {"not UTF-8", "{\"method\":\"GET\",\"target\":\"/\xff\"}", "not valid JSON"},
      {"headers a number", R"({"method":"GET","target":"/me","headers":1})", "\"headers\""},
      {"header a number", R"({"method":"GET","target":"/me","headers":{"a":1}})", "header \"a\""},
      {"body a number", R"({"method":"GET","target":"/me","body":1})", "\"body\""},
      {"text after", R"({"method":"GET","target":"/me"} x)", "not valid JSON"},
  };
  for (const Case& c : cases) {
    std::string out;
    EXPECT_FALSE(classify_line(c.line, out)) << c.name;
    const auto json = nlohmann::json::parse(out);
    EXPECT_EQ(json["class"], "rejected") << c.name;
    EXPECT_EQ(json.size(), 7U) << c.name;
    const std::string reason = json["reason"];
    EXPECT_TRUE(reason.starts_with("bad input: ")) << reason;
    EXPECT_NE(reason.find(c.reason), std::string::npos) << c.name << ": " << reason;
  }
}

TEST(ClassifyLines, AnswersAreJsonWhateverTheTargetHolds) {
  for (const char* target : {"/me/messages/%ff/permanentDelete", "/me/messages/%22%0a/recall",
                             "/me/messages/\\u00e9\\ud83d\\ude00/recall", "/\\\"/x"}) {
    const std::string line = R"({"method":"POST","target":")" + std::string(target) + "\"}";
    std::string out;
    EXPECT_TRUE(classify_line(line, out)) << out;
    EXPECT_TRUE(nlohmann::json::accept(out)) << out;
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
  }
}

TEST(FlatRequest, LeavesEverythingUnusualToTheGeneralParser) {
  EXPECT_TRUE(read_flat_request(R"({"target":"/me","method":"GET"})").has_value());
  for (const char* line :
       {R"({"method":"GET"})", R"({"method":"GET","target":"/\u0061"})",
        R"({"method":"GET","method":"GET","target":"/"})", R"({"method":"GET","target":"/"}x)",
        R"({"method":"GET","target":"/",})", R"({"method":"GET","target":null})",
        R"({"method":"GET","target":"/","x":"y"})", "{\"method\":\"GET\",\"target\":\"/\xc3\xa9\"}",
        "", "{", R"({"method":"GET","target":"/)"}) {
    EXPECT_FALSE(read_flat_request(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace holdfast::graph
