// The table of keys as text: an example file, a dump, a JSON Schema.
#include <functional>

#include "config/fields.h"
#include "config/yaml.h"

namespace holdfast::config {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kColumns = 100;

// As a plain word where that reads back as the same text, else in quotes.
std::string scalar_text(const json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  const auto read_back = parse_yaml("a: " + text + "\n", "");
  const bool plain = read_back.ok() && !text.empty() && read_back->value.is_object() &&
                     read_back->value.value("a", json()) == value;
  return plain ? text : value.dump();
}

std::string value_text(const json& value) {
  if (!value.is_array()) return scalar_text(value);
  std::string text;
  for (const json& element : value) text += (text.empty() ? "" : ", ") + scalar_text(element);
  return "[" + text + "]";
}

// The text as comment lines, broken between words.
std::string comment(const std::string& text, const std::string& indent) {
  std::string lines;
  std::string line = indent + "#";
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (line.size() + 1 + word.size() > kColumns) {
      lines += line + "\n";
      line = indent + "#";
    }
    line += " " + word;
    begin = end + 1;
  }
  return lines + line + "\n";
}

// Writes every key below its sections; `entry` gives the lines of one key, with their indent.
std::string write_keys(const std::function<std::string(const Field&, const std::string& key,
                                                       const std::string& indent)>& entry,
                       const std::function<std::string(const Section&)>& heading) {
  std::string text;
  for (const Section& section : sections()) {
    text += heading(section) + section.path + ":\n";
    std::string open;  // The section inside this one that the last key stood in.
    for (const Field& field : fields()) {
      if (!field.path.starts_with(section.path + ".")) continue;
      std::string key = field.path.substr(section.path.size() + 1);
      const std::size_t dot = key.find('.');
      const std::string inner = dot == std::string::npos ? "" : key.substr(0, dot);
      if (inner != open && !inner.empty()) text += "  " + inner + ":\n";
      open = inner;
      if (!inner.empty()) key = key.substr(dot + 1);
      text += entry(field, key, inner.empty() ? "  " : "    ");
    }
  }
  return text;
}

ordered_json& subschema(ordered_json& root, const std::string& section) {
  ordered_json& schema = root["properties"][section];
  if (schema.is_null()) {
    schema = {{"type", {"object", "null"}}, {"additionalProperties", false}};
    schema["properties"] = ordered_json::object();
  }
  return schema;
}

}  // namespace

std::string example_yaml() {
  const auto entry = [](const Field& field, const std::string& key, const std::string& indent) {
    const json value = get_value(field, Config());
    const bool optional = value == "" && field.needed_by.empty();
    const std::string shown = value == "" ? scalar_text(field.example) : value_text(value);
    return comment(field.meaning, indent) + indent + (optional ? "# " : "") + key + ": " + shown +
           "\n";
  };
  const auto heading = [](const Section& section) { return "\n" + comment(section.meaning, ""); };
  return comment(
             "Every key of Holdfast's configuration with its default; keys without one show an "
             "example, and stand behind # where they may stay away. File paths are relative to "
             "this file. HOLDFAST_PROXY__THREADS=4 and --set proxy.threads=4 override "
             "proxy.threads, and so for every key. There a list is written as here, [a, b], or "
             "without brackets: a,b.",
             "") +
         write_keys(entry, heading);
}

std::string dump_yaml(const Config& config) {
  const auto entry = [&](const Field& field, const std::string& key, const std::string& indent) {
    const json value = get_value(field, config);
    const auto origin = config.origins.find(field.path);
    const bool is_default = origin == config.origins.end();
    return indent + (value == "" ? "# " + key + ":" : key + ": " + value_text(value)) +
           (is_default ? "" : "  # " + origin->second) + "\n";
  };
  return write_keys(entry, [](const Section&) { return std::string(); });
}

std::string schema_json() {
  ordered_json root = {{"$schema", "http://json-schema.org/draft-04/schema#"},
                       {"title", "Holdfast configuration"},
                       {"type", {"object", "null"}},
                       {"additionalProperties", false}};
  root["properties"] = ordered_json::object();
  for (const Section& section : sections()) {
    subschema(root, section.path)["description"] = section.meaning;
  }
  for (const Field& field : fields()) {
    ordered_json* parent = &root;
    std::string key = field.path;
    for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.')) {
      parent = &subschema(*parent, key.substr(0, dot));
      key = key.substr(dot + 1);
    }
    ordered_json schema = {{"description", field.meaning}};
    schema.update(value_schema(field));
    const json standard = get_value(field, Config());
    if (standard != "") schema["default"] = standard;
    (*parent)["properties"][key] = std::move(schema);
  }
  return root.dump(2) + "\n";
}

}  // namespace holdfast::config
