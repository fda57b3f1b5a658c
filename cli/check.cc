#include <iostream>
#include <memory>
#include <sstream>

#include "approval/rule_model.h"
#include "approval/rules.h"
#include "cli/load.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

using officers::printable;

struct CheckOptions {
  std::string rules;
};

int run_check(const Invocation& invocation, const CheckOptions& options) {
  // Rules named on the command line can be checked before there is a configuration.
  const std::optional<config::Config> config = options.rules.empty()
                                                   ? load_config(invocation, config::Role::kCheck)
                                                   : load_config(invocation);
  if (!config) return kUsageError;
  const std::string path = options.rules.empty() ? config->rules.file : options.rules;
  const WallTime now = system_clock().now();
  const Result<approval::RuleSet> rules = approval::load_rules(path, now);
  if (!rules.ok()) {
    std::istringstream problems(rules.error().message);
    for (std::string line; std::getline(problems, line);) std::cerr << printable(line) << "\n";
    return kFoundProblem;
  }
  const std::vector<std::string> stale = approval::stale_lists(*rules, now);
  for (const std::string& line : stale) std::cerr << path << ": " << printable(line) << "\n";
  if (!stale.empty()) return kFoundProblem;
  for (const std::string& line : approval::conditions_nobody_meets(*rules)) {
    std::cerr << path << ": warning: " << printable(line) << "\n";
  }
  std::cout << "ok: " << rules->data().rules.size() << " rules, " << rules->data().tests
            << " tests\n"
            << "revision " << printable(rules->revision()) << ", sha256 " << rules->sha256()
            << "\n";
  return kDone;
}

}  // namespace

void add_check(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("check", "Validate configuration and rules, and run the rules' tests.");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("--rules", options->rules, "Rule file, instead of the configuration's.")
      ->type_name("FILE");
  command->footer(
      "Problems go to standard error, one a line; so do warnings, which change no exit status.\n"
      "Exit status: 0 all in order; 1 the rules or their tests are wrong, or a list is too old; "
      "2 the configuration is.");
  runs(command, invocation, options, run_check);
}

}  // namespace holdfast::cli
