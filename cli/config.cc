#include <iostream>

#include "cli/load.h"

namespace holdfast::cli {
namespace {

int run_dump(const Invocation& invocation) {
  const auto config = load_config(invocation);
  if (!config) return kUsageError;
  std::cout << config::dump_yaml(*config);
  return kDone;
}

}  // namespace

void add_config(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("config", "Show what can be configured, and what is.");
  group->require_subcommand(1);
  group->add_subcommand("example", "Print a file with every key, its default and its meaning.")
      ->callback([&invocation] {
        invocation.run = [] {
          std::cout << config::example_yaml();
          return kDone;
        };
      });
  group->add_subcommand("dump", "Print the values in effect, and what set them.")
      ->callback(
          [&invocation] { invocation.run = [&invocation] { return run_dump(invocation); }; });
  group->add_subcommand("schema", "Print the JSON Schema of the file, for editors.")
      ->callback([&invocation] {
        invocation.run = [] {
          std::cout << config::schema_json();
          return kDone;
        };
      });
}

}  // namespace holdfast::cli
