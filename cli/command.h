// The subcommands of `holdfast`, one function each, in one file each (cli/<command>.cc). main.cc
// wires them to the command line and does nothing else.
//
// Each adds its own subcommand to `app` and says with runs() what it does. --config and --set
// belong to `app` and may stand before or after the subcommand.
//
//   void add_check(CLI::App& app, Invocation& invocation) {
//     CLI::App* command = app.add_subcommand("check", "Validate configuration and rules.");
//     auto options = std::make_shared<Options>();
//     command->add_option("--rules", options->rules, "…")->type_name("FILE");
//     runs(command, invocation, options, run_check);
//   }
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::cli {

constexpr int kDone = 0;
constexpr int kFoundProblem = 1;  // The check or query found something wrong.
constexpr int kUsageError = 2;    // The command line or the configuration is wrong.

struct Invocation {
  std::string config_path;            // --config; empty: HOLDFAST_CONFIG or none.
  std::vector<std::string> settings;  // --set, in order.
  std::function<int()> run;           // Set by the chosen subcommand.
  // Of settings that options of the command have given: the option, by key.
  std::map<std::string, std::string> flags{};

  // What an option of the command says for a setting; empty: nothing.
  void set(const char* flag, const char* key, const std::string& value) {
    if (value.empty()) return;
    settings.push_back(std::string(key) + "=" + value);
    flags[key] = flag;
  }
};

// Once the whole command line has been read, `run` gives the exit code of `command`.
template <class Options, class Run>
void runs(CLI::App* command, Invocation& invocation, std::shared_ptr<Options> options, Run run) {
  command->callback([&invocation, options = std::move(options), run = std::move(run)] {
    invocation.run = [&invocation, options, run] { return run(invocation, *options); };
  });
}

template <class Run>
void runs(CLI::App* command, Invocation& invocation, Run run) {
  command->callback([&invocation, run = std::move(run)] {
    invocation.run = [&invocation, run] { return run(invocation); };
  });
}

void add_proxy(CLI::App& app, Invocation& invocation);
void add_audit(CLI::App& app, Invocation& invocation);
void add_check(CLI::App& app, Invocation& invocation);
void add_classify(CLI::App& app, Invocation& invocation);
void add_explain(CLI::App& app, Invocation& invocation);
void add_migrate(CLI::App& app, Invocation& invocation);
void add_records(CLI::App& app, Invocation& invocation);
void add_verify(CLI::App& app, Invocation& invocation);
void add_approvals(CLI::App& app, Invocation& invocation);
void add_holds(CLI::App& app, Invocation& invocation);
void add_retention(CLI::App& app, Invocation& invocation);
void add_token(CLI::App& app, Invocation& invocation);
void add_keygen(CLI::App& app, Invocation& invocation);
void add_rules(CLI::App& app, Invocation& invocation);
// The subcommands of `rules` that are about generations.
void add_generations(CLI::App* group, Invocation& invocation);
void add_replay(CLI::App* group, Invocation& invocation);
void add_config(CLI::App& app, Invocation& invocation);

}  // namespace holdfast::cli
