// Legal holds from the shell: asks the audit service with the officer's own credential.
#include <iostream>
#include <memory>

#include "base/encoding.h"
#include "cli/audit_client.h"
#include "cli/text_table.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr const char* kHoldsPath = "/api/v1/holds";

struct Placing {
  AuditConnection connection;
  std::string format = "table";
  std::vector<std::string> mailboxes;
  std::string reason;
};

struct Step {
  AuditConnection connection;
  std::string format = "table";
  std::string id;
  std::string reason;
};

void print_changed(const json& hold) {
  std::cout << "Legal hold " << text_of(hold, "/id") << " on "
            << texts_of(hold.value("mailboxes", json::array()), ", ") << " is now "
            << text_of(hold, "/state") << ", record " << text_of(hold, "/record") << "\n";
  const std::string other = text_of(hold, "/waits_for_other_than");
  if (!other.empty()) std::cout << "The next step takes somebody else than " << other << ".\n";
}

int run_place(const Invocation& invocation, const Placing& placing) {
  const auto settings = settings_of(invocation, placing.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  const Answer answer =
      api.post(kHoldsPath, {{"mailboxes", placing.mailboxes}, {"reason", placing.reason}});
  return print_answer(answer, placing.format, print_changed);
}

void print_holds(const std::vector<json>& holds) {
  std::vector<std::vector<std::string>> rows = {{"ID", "STATE", "SINCE", "MAILBOXES", "REASON"}};
  for (const json& hold : holds) {
    rows.push_back({text_of(hold, "/id"), text_of(hold, "/state"),
                    text_of(hold, "/history/0/at").substr(0, 16),
                    texts_of(hold.value("mailboxes", json::array()), ", "),
                    text_of(hold, "/reason")});
  }
  std::cout << text_table(rows);
}

int run_step(const Invocation& invocation, const Step& step, const std::string& verb) {
  const auto settings = settings_of(invocation, step.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  json body = json::object();
  if (!step.reason.empty()) body["reason"] = step.reason;
  const Answer answer = api.post(kHoldsPath + ("/" + percent_encode(step.id)) + "/" + verb, body);
  return print_answer(answer, step.format, print_changed);
}

void add_step(CLI::App* group, Invocation& invocation, const std::string& verb,
              const std::string& about) {
  auto options = std::make_shared<Step>();
  CLI::App* command = group->add_subcommand(verb, about);
  add_connection(command, options->connection);
  add_format(command, options->format);
  command->add_option("id", options->id, "The hold's id.")->required()->type_name("ID");
  command->add_option("--reason", options->reason, "Why; recorded.")->type_name("TEXT");
  runs(command, invocation, options,
       [verb](const Invocation& given, const Step& step) { return run_step(given, step, verb); });
}

}  // namespace

void add_holds(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("holds", "Keep records of mailboxes beyond retention.");
  group->require_subcommand(1);

  auto place_options = std::make_shared<Placing>();
  CLI::App* place = group->add_subcommand("place", "Place a hold; it counts from now on.");
  add_connection(place, place_options->connection);
  add_format(place, place_options->format);
  place
      ->add_option("mailbox", place_options->mailboxes,
                   "Names of the mailbox or mailboxes: user principal name, addresses, object id.")
      ->required()
      ->type_name("NAME");
  place->add_option("--reason", place_options->reason, "Why: a case number.")
      ->required()
      ->type_name("TEXT");
  runs(place, invocation, place_options, run_place);

  add_list(group, invocation,
           {.path = kHoldsPath,
            .about = "List the holds in force, newest first.",
            .about_all = "Those that were lifted too.",
            .print_table = print_holds});

  add_step(group, invocation, "confirm",
           "Confirm what somebody else placed, or that it stays when lifting was asked for.");
  add_step(group, invocation, "lift",
           "Ask to lift a hold; or agree to it, if somebody else has asked.");
  group->footer(  // After the subcommands, which would inherit it.
      R"(While a hold is in force, `holdfast retention` drops no partition with a record of its
mailbox. Each change takes two officers of the role approver; a hold counts from the first one's step
on, and ends with the second one's.

Examples:
  holdfast holds place ceo@contoso.com 6d4e1b2f-0000-4000-8000-000000000007 --reason CASE-812
  holdfast holds confirm ID                    as another officer
  holdfast holds lift ID --reason closed       as one officer, and then as another)");
}

}  // namespace holdfast::cli
