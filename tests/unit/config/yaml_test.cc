#include "config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <ostream>

namespace holdfast::config {
namespace {

using nlohmann::json;
using testing::StartsWith;

struct ScalarCase {
  const char* name;
  const char* text;
  json value;
};

void PrintTo(const ScalarCase& row, std::ostream* out) {
  *out << row.name;
}

class YamlScalar : public testing::TestWithParam<ScalarCase> {};

TEST_P(YamlScalar, IsReadAsTheCoreSchemaSays) {
  const auto document = parse_yaml(std::string("a: ") + GetParam().text + "\n", "t.yaml");
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(document->value["a"], GetParam().value);
  EXPECT_EQ(document->value["a"].type(), GetParam().value.type());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, YamlScalar,
    testing::Values(
        ScalarCase{"true_word", "true", true}, ScalarCase{"false_word", "false", false},
        ScalarCase{"null_word", "null", nullptr}, ScalarCase{"tilde", "~", nullptr},
        ScalarCase{"nothing", "", nullptr}, ScalarCase{"no_is_text", "no", "no"},
        ScalarCase{"yes_is_text", "yes", "yes"}, ScalarCase{"on_is_text", "on", "on"},
        ScalarCase{"capital_true_is_text", "True", "True"},
        ScalarCase{"clock_is_text", "08:00", "08:00"}, ScalarCase{"duration_is_text", "24h", "24h"},
        ScalarCase{"guid_with_digits_is_text", "00000000-0000-4000-8000-000000000004",
                   "00000000-0000-4000-8000-000000000004"},
        ScalarCase{"dot_is_text", ".", "."}, ScalarCase{"minus_is_text", "-x", "-x"},
        ScalarCase{"exponent_without_digits", "1e", "1e"},
        ScalarCase{"quoted_number", "\"5\"", "5"},
        ScalarCase{"quote_in_double_quotes", "\"a\\\"b\"", "a\"b"},
        ScalarCase{"quote_in_single_quotes", "'it''s'", "it's"},
        ScalarCase{"quoted_true", "'true'", "true"}, ScalarCase{"quoted_null", "\"null\"", "null"},
        ScalarCase{"integer", "42", std::int64_t{42}},
        ScalarCase{"negative", "-7", std::int64_t{-7}}, ScalarCase{"plus", "+7", std::int64_t{7}},
        ScalarCase{"largest", "9223372036854775807", INT64_MAX},
        ScalarCase{"smallest", "-9223372036854775808", INT64_MIN},
        ScalarCase{"leading_zero_is_decimal", "010", std::int64_t{10}},
        ScalarCase{"hexadecimal", "0x1F", std::int64_t{31}},
        ScalarCase{"octal", "0o17", std::int64_t{15}}, ScalarCase{"decimal", "1.5", 1.5},
        ScalarCase{"negative_decimal", "-.5", -0.5}, ScalarCase{"exponent", "1e3", 1000.0},
        ScalarCase{"block_text", "|\n  x\n  y\n", "x\ny\n"}),
    [](const auto& row) { return row.param.name; });

struct RefusedCase {
  const char* name;
  std::string text;
  const char* message;
};

void PrintTo(const RefusedCase& row, std::ostream* out) {
  *out << row.name;
}

class YamlRefused : public testing::TestWithParam<RefusedCase> {};

TEST_P(YamlRefused, NamesFileLineAndReason) {
  const auto document = parse_yaml(GetParam().text, "t.yaml");
  ASSERT_FALSE(document.ok());
  EXPECT_EQ(document.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(document.error().message, StartsWith(GetParam().message));
  EXPECT_EQ(document.error().message.find('\n'), std::string::npos);
}

std::string nested(int levels) {
  return "a: " + std::string(static_cast<std::size_t>(levels), '[') +
         std::string(static_cast<std::size_t>(levels), ']');
}

INSTANTIATE_TEST_SUITE_P(
    Cases, YamlRefused,
    testing::Values(
        RefusedCase{"duplicate_key", "a: 1\nb: 2\na: 3\n",
                    "t.yaml:3: the key \"a\" is already on line 1"},
        RefusedCase{"duplicate_key_below", "x:\n  - {a: 1,\n     a: 2}\n",
                    "t.yaml:3: the key \"a\" is already on line 2"},
        RefusedCase{"duplicate_key_quoted", "a: 1\n\"a\": 3\n",
                    "t.yaml:2: the key \"a\" is already on line 1"},
        RefusedCase{"anchor", "a: 1\nb: &x 2\n", "t.yaml:2: anchors (&name) are not allowed"},
        RefusedCase{"alias", "a: 1\nb: *x\n", "t.yaml:2: "},
        RefusedCase{"tag", "a: !!str 5\n", "t.yaml:1: tags (!name) are not allowed"},
        RefusedCase{"own_tag", "a: !x {}\n", "t.yaml:1: tags (!name) are not allowed"},
        RefusedCase{"bare_tag", "a: ! 5\n", "t.yaml:1: tags (!name) are not allowed"},
        RefusedCase{"bare_tag_on_mapping", "a: ! {}\n", "t.yaml:1: tags (!name) are not allowed"},
        RefusedCase{"bare_tag_after_byte_order_mark",
                    "\xEF\xBB\xBF"
                    "a: ! 5\n",
                    "t.yaml:1: tags (!name) are not allowed"},
        RefusedCase{"two_documents", "a: 1\n---\nb: 2\n",
                    "t.yaml:2: only one document is allowed in a file"},
        RefusedCase{"list_as_key", "? [a]\n: b\n",
                    "t.yaml:1: a key must be a plain word or a string"},
        RefusedCase{"empty_key", "a: 1\n~: b\n", "t.yaml:2: a key must not be empty"},
        RefusedCase{"too_deep", nested(32), "t.yaml:1: nested deeper than 32 levels"},
        RefusedCase{"too_large", std::string(4 * 1024 * 1024 + 1, ' '),
                    "t.yaml:1: the file is larger than 4 MiB"},
        RefusedCase{"integer_too_large", "a: 9223372036854775808\n",
                    "t.yaml:1: the number 9223372036854775808 is too large"},
        RefusedCase{"decimal_too_large", "a: 1e999\n", "t.yaml:1: the number 1e999 is too large"},
        RefusedCase{"infinity", "a: -.inf\n", "t.yaml:1: \"-.inf\" is not a number"},
        RefusedCase{"not_a_number", "a: .nan\n", "t.yaml:1: \".nan\" is not a number"},
        RefusedCase{"bad_utf8", "a: 1\nb: \xC3(\n", "t.yaml:2: the text is not UTF-8"},
        RefusedCase{"nul", std::string("a: 1\nb: x\0y\n", 12),
                    "t.yaml:2: control characters are not allowed"},
        RefusedCase{"nul_in_a_string", "a: 1\nb: \"x\\0y\"\n",
                    "t.yaml:2: a string must not hold a NUL character"},
        RefusedCase{"nul_by_its_number", "a: [1,\n  \"\\x00\"]\n",
                    "t.yaml:2: a string must not hold a NUL character"},
        RefusedCase{"nul_by_its_long_number", "\"\\u0000\"\n",
                    "t.yaml:1: a string must not hold a NUL character"},
        RefusedCase{"nul_in_a_key", "a: 1\n\"b\\0\": 2\n",
                    "t.yaml:2: a string must not hold a NUL character"},
        RefusedCase{"lone_carriage_return", "a: 1\rb: 2\n",
                    "t.yaml:1: control characters are not allowed"},
        RefusedCase{"unfinished_list", "a: [1, 2\n", "t.yaml:2: not valid YAML: "},
        RefusedCase{"two_colons", "a: 1\nb: c: d\n", "t.yaml:2: not valid YAML: "},
        RefusedCase{"open_double_quotes", "a: 1\nb: \"x\\\"\n\n",
                    "t.yaml:2: the quotes are not closed"},
        RefusedCase{"open_single_quotes", "a: 'it''s\n", "t.yaml:1: the quotes are not closed"}),
    [](const auto& row) { return row.param.name; });

TEST(Yaml, KeepsTheLineOfEveryMemberAndElement) {
  const auto document = parse_yaml(
      "# rules\nrules:\n  - id: one\n    when:\n      a/b: {x: 1}\n  - id: two\r\nlast: 1\n",
      "rules.yaml");
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(document->lines.at("/rules"), 2);
  EXPECT_EQ(document->lines.at("/rules/0"), 3);
  EXPECT_EQ(document->lines.at("/rules/0/when"), 4);
  EXPECT_EQ(document->lines.at("/rules/0/when/a~1b"), 5);
  EXPECT_EQ(document->lines.at("/rules/0/when/a~1b/x"), 5);
  EXPECT_EQ(document->lines.at("/rules/1/id"), 6);
  EXPECT_EQ(document->lines.at("/last"), 7);
  EXPECT_EQ(document->where("/rules/0/when"), "rules.yaml:4: /rules/0/when: ");
  EXPECT_EQ(document->where("/rules/0/when/gone"), "rules.yaml:4: /rules/0/when/gone: ");
  EXPECT_EQ(document->where(""), "rules.yaml:2: ");
}

TEST(Yaml, EmptyTextIsNull) {
  for (const char* text : {"", "# nothing\n", "---\n"}) {
    const auto document = parse_yaml(text, "t.yaml");
    ASSERT_TRUE(document.ok());
    EXPECT_TRUE(document->value.is_null());
  }
}

TEST(Yaml, MissingFileIsNotFound) {
  for (const std::string path : {"/nonexistent/holdfast.yaml", "/"}) {
    const auto document = load_yaml(path);
    ASSERT_FALSE(document.ok());
    EXPECT_EQ(document.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(document.error().message, path + ": the file is missing or cannot be read");
  }
}

TEST(Yaml, LoadsAFile) {
  const std::string path = testing::TempDir() + "/holdfast_yaml_test.yaml";
  std::ofstream(path) << "a: 1\n";
  const auto document = load_yaml(path);
  std::remove(path.c_str());
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(document->value, json({{"a", 1}}));
  EXPECT_EQ(document->file, path);
}

}  // namespace
}  // namespace holdfast::config
