#include "base/canonical_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "base/json.h"

namespace holdfast {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> members_of(std::string_view text) {
  std::vector<std::string> seen;
  const Status status = scan_canonical(
      text, [&](std::string_view parent, std::string_view name, std::string_view value) {
        seen.push_back(std::string(parent) + "/" + std::string(name) + "=" + std::string(value));
      });
  EXPECT_TRUE(status.ok()) << text << ": " << status.error().message;
  return seen;
}

bool is_canonical(std::string_view text) {
  return scan_canonical(text, [](std::string_view, std::string_view, std::string_view) {}).ok();
}

TEST(CanonicalScan, shows_members_of_two_levels) {
  EXPECT_THAT(members_of(R"({"a":{"b":1,"c":{"d":2}},"e":[{"f":3}],"g":"h"})"),
              ElementsAre("a/b=1", R"(a/c={"d":2})", R"(/a={"b":1,"c":{"d":2}})", R"(/e=[{"f":3}])",
                          R"(/g="h")"));
  EXPECT_THAT(members_of("{}"), ElementsAre());
}

struct Text {
  const char* name;
  std::string text;
  bool canonical;
};

void PrintTo(const Text& row, std::ostream* out) {
  *out << row.name;
}

class CanonicalScanTable : public ::testing::TestWithParam<Text> {};

TEST_P(CanonicalScanTable, is_judged) {
  EXPECT_EQ(is_canonical(GetParam().text), GetParam().canonical) << GetParam().text;
}

std::string nested(int levels) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += R"({"a":)";
  text += "1";
  return text + std::string(static_cast<std::size_t>(levels), '}');
}

INSTANTIATE_TEST_SUITE_P(
    CanonicalScan, CanonicalScanTable,
    ::testing::Values(
        Text{"words", R"({"a":true,"b":false,"c":null,"d":[]})", true},
        Text{"integers", R"({"a":[0,-1,9007199254740991,-9007199254740991]})", true},
        Text{"escapes", R"({"a":"\" \\ \b\f\n\r\t \u0000\u001f /"})", true},
        Text{"utf8", "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}", true},
        Text{"names_in_utf16_order", "{\"\xf0\x9f\x98\x80\":1,\"\xee\x80\x80\":2}", true},
        Text{"escaped_name_order", R"({"\u001f":1,"!":2,"\"":3,"#":4,"\\":5,"]":6})", true},
        Text{"deepest", nested(64), true}, Text{"too_deep", nested(65), false},
        Text{"names_in_utf8_order", "{\"\xee\x80\x80\":1,\"\xf0\x9f\x98\x80\":2}", false},
        Text{"escaped_name_out_of_order", R"({"!":1,"\u001f":2})", false},
        Text{"names_out_of_order", R"({"b":1,"a":2})", false},
        Text{"name_twice", R"({"a":1,"a":2})", false}, Text{"white_space", R"({"a": 1})", false},
        Text{"newline_behind", "{\"a\":1}\n", false}, Text{"float", R"({"a":1.5})", false},
        Text{"exponent", R"({"a":1e2})", false}, Text{"minus_zero", R"({"a":-0})", false},
        Text{"leading_zero", R"({"a":01})", false}, Text{"plus", R"({"a":+1})", false},
        Text{"too_large", R"({"a":9007199254740992})", false},
        Text{"far_too_large", R"({"a":99999999999999999999999})", false},
        Text{"escaped_slash", R"({"a":"\/"})", false},
        Text{"upper_case_escape", R"({"a":"\u001F"})", false},
        Text{"escape_with_short_form", R"({"a":"\u000a"})", false},
        Text{"escape_of_a_letter", R"({"a":"\u0041"})", false},
        Text{"short_escape", R"({"a":"\u00"})", false},
        Text{"control_character", "{\"a\":\"\x01\"}", false},
        Text{"control_character_late", "{\"a\":\"0123456789abcdef\n\"}", false},
        Text{"not_utf8", "{\"a\":\"\xff\"}", false}, Text{"open_string", R"({"a":"b)", false},
        Text{"open_object", R"({"a":1)", false}, Text{"trailing_comma", R"({"a":1,})", false},
        Text{"no_value", R"({"a":})", false}, Text{"wrong_word", R"({"a":nul})", false},
        Text{"array", "[]", false}, Text{"empty", "", false}),
    [](const auto& row) { return row.param.name; });

TEST(CanonicalScan, agrees_with_what_writes) {
  for (int c = 0; c < 0x80; ++c) {
    const json value = {{std::string(1, static_cast<char>(c)), std::string("x") + char(c)},
                        {"m", {{"deep", {1, -2, nullptr, true}}}}};
    const std::string text = *canonical_json(value);
    EXPECT_TRUE(is_canonical(text)) << text;
  }
}

TEST(CanonicalScan, says_where) {
  const Status status = scan_canonical(R"({"a":1,"b":x})",
                                       [](std::string_view, std::string_view, std::string_view) {});
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("byte 11"));
}

// Whatever a byte is changed to, the scan says canonical only of what is written canonically.
TEST(CanonicalScan, a_changed_byte_is_noticed_or_canonical) {
  const std::string text = R"({"a":"x\n\u0001y","b":[-12,{"c":null}],"d":{"e":"\"","f":0}})";
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[i] = static_cast<char>(c);
      const Result<json> parsed = parse_json(changed);
      const Result<std::string> written =
          parsed.ok() ? canonical_json(*parsed) : Result<std::string>(parsed.error());
      const bool expected = written.ok() && *written == changed && parsed->is_object();
      EXPECT_EQ(is_canonical(changed), expected) << changed;
    }
  }
}

TEST(CanonicalScan, plain_text_is_without_quotes_and_escapes) {
  EXPECT_EQ(plain_text(R"("abc")"), "abc");
  EXPECT_EQ(plain_text(R"("a\"bc")"), "");
  EXPECT_EQ(plain_text("17"), "");
  EXPECT_EQ(plain_text("\""), "");
}

}  // namespace
}  // namespace holdfast
