#include "base/json.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using nlohmann::json;

std::string problem_of(const Result<std::string>& result) {
  return result.ok() ? "none" : result.error().message;
}

TEST(ParseJson, ReadsOrdinaryText) {
  const Result<json> value = parse_json(R"({"a":[1,"x",null,true]})");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ((*value)["a"][1], "x");
}

TEST(ParseJson, RefusesWhatReadersDisagreeOn) {
  EXPECT_EQ(parse_json(R"({"a":1,"b":{"c":1,"c":2}})").error().message, "duplicate key \"c\"");
  EXPECT_FALSE(parse_json("{} x").ok());
  EXPECT_FALSE(parse_json("").ok());
  EXPECT_FALSE(parse_json("\"\xC0\xAF\"").ok());
  EXPECT_FALSE(parse_json("NaN").ok());
}

TEST(ParseJson, SameKeyInSiblingsIsFine) {
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":2}])").ok());
}

TEST(ParseJson, StopsAtSixtyFourLevels) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).ok());
  EXPECT_EQ(parse_json(std::string(65, '[') + std::string(65, ']')).error().message,
            "nested deeper than 64 levels");
}

TEST(CanonicalJson, SortsKeysAndWritesNoSpace) {
  EXPECT_EQ(*canonical_json(json::parse(R"({"b": [1, -2], "a": {"z": null, "y": true}})")),
            R"({"a":{"y":true,"z":null},"b":[1,-2]})");
}

// RFC 8785, 3.2.3: the order of this example is that of UTF-16 code units, not of code points.
TEST(CanonicalJson, SortsByUtf16CodeUnits) {
  const json value = {{"€", 1},  {"\r", 2},     {"\uFB33", 3}, {"1", 4},
                      {"😀", 5}, {"\u0080", 6}, {"ö", 7}};
  EXPECT_EQ(*canonical_json(value),
            "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\uFB33\":3}");
}

TEST(CanonicalJson, EscapesAsRfc8785Does) {
  const json value = std::string("\"\\\b\f\n\r\t\x01\x1f/é\x7f");
  EXPECT_EQ(*canonical_json(value), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/é\x7f\"");
}

TEST(CanonicalJson, RefusesFloatsByPlace) {
  EXPECT_EQ(problem_of(canonical_json(json{{"a", {1, 1.5}}})),
            "canonical JSON: \"/a/1\" is neither a string, an integer, a boolean, null, an array "
            "nor an object");
}

TEST(CanonicalJson, RefusesIntegersThatOtherReadersRound) {
  EXPECT_EQ(*canonical_json(json(9007199254740991)), "9007199254740991");
  EXPECT_EQ(*canonical_json(json(-9007199254740991)), "-9007199254740991");
  EXPECT_FALSE(canonical_json(json(9007199254740992)).ok());
  EXPECT_FALSE(canonical_json(json(-9007199254740992)).ok());
  EXPECT_FALSE(canonical_json(json(18446744073709551615ULL)).ok());
}

TEST(CanonicalJson, RefusesBytesThatAreNotUtf8) {
  EXPECT_EQ(problem_of(canonical_json(json{{"k", "\xFF"}})), "canonical JSON: \"/k\" is not UTF-8");
  EXPECT_FALSE(canonical_json(json{{"\xFF", 1}}).ok());
}

}  // namespace
}  // namespace holdfast
