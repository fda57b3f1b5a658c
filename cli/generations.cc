// Generations of rules from the shell: asks the audit service with the officer's own credential;
// but for `recover`, which is for when nobody there can approve, and asks the database as its
// owner.
#include <iostream>
#include <memory>
#include <regex>

#include "approval/generations_postgres.h"
#include "base/encoding.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "cli/text_table.h"
#include "officers/access.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr const char* kRulesPath = "/api/v1/rules";

struct GenerationListing {
  AuditConnection connection;
  std::string format = "table";
  int limit = 50;
};

struct GenerationDeciding {
  AuditConnection connection;
  std::string format = "table";
  std::int64_t number = 0;
  std::string sha256;
  std::string text;
};

struct Recovering {
  approval::Recovery recovery;
};

std::string path_of(std::int64_t number) {
  return kRulesPath + ("/" + std::to_string(number));
}

void print_generations(const std::vector<json>& generations) {
  std::vector<std::vector<std::string>> rows = {
      {"NUMBER", "STATE", "REVISION", "SHA256", "OFFERED", "LOOSENS"}};
  for (const json& generation : generations) {
    rows.push_back({std::to_string(generation.value("generation", 0)),
                    text_of(generation, "/state"), text_of(generation, "/revision"),
                    text_of(generation, "/sha256"),
                    text_of(generation, "/offered_at").substr(0, 16),
                    std::to_string(generation.value("loosens", json::array()).size())});
  }
  std::cout << text_table(rows);
}

int run_list_generations(const Invocation& invocation, const GenerationListing& listing) {
  const auto settings = settings_of(invocation, listing.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  const std::string target = kRulesPath + ("?limit=" + std::to_string(listing.limit));
  return print_list(api, target, listing.format, print_generations);
}

void print_sentences(const char* title, const json& sentences) {
  if (!sentences.is_array() || sentences.empty()) return;
  std::cout << title << "\n";
  for (const json& sentence : sentences) {
    if (sentence.is_string()) {
      std::cout << "  " << officers::printable(sentence.get<std::string>()) << "\n";
    }
  }
}

void print_generation(const json& generation) {
  std::cout << "Generation " << generation.value("generation", 0) << " is "
            << text_of(generation, "/state") << "\n  revision  " << text_of(generation, "/revision")
            << "\n  sha256    " << text_of(generation, "/sha256") << "\n  offered   "
            << text_of(generation, "/offered_at") << " by proxy "
            << text_of(generation, "/offered_by/writer") << "\n";
  const std::string event = text_of(generation, "/decision/event");
  if (!event.empty()) {
    std::cout << "  " << event << "  " << text_of(generation, "/decided_at") << " by "
              << text_of(generation, "/decision/by/name") << "\n";
  }
  print_sentences("It may let pass what was refused when it was offered:",
                  generation.value("loosens", json()));
  print_sentences("From what is in force now to it:", generation.value("changes", json()));
  const std::string unknown = text_of(generation, "/changes_unknown");
  if (!unknown.empty()) std::cout << "It does not load here: " << unknown << "\n";
}

int run_show_generation(const Invocation& invocation, const GenerationDeciding& asked) {
  const auto settings = settings_of(invocation, asked.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  return print_answer(api.get(path_of(asked.number)), asked.format, [&](const json& generation) {
    if (asked.format == "yaml") {
      std::cout << generation.value("rules", "");
    } else {
      print_generation(generation);
    }
  });
}

int run_decide_generation(const Invocation& invocation, const GenerationDeciding& deciding,
                          const char* verb, const char* text_name) {
  const auto settings = settings_of(invocation, deciding.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  json body = {{"sha256", deciding.sha256}};
  if (!deciding.text.empty()) body[text_name] = deciding.text;
  const Answer answer = api.post(path_of(deciding.number) + verb, body);
  return print_answer(answer, deciding.format, [&](const json& generation) {
    std::cout << "Generation " << deciding.number << " is " << text_of(generation, "/state")
              << ", record " << text_of(generation, "/record") << "\n";
  });
}

int run_recover(const Invocation& invocation, const Recovering& options) {
  for (const auto& [name, text] : {std::pair{"person", &options.recovery.person},
                                   std::pair{"reason", &options.recovery.reason}}) {
    const std::string wrong = officers::text_problem(*text, name, officers::Needed::kYes);
    if (wrong.empty()) continue;
    print_error("--" + std::string(name) + ": " + wrong);
    return kUsageError;
  }
  const std::optional<config::Config> config = load_config(invocation, config::Role::kMigrate);
  if (!config) return kUsageError;
  const std::optional<audit::Database> database = load_database(config->migrate.database);
  if (!database) return kUsageError;
  const Status done = approval::recover_generation(*database, options.recovery);
  if (!done.ok()) {
    print_error(done.error().message);
    return kFoundProblem;
  }
  std::cout << "Generation " << options.recovery.number
            << " takes effect as soon as a proxy sees it, with a record that says why.\n";
  return kDone;
}

void add_number(CLI::App* command, std::int64_t& number) {
  command->add_option("number", number, "The generation's number.")
      ->required()
      ->check([](const std::string& text) {
        // No zero in front, which would be read as octal; and what 64 bits hold.
        static const std::regex number_from_one("[1-9][0-9]{0,17}");
        return std::regex_match(text, number_from_one)
                   ? std::string()
                   : "a generation's number is a whole number from 1 on, as `rules list` shows it";
      })
      ->type_name("NUMBER");
}

void add_sha256(CLI::App* command, std::string& sha256) {
  command
      ->add_option("--sha256", sha256, "The hash that you mean, as `rules show` has it, in full.")
      ->required()
      ->transform([](const std::string& text) { return ascii_lower(text); })
      ->type_name("HASH");
}

void add_generation_decision(CLI::App* group, Invocation& invocation, const char* name,
                             const char* what, const char* text_name, bool text_needed) {
  auto options = std::make_shared<GenerationDeciding>();
  CLI::App* command = group->add_subcommand(name, what);
  add_connection(command, options->connection);
  add_format(command, options->format);
  add_number(command, options->number);
  add_sha256(command, options->sha256);
  command->add_option(std::string("--") + text_name, options->text, "Why; recorded.")
      ->required(text_needed)
      ->type_name("TEXT");
  runs(command, invocation, options,
       [verb = std::string("/") + name, text_name](const Invocation& made,
                                                   const GenerationDeciding& chosen) {
         return run_decide_generation(made, chosen, verb.c_str(), text_name);
       });
}

void add_recover(CLI::App* group, Invocation& invocation) {
  auto options = std::make_shared<Recovering>();
  CLI::App* command = group->add_subcommand(
      "recover", "Let a generation take effect when no admin can approve it.");
  add_number(command, options->recovery.number);
  add_sha256(command, options->recovery.sha256);
  command->add_option("--person", options->recovery.person, "Who does this; recorded.")
      ->required()
      ->type_name("NAME");
  command->add_option("--reason", options->recovery.reason, "Why; recorded.")
      ->required()
      ->type_name("TEXT");
  command->footer(
      "Connects as a database administrator (migrate.database). The numbers and hashes of those "
      "that\n"
      "wait are in holdfast.generations, and in the proxy's log.");
  runs(command, invocation, options, run_recover);
}

}  // namespace

void add_generations(CLI::App* group, Invocation& invocation) {
  auto list_options = std::make_shared<GenerationListing>();
  CLI::App* list = group->add_subcommand("list", "List generations, newest first.");
  add_connection(list, list_options->connection);
  add_format(list, list_options->format);
  list->add_option("--limit", list_options->limit, "At most so many.")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  runs(list, invocation, list_options, run_list_generations);

  auto show_options = std::make_shared<GenerationDeciding>();
  CLI::App* show = group->add_subcommand("show", "Show one, and what it changes, in sentences.");
  add_connection(show, show_options->connection);
  show->add_option("--format", show_options->format,
                   "table, ndjson, or yaml: the rule file itself.")
      ->check(CLI::IsMember({"table", "ndjson", "yaml"}))
      ->capture_default_str();
  add_number(show, show_options->number);
  runs(show, invocation, show_options, run_show_generation);

  add_generation_decision(group, invocation, "approve",
                          "Let one that waits take effect (role admin).", "comment", false);
  add_generation_decision(group, invocation, "reject",
                          "Let one that waits never take effect (role admin).", "reason", true);
  add_recover(group, invocation);
}

}  // namespace holdfast::cli
