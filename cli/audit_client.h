// What the subcommands that talk to the audit service share: where it is, and one officer's calls.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/audit_service.h"
#include "cli/command.h"
#include "config/config.h"

namespace holdfast::cli {

struct AuditConnection {
  std::string url;
  std::string token_file;
  std::string ca_file;
};

// --url, --token-file and --ca-file.
void add_connection(CLI::App* command, AuditConnection& connection);
// --format table|ndjson.
void add_format(CLI::App* command, std::string& format);

// The settings in effect, flags first. nullopt: they are wrong, and standard error says why.
std::optional<config::Records> settings_of(const Invocation& invocation,
                                           const AuditConnection& connection);

// What the API said; `exit` is kDone when it answered with what was asked for.
struct Answer {
  int exit = kFoundProblem;
  nlohmann::json body;
};

// The same of an answer that is text.
struct TextAnswer {
  int exit = kFoundProblem;
  std::string text;
};

// The API of one server, as one officer. Prints what went wrong, if something did.
class AuditClient {
 public:
  explicit AuditClient(const config::Records& settings);

  Answer get(const std::string& target);
  Answer post(const std::string& target, const nlohmann::json& body);
  TextAnswer get_text(const std::string& target);

 private:
  Answer ask(const ServiceCall& call);

  AuditService service_;
};

// The target of the page after that one; empty: it is the last.
std::string next_page(const nlohmann::json& page);

// Prints what the API answered: as a line of JSON where `format` is ndjson, else by `print`. The
// exit code.
int print_answer(const Answer& answer, const std::string& format,
                 const std::function<void(const nlohmann::json&)>& print);

// Asks for a list and prints it: a line for each where `format` is ndjson, else by `print_table`,
// and whether there may be more. The exit code.
int print_list(AuditClient& api, const std::string& target, const std::string& format,
               void (*print_table)(const std::vector<nlohmann::json>&));

// Adds the command `list` to a group: what of the collection at `path` is in force, or with --all
// everything that ever was.
struct ListCommand {
  const char* path;
  const char* about;
  const char* about_all;
  void (*print_table)(const std::vector<nlohmann::json>&);
};
void add_list(CLI::App* group, Invocation& invocation, const ListCommand& list);

}  // namespace holdfast::cli
