#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "config/yaml.h"

namespace holdfast::config {
namespace {

constexpr const char* kSchema = R"({
  "type": "object",
  "additionalProperties": false,
  "required": ["name", "rules"],
  "definitions": {
    "condition": {
      "type": "object",
      "additionalProperties": false,
      "properties": {"in": {"type": "string", "minLength": 1}, "domain": {"type": "string"}}
    },
    "rule": {
      "type": "object",
      "additionalProperties": false,
      "required": ["id"],
      "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+$", "description": "a lower-case word"},
        "ticket": {"type": "string", "pattern": "^\\d+$"},
        "mailbox": {
          "description": "a mailbox or a condition",
          "anyOf": [{"type": "string"}, {"$ref": "#/definitions/condition"}]
        }
      }
    }
  },
  "properties": {
    "name": {"type": "string", "maxLength": 5},
    "effect": {"enum": ["allow", "deny"]},
    "default": {"enum": ["deny"]},
    "count": {"type": "integer", "minimum": 1, "maximum": 9},
    "on": {"type": "boolean"},
    "days": {"type": "array", "uniqueItems": true, "minItems": 1},
    "rules": {"type": "array", "items": {"$ref": "#/definitions/rule"}}
  }
})";

struct Case {
  const char* name;
  const char* text;
  const char* message;  // Empty: valid.
};

void PrintTo(const Case& row, std::ostream* out) {
  *out << row.name;
}

class JsonSchema : public testing::TestWithParam<Case> {};

TEST_P(JsonSchema, SaysWhereAndWhatInOneLine) {
  const auto document = parse_yaml(GetParam().text, "t.yaml");
  ASSERT_TRUE(document.ok()) << document.error().message;
  const Status status = validate(*document, kSchema);
  EXPECT_EQ(status.ok() ? "" : status.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, JsonSchema,
    testing::Values(
        Case{"valid", "name: a\nrules:\n  - {id: x, mailbox: a, ticket: '12'}\n", ""},
        Case{"unknown_key", "name: a\nrulez: 1\nrules: []\n",
             "t.yaml:2: /rulez: unknown key \"rulez\""},
        Case{"unknown_key_in_element", "name: a\nrules:\n  - id: x\n  - id: y\n    mailbx: 1\n",
             "t.yaml:5: /rules/1/mailbx: unknown key \"mailbx\""},
        Case{"unknown_key_in_the_meant_branch",
             "name: a\nrules:\n  - id: x\n    mailbox:\n      inn: y\n",
             "t.yaml:5: /rules/0/mailbox/inn: unknown key \"inn\""},
        Case{"wrong_value_in_the_meant_branch",
             "name: a\nrules:\n  - id: x\n    mailbox:\n      in: ''\n",
             "t.yaml:5: /rules/0/mailbox/in: must not be empty"},
        Case{"no_branch_of_that_type", "name: a\nrules:\n  - id: x\n    mailbox: 5\n",
             "t.yaml:4: /rules/0/mailbox: must be a mailbox or a condition"},
        Case{"missing_key", "name: a\n", "t.yaml:1: missing key rules"},
        Case{"missing_key_in_element", "name: a\nrules:\n  - {ticket: '1'}\n",
             "t.yaml:3: /rules/0: missing key id"},
        Case{"wrong_type", "name: 5\nrules: []\n", "t.yaml:1: /name: must be a string"},
        Case{"wrong_list", "name: a\nrules: x\n", "t.yaml:2: /rules: must be a list"},
        Case{"wrong_mapping", "name: a\nrules:\n  - x\n",
             "t.yaml:3: /rules/0: must be a mapping (key: value)"},
        Case{"wrong_boolean", "on: no\n", "t.yaml:1: /on: must be true or false"},
        Case{"wrong_integer", "count: 1.0\n", "t.yaml:1: /count: must be a whole number"},
        Case{"wrong_choice", "name: a\neffect: maybe\n",
             "t.yaml:2: /effect: must be one of allow, deny"},
        Case{"only_choice", "default: allow\n", "t.yaml:1: /default: must be deny"},
        Case{"too_small", "count: 0\n", "t.yaml:1: /count: must be at least 1"},
        Case{"too_large", "count: 10\n", "t.yaml:1: /count: must be at most 9"},
        Case{"too_long", "name: abcdef\n", "t.yaml:1: /name: must have at most 5 characters"},
        Case{"empty_list", "days: []\n", "t.yaml:1: /days: must not be empty"},
        Case{"twice", "days: [mon, mon]\n",
             "t.yaml:1: /days/1: must not hold the same entry twice"},
        Case{"described_pattern", "name: a\nrules:\n  - id: X\n",
             "t.yaml:3: /rules/0/id: must be a lower-case word"},
        Case{"bare_pattern", "name: a\nrules:\n  - {id: x, ticket: y}\n",
             "t.yaml:3: /rules/0/ticket: must match ^\\d+$"},
        Case{"empty_file", "", "t.yaml:1: must be a mapping (key: value)"}),
    [](const auto& row) { return row.param.name; });

TEST(JsonSchemaItself, MustBeJson) {
  const auto document = parse_yaml("a: 1\n", "t.yaml");
  ASSERT_TRUE(document.ok());
  const Status status = validate(*document, "{");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace holdfast::config
