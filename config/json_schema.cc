// Why RapidJSON and not a newer validator: it comes with the listener's package and needs nothing
// else. It knows draft 4 and stops at the first problem, which is all that one line can say.
// Its own regular expressions lack \d and the like; without them it takes std::regex.
#define RAPIDJSON_SCHEMA_USE_INTERNALREGEX 0
#include <rapidjson/document.h>
#include <rapidjson/schema.h>
#include <rapidjson/stringbuffer.h>

#include <optional>
#include <regex>
#include <utility>
#include <vector>

#include "base/json.h"
#include "config/yaml.h"

namespace holdfast::config {
namespace {

using nlohmann::json;

// One problem as the validator found it.
struct Problem {
  std::string document_pointer;
  std::string schema_pointer;  // Of the schema that was not met.
  std::string keyword;         // The one of its keywords that was not.
};

template <class Pointer>
std::string pointer_text(const Pointer& pointer) {
  rapidjson::StringBuffer buffer;
  pointer.Stringify(buffer);
  return {buffer.GetString(), buffer.GetSize()};
}

std::optional<Problem> first_problem(const json& schema, const json& value) {
  const std::string schema_text = schema.dump();
  const std::string value_text = value.dump();
  rapidjson::Document schema_document;
  schema_document.Parse(schema_text.data(), schema_text.size());
  rapidjson::Document value_document;
  value_document.Parse(value_text.data(), value_text.size());
  const rapidjson::SchemaDocument compiled(schema_document);
  rapidjson::SchemaValidator validator(compiled);
  if (value_document.Accept(validator)) return std::nullopt;
  return Problem{pointer_text(validator.GetInvalidDocumentPointer()),
                 pointer_text(validator.GetInvalidSchemaPointer()),
                 validator.GetInvalidSchemaKeyword()};
}

const json* find(const json& root, const std::string& pointer) {
  const json::json_pointer path(pointer);
  return root.contains(path) ? &root.at(path) : nullptr;
}

// "#/definitions/x" -> that schema; anything else is the schema itself.
const json& resolve(const json& root, const json& schema) {
  const auto reference = schema.find("$ref");
  if (reference == schema.end()) return schema;
  const json* target = find(root, reference->get<std::string>().substr(1));
  return target == nullptr ? schema : *target;
}

bool has_type(const json& schema, const json& value) {
  const auto type = schema.find("type");
  if (type == schema.end()) return false;
  if (*type == "object") return value.is_object();
  if (*type == "array") return value.is_array();
  if (*type == "string") return value.is_string();
  if (*type == "boolean") return value.is_boolean();
  if (*type == "integer") return value.is_number_integer();
  return *type == "number" && value.is_number();
}

std::string listed(const json& values) {
  std::string text;
  for (const json& value : values) {
    if (!text.empty()) text += ", ";
    text += value.is_string() ? value.get<std::string>() : value.dump();
  }
  return text;
}

std::string missing_keys(const json& required, const json& value) {
  json missing = json::array();
  for (const json& key : required) {
    if (!value.contains(key.get<std::string>())) missing.push_back(key);
  }
  return "missing key " + listed(missing);
}

std::string wanted_type(const json& type) {
  if (type.is_array()) return "must be one of the types " + listed(type);
  if (type == "object") return "must be a mapping (key: value)";
  if (type == "array") return "must be a list";
  if (type == "boolean") return "must be true or false";
  if (type == "integer") return "must be a whole number";
  if (type == "null") return "must be empty";
  return "must be a " + type.get<std::string>();
}

// What the schema wanted. A description beside "pattern" or a choice explains it better than the
// keyword does.
std::string explain(const json& schema, const std::string& keyword, const json& value) {
  const json wanted = schema.value(keyword, json());
  const std::string number = wanted.is_number() ? wanted.dump() : "";
  if (keyword == "type") return wanted_type(wanted);
  if (keyword == "enum") {
    return wanted.size() == 1 ? "must be " + listed(wanted) : "must be one of " + listed(wanted);
  }
  if (keyword == "required") return missing_keys(wanted, value);
  if (keyword == "minLength" || keyword == "minItems" || keyword == "minProperties") {
    const char* what = keyword == "minLength" ? " characters" : " entries";
    return number == "1" ? "must not be empty" : "must have at least " + number + what;
  }
  if (keyword == "maxLength") return "must have at most " + number + " characters";
  if (keyword == "maxItems") return "must have at most " + number + " entries";
  if (keyword == "maxProperties") return "must have at most " + number + " keys";
  if (keyword == "uniqueItems") return "must not hold the same entry twice";
  if (keyword == "minimum") return "must be at least " + number;
  if (keyword == "maximum") return "must be at most " + number;
  if (const auto description = schema.find("description"); description != schema.end()) {
    return "must be " + description->get<std::string>();
  }
  if (keyword == "pattern") return "must match " + wanted.get<std::string>();
  return "does not fit the schema (" + keyword + ")";
}

std::string last_key(const std::string& pointer) {
  return json::json_pointer(pointer).back();
}

std::string line_of(const YamlDocument& document, const json& schema, const std::string& base,
                    const Problem& problem);

// A value that fits no branch of a choice most likely means the only branch of its type; what that
// branch has to say is worth more than "fits none".
std::optional<std::string> explain_choice(const YamlDocument& document, const json& root,
                                          const json& branches, const std::string& pointer,
                                          const json& value) {
  const json* meant = nullptr;
  for (const json& branch : branches) {
    const json& candidate = resolve(root, branch);
    if (!has_type(candidate, value)) continue;
    if (meant != nullptr) return std::nullopt;
    meant = &candidate;
  }
  if (meant == nullptr) return std::nullopt;
  json schema = *meant;
  if (root.contains("definitions")) schema["definitions"] = root["definitions"];
  const std::optional<Problem> problem = first_problem(schema, value);
  if (!problem) return std::nullopt;
  return line_of(document, schema, pointer, *problem);
}

// `base` is where in the document the value that `schema` was applied to stands.
std::string line_of(const YamlDocument& document, const json& schema, const std::string& base,
                    const Problem& problem) {
  const std::string pointer = base + problem.document_pointer;
  if (problem.keyword == "additionalProperties") {
    return document.where(pointer) + "unknown key \"" + last_key(pointer) + "\"";
  }
  const json* failed = find(schema, problem.schema_pointer);
  const json* value = find(document.value, pointer);
  if (failed == nullptr || value == nullptr) {
    return document.where(pointer) + "does not fit the schema (" + problem.keyword + ")";
  }
  if (problem.keyword == "anyOf" || problem.keyword == "oneOf") {
    const auto choice =
        explain_choice(document, schema, (*failed)[problem.keyword], pointer, *value);
    if (choice) return *choice;
  }
  return document.where(pointer) + explain(*failed, problem.keyword, *value);
}

}  // namespace

Status validate(const YamlDocument& document, std::string_view json_schema) {
  const Result<json> schema = parse_json(json_schema);
  if (!schema.ok()) {
    return Error{ErrorCode::kInternal, "the schema itself is wrong: " + schema.error().message};
  }
  const std::optional<Problem> problem = first_problem(*schema, document.value);
  if (!problem) return {};
  return Error{ErrorCode::kInvalid, line_of(document, *schema, "", *problem)};
}

}  // namespace holdfast::config
