#include <iostream>
#include <memory>

#include "audit/log_key.h"
#include "cli/load.h"

namespace holdfast::cli {
namespace {

struct KeygenOptions {
  std::string file;
  std::string origin;
};

int run_keygen(const Invocation& invocation, const KeygenOptions& options) {
  std::string origin = options.origin;
  if (origin.empty()) {
    const auto config = load_config(invocation);
    if (!config) return kUsageError;
    origin = config->audit.log.origin;
  }
  if (origin.empty()) {
    print_error("what is the log called? Give --origin, or audit.log.origin in the configuration");
    return kUsageError;
  }
  const Result<audit::VerifierKey> key = audit::make_log_key(options.file, origin);
  if (!key.ok()) {
    print_error(key.error().message);
    return key.error().code == ErrorCode::kRefused ? kFoundProblem : kUsageError;
  }
  std::cout << key->text() << "\n";
  return kDone;
}

}  // namespace

void add_keygen(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "keygen", "Make a key that signs the log's checkpoints; print the key that verifies them.");
  auto options = std::make_shared<KeygenOptions>();
  command->add_option("file", options->file, "The private key's file; must not exist.")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--origin", options->origin,
                   "The log's name, such as audit.contoso.com/log (audit.log.origin).")
      ->type_name("NAME");
  runs(command, invocation, options, run_keygen);
}

}  // namespace holdfast::cli
