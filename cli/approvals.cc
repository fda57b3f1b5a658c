// Officers' decisions from the shell: asks the audit service with the officer's own credential.
#include <algorithm>
#include <iostream>
#include <memory>

#include "base/encoding.h"
#include "cli/audit_client.h"
#include "cli/text_table.h"
#include "officers/record_table.h"
#include "officers/target.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr int kPageMax = 1000;

struct ApprovalListing {
  AuditConnection connection;
  std::string format = "table";
  std::string state;
  int limit = 50;
};

struct Deciding {
  AuditConnection connection;
  std::string format = "table";
  std::string code;
  std::string text;
};

// "compliance 1/2, legal 0/1"
std::string stages_text(const json& approval) {
  std::string text;
  for (const json& stage : approval.value("stages", json::array())) {
    const std::string from = stage.value("from", "");
    text += (text.empty() ? "" : ", ") +
            (from.empty() ? std::string("anybody") : officers::printable(from)) + " " +
            std::to_string(stage.value("approved", json::array()).size()) + "/" +
            std::to_string(stage.value("count", 0));
  }
  return text;
}

std::string action_of(const json& shown) {
  return text_of(shown, "/operation/action") + " " + text_of(shown, "/operation/resource");
}

void print_approvals(const std::vector<json>& approvals) {
  std::vector<std::vector<std::string>> rows = {
      {"CODE", "STATE", "FILED", "BY", "ACTION", "MAILBOX", "APPROVED"}};
  for (const json& approval : approvals) {
    rows.push_back({text_of(approval, "/code"), text_of(approval, "/state"),
                    text_of(approval, "/filed_at").substr(0, 19),
                    text_of(approval, "/requested_by/name"), action_of(approval),
                    mailbox_of(approval), stages_text(approval)});
  }
  std::cout << text_table(rows);
}

void print_reviews(const std::vector<json>& reviews) {
  std::vector<std::vector<std::string>> rows = {
      {"CODE", "STATE", "OPENED", "BY", "ACTION", "MAILBOX", "REVIEW BY"}};
  for (const json& review : reviews) {
    rows.push_back({text_of(review, "/code"), text_of(review, "/state"),
                    text_of(review, "/opened_at").substr(0, 19),
                    text_of(review, "/requested_by/name"), action_of(review), mailbox_of(review),
                    text_of(review, "/review_by").substr(0, 19)});
  }
  std::cout << text_table(rows);
}

std::string path_of(const std::string& code, const std::string& verb = {}) {
  return "/api/v1/approvals/" + percent_encode(code) + (verb.empty() ? "" : "/" + verb);
}

int run_list(const Invocation& invocation, const ApprovalListing& listing, const std::string& path,
             void (*print)(const std::vector<json>&)) {
  const auto settings = settings_of(invocation, listing.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  std::vector<audit::Parameter> parameters;
  if (!listing.state.empty()) parameters.push_back({"state", listing.state});
  parameters.push_back({"limit", std::to_string(std::min(listing.limit, kPageMax))});
  const std::string target = path + "?" + officers::encode_query(parameters);
  return print_list(api, target, listing.format, print);
}

int run_show(const Invocation& invocation, const Deciding& deciding) {
  const auto settings = settings_of(invocation, deciding.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  return print_answer(api.get(path_of(deciding.code)), deciding.format,
                      [](const json& approval) { std::cout << officers::record_detail(approval); });
}

int run_decide(const Invocation& invocation, const Deciding& deciding, const std::string& verb) {
  const auto settings = settings_of(invocation, deciding.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  json body = json::object();
  if (!deciding.text.empty()) body[verb == "approve" ? "comment" : "reason"] = deciding.text;
  const Answer answer = api.post(path_of(deciding.code, verb), body);
  return print_answer(answer, deciding.format, [](const json& approval) {
    std::cout << text_of(approval, "/code") << " is now " << text_of(approval, "/state") << " ("
              << stages_text(approval) << "), record " << text_of(approval, "/decision_record")
              << "\n";
  });
}

int run_review(const Invocation& invocation, const Deciding& deciding) {
  const auto settings = settings_of(invocation, deciding.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  const std::string path = "/api/v1/reviews/" + percent_encode(deciding.code) + "/close";
  const Answer answer = api.post(path, {{"finding", deciding.text}});
  return print_answer(answer, deciding.format, [](const json& review) {
    std::cout << text_of(review, "/code") << " is now " << text_of(review, "/state") << ", record "
              << text_of(review, "/review_record") << "\n";
  });
}

CLI::App* add_one(CLI::App* group, const std::string& name, const std::string& about,
                  Deciding& deciding, const std::string& what = "approval") {
  CLI::App* command = group->add_subcommand(name, about);
  add_connection(command, deciding.connection);
  add_format(command, deciding.format);
  command->add_option("code", deciding.code, "The " + what + "'s code.")
      ->required()
      ->type_name("CODE");
  return command;
}

void add_decision(CLI::App* group, Invocation& invocation, const std::string& verb,
                  const std::string& about) {
  auto options = std::make_shared<Deciding>();
  CLI::App* command = add_one(group, verb, about, *options);
  if (verb == "approve") {
    command->add_option("--comment", options->text, "Recorded with it.")->type_name("TEXT");
  } else {
    CLI::Option* reason =
        command->add_option("--reason", options->text, "Why; recorded, and told who asked.")
            ->type_name("TEXT");
    if (verb == "reject") reason->required();
  }
  runs(command, invocation, options, [verb](const Invocation& given, const Deciding& deciding) {
    return run_decide(given, deciding, verb);
  });
}

void add_list(CLI::App* group, Invocation& invocation, const std::string& name,
              const std::string& about, const std::string& states,
              int (*run)(const Invocation&, const ApprovalListing&)) {
  auto options = std::make_shared<ApprovalListing>();
  CLI::App* list = group->add_subcommand(name, about);
  add_connection(list, options->connection);
  add_format(list, options->format);
  list->add_option("--state", options->state, "Only " + states + "; several with commas between.")
      ->type_name("STATE");
  list->add_option("--limit", options->limit, "Print at most so many.")
      ->check(CLI::Range(1, kPageMax))
      ->capture_default_str();
  runs(list, invocation, options, run);
}

}  // namespace

void add_approvals(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("approvals", "Decide on calls that wait for approval.");
  group->require_subcommand(1);

  add_list(group, invocation, "list", "List approvals, newest first.", "PENDING, APPROVED, …",
           [](const Invocation& given, const ApprovalListing& listing) {
             return run_list(given, listing, "/api/v1/approvals", print_approvals);
           });

  auto show_options = std::make_shared<Deciding>();
  CLI::App* show = add_one(group, "show", "Print one approval with its history.", *show_options);
  runs(show, invocation, show_options, run_show);

  add_decision(group, invocation, "approve", "Approve a call, as one of those it needs.");
  add_decision(group, invocation, "reject", "Refuse a call that waits, with the reason.");
  add_decision(group, invocation, "revoke", "Take an approval back before it is used.");

  add_list(group, invocation, "reviews", "List calls that went past their approval, newest first.",
           "OPEN, OVERDUE, CLOSED", [](const Invocation& given, const ApprovalListing& listing) {
             return run_list(given, listing, "/api/v1/reviews", print_reviews);
           });
  auto review_options = std::make_shared<Deciding>();
  CLI::App* review =
      add_one(group, "review", "Close the review of a call that went past its approval.",
              *review_options, "review");
  review->add_option("--finding", review_options->text, "What the review found; recorded.")
      ->required()
      ->type_name("TEXT");
  runs(review, invocation, review_options, run_review);
}

}  // namespace holdfast::cli
