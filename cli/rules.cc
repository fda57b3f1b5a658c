#include <iostream>
#include <memory>

#include "approval/rule_diff.h"
#include "cli/load.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

struct RulesOptions {
  std::string before;
  std::string after;
};

int run_diff(const Invocation&, const RulesOptions& options) {
  const WallTime now = system_clock().now();
  const Result<approval::RuleSet> before = approval::load_rules(options.before, now);
  if (!before.ok()) {
    print_error(before.error().message);
    return kUsageError;
  }
  const Result<approval::RuleSet> after = approval::load_rules(options.after, now);
  if (!after.ok()) {
    print_error(after.error().message);
    return kUsageError;
  }
  const std::vector<std::string> changes = approval::describe_changes(*before, *after);
  for (const std::string& change : changes) std::cout << officers::printable(change) << "\n";
  if (changes.empty()) std::cout << "nothing changes\n";
  return changes.empty() ? kDone : kFoundProblem;
}

}  // namespace

void add_rules(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("rules", "Compare rule files; see and approve generations of rules.");
  command->require_subcommand(1);
  CLI::App* diff = command->add_subcommand("diff", "Say in sentences what changes from A to B.");
  const auto options = std::make_shared<RulesOptions>();
  diff->add_option("A", options->before, "The rule file before.")->required();
  diff->add_option("B", options->after, "The rule file after.")->required();
  diff->footer("Exit status: 0 nothing changes; 1 something does; 2 a file does not load.");
  runs(diff, invocation, options, run_diff);
  add_replay(command, invocation);
  add_generations(command, invocation);
}

}  // namespace holdfast::cli
