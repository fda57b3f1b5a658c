#include <algorithm>
#include <filesystem>

#include "approval/build_rules.h"
#include "approval/list_file.h"
#include "approval/rule_index.h"
#include "approval/rule_model.h"
#include "approval/rule_tests.h"
#include "approval/rules.h"
#include "approval/rules_schema.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "config/yaml.h"

namespace holdfast::approval {
namespace {

constexpr std::size_t kRuleFileBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kListBytesMax = 64 * 1024 * 1024;

// The first problem of a file, which is told in one line whatever keys it quotes.
Error in_one_line(const Error& error) {
  return {error.code, to_text(error.message)};
}

Error invalid(const Problems& problems) {
  return {ErrorCode::kInvalid, problems.text()};
}

std::string digest_of_all(const SourceFiles& files) {
  std::string rules = to_hex(sha256(files.front().bytes));
  if (files.size() == 1) return rules;
  std::string digests;
  for (const SourceFile& file : files) digests += to_hex(sha256(file.bytes)) + "\n";
  return to_hex(sha256(digests));
}

enum class Tests { kRun, kSkip };

Result<RuleSet> load(FileBytes file, const std::string& label, const ListReader& read, WallTime now,
                     Tests tests = Tests::kRun) {
  Result<config::YamlDocument> written = config::parse_yaml(file.bytes, label);
  if (!written.ok()) return in_one_line(written.error());

  Problems problems(*written);
  const config::YamlDocument& document = *written;
  if (Status fits = config::validate(document, rules_schema()); !fits.ok()) {
    return in_one_line(fits.error());
  }

  BuiltRules built = build_rules(document, read, now, problems);
  if (!problems.empty()) return invalid(problems);
  auto sources = std::make_shared<SourceFiles>(std::move(built.list_sources));
  sources->insert(sources->begin(), {.name = kRuleFileName,
                                     .bytes = std::move(file.bytes),
                                     .modified = std::min(file.modified, now)});
  built.data.sha256 = digest_of_all(*sources);
  built.data.sources = std::move(sources);
  built.data.index = std::make_shared<const RuleIndex>(built.data);
  if (tests == Tests::kRun) built.data.tests = run_rule_tests(document, built.data, problems);
  if (!problems.empty()) return invalid(problems);
  return RuleSet(std::make_shared<const RuleSetData>(std::move(built.data)));
}

}  // namespace

Result<RuleSet> load_rules(const std::string& path, WallTime now) {
  Result<FileBytes> file = read_file(path, kRuleFileBytesMax);
  if (!file.ok()) return Error{file.error().code, path + ": " + file.error().message};
  const auto beside = [folder =
                           std::filesystem::path(path).parent_path()](const std::string& name) {
    return read_file((folder / name).string(), kListBytesMax);
  };
  return load(*std::move(file), path, beside, now);
}

Result<RuleSet> load_rules(const SourceFiles& files, const std::string& label, WallTime now) {
  if (files.empty()) return Error{ErrorCode::kNotFound, label + ": there is no rule file"};
  const auto among = [&files](const std::string& name) -> Result<FileBytes> {
    for (const SourceFile& file : files) {
      const bool is_list = &file != &files.front();
      if (is_list && file.name == name) return FileBytes{file.bytes, file.modified};
    }
    return Error{ErrorCode::kNotFound, "it is not among the files kept"};
  };
  const SourceFile& rules = files.front();
  return load({.bytes = rules.bytes, .modified = rules.modified}, label, among, now);
}

Result<RuleSet> load_rules_without_lists(const std::string& rule_file, const std::string& label) {
  const auto nobody = [](const std::string&) -> Result<FileBytes> {
    return FileBytes{.bytes = "# nobody\n", .modified = {}};
  };
  return load({.bytes = rule_file, .modified = {}}, label, nobody, WallTime(), Tests::kSkip);
}

std::vector<std::string> conditions_nobody_meets(const RuleSet& rules) {
  const auto asks_for_groups = [](const Condition& condition) {
    return condition.key == "actor.group";
  };
  std::vector<std::string> lines;
  for (const Rule& rule : rules.data().rules) {
    const auto add = [&](const std::string& what) {
      lines.push_back("actor.group is unknown in calls: rule " + rule.id + " " + what);
    };
    const bool opens = rule.effect == Effect::kAllow || rule.effect == Effect::kBreakGlass;
    const bool in_when = std::ranges::any_of(rule.when, asks_for_groups);
    const bool in_unless = std::ranges::any_of(rule.unless, asks_for_groups);
    if (opens && (in_when || (in_unless && rule.unless.size() == 1))) {
      add("never opens anything");
    } else if (opens && in_unless) {
      add("never opens what the rest of its unless may hold for");
    }
    if (!opens && in_when) add("restricts whoever calls, in that group or not");
    if (!opens && in_unless) add("exempts nobody");
  }
  return lines;
}

std::vector<std::string> stale_lists(const RuleSet& rules, WallTime now) {
  std::vector<std::string> lines;
  for (const RuleList& list : rules.data().lists) {
    if (!list.stale_from || now < *list.stale_from) continue;
    lines.push_back("list \"" + list.name + "\" is older than its max_age since " +
                    to_rfc3339(*list.stale_from));
  }
  return lines;
}

}  // namespace holdfast::approval
