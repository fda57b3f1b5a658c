#include <algorithm>

#include "approval/build_rules.h"
#include "approval/list_file.h"
#include "approval/rule_index.h"
#include "approval/rule_model.h"
#include "approval/rule_tests.h"
#include "approval/rules.h"
#include "approval/rules_schema.h"
#include "base/crypto.h"
#include "config/yaml.h"

namespace holdfast::approval {
namespace {

constexpr std::size_t kRuleFileBytesMax = 4 * 1024 * 1024;

Error invalid(const Problems& problems) {
  return {ErrorCode::kInvalid, problems.text()};
}

std::string digest_of_all(const std::string& rule_bytes, const BuiltRules& built) {
  std::string rules = to_hex(sha256(rule_bytes));
  if (built.list_file_digests.empty()) return rules;
  std::string digests = rules + "\n";
  for (const std::string& digest : built.list_file_digests) digests += digest + "\n";
  return to_hex(sha256(digests));
}

}  // namespace

Result<RuleSet> load_rules(const std::string& path, WallTime now) {
  const Result<FileBytes> file = read_file(path, kRuleFileBytesMax);
  if (!file.ok()) return Error{file.error().code, path + ": " + file.error().message};
  Result<config::YamlDocument> written = config::parse_yaml(file->bytes, path);
  if (!written.ok()) return written.error();

  Problems problems(*written);
  const config::YamlDocument& document = *written;
  if (Status fits = config::validate(document, rules_schema()); !fits.ok()) return fits.error();

  BuiltRules built = build_rules(document, now, problems);
  if (!problems.empty()) return invalid(problems);
  built.data.sha256 = digest_of_all(file->bytes, built);
  built.data.index = std::make_shared<const RuleIndex>(built.data);
  built.data.tests = run_rule_tests(document, built.data, problems);
  if (!problems.empty()) return invalid(problems);
  return RuleSet(std::make_shared<const RuleSetData>(std::move(built.data)));
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
