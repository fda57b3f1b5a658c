// The subcommands of `holdfast`, one function each, in one file each (cli/<command>.cc). main.cc
// wires them to the command line and does nothing else.
//
// Each adds its options to `app` and, when the command line names it, sets `run`. The result of
// `run` is the exit code: 0 done, 1 the check or query found something wrong, 2 usage or config.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace holdfast::cli {

struct Invocation {
  std::string config_path;    // --config; empty: HOLDFAST_CONFIG or none.
  std::function<int()> run;   // Set by the chosen subcommand.
};

void add_proxy(CLI::App& app, Invocation& invocation);
void add_audit(CLI::App& app, Invocation& invocation);
void add_check(CLI::App& app, Invocation& invocation);
void add_classify(CLI::App& app, Invocation& invocation);
void add_explain(CLI::App& app, Invocation& invocation);
void add_migrate(CLI::App& app, Invocation& invocation);
void add_records(CLI::App& app, Invocation& invocation);
void add_config(CLI::App& app, Invocation& invocation);

}  // namespace holdfast::cli
