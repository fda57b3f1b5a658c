// From a rule file that fits its schema to the rules as values, checking what a schema cannot:
// names, list entries, regular expressions, networks, time zones.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/facts.h"
#include "approval/rule_model.h"
#include "base/encoding.h"
#include "config/yaml.h"

namespace holdfast::approval {

// Problems, one line each, in the order they are found; what they quote of the files adds no line.
class Problems {
 public:
  explicit Problems(const config::YamlDocument& document) : document_(document) {}

  // `pointer` is a JSON pointer into the document.
  void add(const std::string& pointer, const std::string& what) {
    add_line(document_.where(pointer) + what);
  }
  void add_line(const std::string& line) { lines_.push_back(to_text(line)); }

  bool empty() const { return lines_.empty(); }
  // All of them, one a line.
  std::string text() const;

 private:
  const config::YamlDocument& document_;
  std::vector<std::string> lines_;
};

// Gives the file that a list names, as the rule file names it.
using ListReader = std::function<Result<FileBytes>(const std::string& file)>;

// The document fits the schema. Reads list files with `read`. What is returned is of
// use only when no problems were added; its sha256 is left empty.
struct BuiltRules {
  RuleSetData data;
  SourceFiles list_sources;  // In the order of the lists' names.
};
BuiltRules build_rules(const config::YamlDocument& document, const ListReader& read, WallTime now,
                       Problems& problems);

// "mon" -> 0 … "sun" -> 6.
unsigned weekday_index(const std::string& name);
// Text that fits the schema's duration.
std::chrono::seconds parse_duration(const std::string& text);
// Labels of letters, digits, hyphens and underscores with one dot between them and none at the
// ends: contoso.com. Bytes beyond ASCII count as letters. Nothing else is ever behind the @ of an
// address that Graph tells.
bool looks_like_domain(std::string_view name);
// A mailbox is told by an address, an object id or {object id}@{tenant id}; never by the part of
// an address before its @, by `me`, by an address of another kind than smtp, or by several at once.
bool looks_like_mailbox(const std::string& name);
// That name as identity resolves mailboxes to names: lower case, without the prefix of a proxy
// address; of {object id}@{tenant id}, which no mailbox has among its names, the object id.
std::string normal_mailbox(const std::string& name);
// The mailbox of those names, as it would be looked up.
MailboxNames mailbox_named(std::vector<std::string> names);

}  // namespace holdfast::approval
