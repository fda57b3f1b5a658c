// YAML files, read strictly, with the line of every key kept for error messages.
//
// YAML 1.2 core schema: only true and false are booleans, only null and ~ are null, so `no`, `on`
// and `08:00` are strings; a quoted scalar is always a string. Refused: duplicate keys, anchors and
// aliases, tags, several documents, NUL in strings and keys, nesting over 32 levels, files over
// 4 MiB.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::config {

struct YamlDocument {
  std::string file;      // As given, for messages.
  nlohmann::json value;  // Integers stay integers; decimals become floats.
  std::map<std::string, int>
      lines;  // JSON pointer of every member and element -> its line, from 1.

  // "rules.yaml:12: /rules/0/when: " of the place, or of its nearest parent that has a line.
  std::string where(const std::string& pointer) const;
};

// kInvalid: "file:line: what is wrong". kNotFound: the file is missing or cannot be read.
Result<YamlDocument> parse_yaml(std::string_view text, std::string file);
Result<YamlDocument> load_yaml(const std::string& path);

// Checks a document against a JSON Schema (draft 4). kInvalid names file, line, key and what the
// schema wants there; for an unknown key it names that key.
Status validate(const YamlDocument& document, std::string_view json_schema);

}  // namespace holdfast::config
