// Reads the command line, then runs the one subcommand it names.
#include <iostream>

#include "cli/command.h"
#include "cli/load.h"

namespace holdfast::cli {
namespace {

constexpr const char* kExamples =
    R"(Examples:
  holdfast config example > holdfast.yaml      begin here
  holdfast check --config holdfast.yaml        is everything in order?
  holdfast classify POST /v1.0/me/messages/AAMk/permanentDelete
                                               would this call be stopped and judged?
  holdfast migrate --config holdfast.yaml      make or update the database's tables
  holdfast proxy --config holdfast.yaml        serve client apps
  holdfast audit --config holdfast.yaml        serve compliance officers
  holdfast verify --config holdfast.yaml       is the whole log as it was signed?
  holdfast records search --mailbox ceo@contoso.com --from 2026-10-01T00:00:00Z
  holdfast approvals list --state PENDING      what waits for a decision?
  holdfast holds place ceo@contoso.com --reason CASE-812
                                               keep its records, however old they get
  holdfast retention status                    what is old enough to be dropped?
  holdfast token create "SIEM export" --role auditor --out siem.token

Every configuration key can also come from the environment (HOLDFAST_PROXY__LISTEN=…) or from
--set proxy.listen=…; the command line wins over the environment, that over the file. A list is
written as in the file or with commas: --set 'proxy.trusted_proxies=[10.0.0.0/8, 192.168.0.0/16]',
--set proxy.trusted_proxies=10.0.0.0/8,192.168.0.0/16.

Exit status: 0 done; 1 the check or query found something wrong; 2 usage or configuration error.)";

// In the order of --help.
void add_commands(CLI::App& app, Invocation& invocation) {
  add_proxy(app, invocation);
  add_audit(app, invocation);
  add_check(app, invocation);
  add_classify(app, invocation);
  add_explain(app, invocation);
  add_rules(app, invocation);
  add_migrate(app, invocation);
  add_records(app, invocation);
  add_verify(app, invocation);
  add_approvals(app, invocation);
  add_holds(app, invocation);
  add_retention(app, invocation);
  add_token(app, invocation);
  add_keygen(app, invocation);
  add_config(app, invocation);
}

int run(int argument_count, char** arguments) {
  Invocation invocation;
  CLI::App app("Audit-logging compliance proxy for Microsoft Graph.", "holdfast");
  app.set_version_flag("--version", "holdfast " HOLDFAST_VERSION);
  app.add_option("--config", invocation.config_path,
                 "Configuration file (YAML); without it HOLDFAST_CONFIG names one.")
      ->type_name("FILE");
  app.add_option("--set", invocation.settings, "One configuration key, as often as needed.")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.require_subcommand(1);
  app.fallthrough();
  add_commands(app, invocation);
  app.footer(kExamples);  // After the subcommands, which would inherit it.
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::Success& answered) {  // --help, --version
    app.exit(answered);
    return kDone;
  } catch (const CLI::ParseError& error) {
    // The library asks for a subcommand before it looks at what it was given instead.
    const std::vector<std::string> unknown = app.remaining(true);
    const std::string problem = unknown.empty() ? error.what() : "unknown: " + unknown.front();
    print_error(problem + " (see holdfast --help)");
    return kUsageError;
  }
  return invocation.run();
}

}  // namespace
}  // namespace holdfast::cli

int main(int argument_count, char** arguments) {
  return holdfast::cli::run(argument_count, arguments);
}
