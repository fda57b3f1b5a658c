#include "base/canonical_object.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/json.h"

namespace holdfast {
namespace {

using nlohmann::json;

TEST(CanonicalObject, writes_what_canonical_json_would) {
  const std::vector<std::string> texts = {"a", "quote \" and \\", "tab\t\x01", "\xc3\xa9"};
  CanonicalObject inner;
  inner.text("empty", "").integer("n", -7);
  const std::string nested = std::move(inner).take();
  CanonicalObject object;
  object.boolean("a", true)
      .texts("b", texts)
      .integer("c", 9007199254740991)
      .null("d")
      .written("e", nested)
      .text("f", "line\nbreak")
      .written("g", std::vector<std::string>{nested, nested})
      .texts("h", {});
  const json same = {{"a", true},
                     {"b", texts},
                     {"c", 9007199254740991},
                     {"d", nullptr},
                     {"e", {{"empty", ""}, {"n", -7}}},
                     {"f", "line\nbreak"},
                     {"g", {{{"empty", ""}, {"n", -7}}, {{"empty", ""}, {"n", -7}}}},
                     {"h", json::array()}};
  EXPECT_EQ(std::move(object).take(), *canonical_json(same));
  EXPECT_EQ(CanonicalObject().take(), "{}");
}

TEST(CanonicalObject, replaces_what_is_not_utf8) {
  CanonicalObject object;
  object.text("a", "x\xff\xc3\xa9");
  EXPECT_EQ(std::move(object).take(), R"({"a":"x???"})");
}

#ifndef NDEBUG
TEST(CanonicalObjectDeathTest, wants_names_in_order) {
  CanonicalObject object;
  object.text("b", "");
  EXPECT_DEATH(object.text("a", ""), "last_name_");
  EXPECT_DEATH(object.text("b", ""), "last_name_");
}
#endif

}  // namespace
}  // namespace holdfast
