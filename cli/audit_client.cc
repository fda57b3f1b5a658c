#include "cli/audit_client.h"

#include <iostream>
#include <memory>
#include <utility>

#include "base/json.h"
#include "cli/load.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

struct Listing {
  AuditConnection connection;
  std::string format = "table";
  bool all = false;
};

int refused(const ServiceAnswer& answer) {
  print_error(refusal_text(answer));
  return answer.status == 400 ? kUsageError : kFoundProblem;
}

}  // namespace

void add_connection(CLI::App* command, AuditConnection& connection) {
  command->add_option("--url", connection.url, "The audit service (records.url).")
      ->type_name("URL");
  command
      ->add_option("--token-file", connection.token_file,
                   "File that holds your API token (records.token_file).")
      ->type_name("FILE");
  command
      ->add_option("--ca-file", connection.ca_file,
                   "Certificates to trust instead of the system's (records.ca_file).")
      ->type_name("FILE");
}

void add_format(CLI::App* command, std::string& format) {
  command->add_option("--format", format, "table or ndjson")
      ->check(CLI::IsMember({"table", "ndjson"}))
      ->capture_default_str();
}

std::optional<config::Records> settings_of(const Invocation& invocation,
                                           const AuditConnection& connection) {
  Invocation with_flags = invocation;
  with_flags.set("--url", "records.url", connection.url);
  with_flags.set("--token-file", "records.token_file", connection.token_file);
  with_flags.set("--ca-file", "records.ca_file", connection.ca_file);
  auto config = load_config(with_flags, config::Role::kRecords);
  if (!config) return std::nullopt;
  return config->records;
}

AuditClient::AuditClient(const config::Records& settings)
    : service_({.url = settings.url,
                .ca_file = settings.ca_file,
                .token = token_in(settings.token_file)}) {}

Answer AuditClient::get(const std::string& target) {
  return ask({.target = target, .accept = "application/json"});
}

Answer AuditClient::post(const std::string& target, const json& body) {
  return ask({.method = "POST",
              .target = target,
              .accept = "application/json",
              .content = body.dump(-1, ' ', false, json::error_handler_t::replace)});
}

TextAnswer AuditClient::get_text(const std::string& target) {
  Result<ServiceAnswer> answer = service_.get(target, "text/plain");
  if (!answer.ok()) {
    print_error(answer.error().message);
    return {};
  }
  if (answer->status == 200) return {.exit = kDone, .text = std::move(answer->content)};
  return {.exit = refused(*answer), .text = {}};
}

Answer AuditClient::ask(const ServiceCall& call) {
  const Result<ServiceAnswer> answer = service_.send(call);
  if (!answer.ok()) {
    print_error(answer.error().message);
    return {};
  }
  if (answer->status != 200 && answer->status != 201) {
    return {.exit = refused(*answer), .body = {}};
  }
  Result<json> body = parse_json(answer->content);
  if (!body.ok() || !body->is_object()) {
    print_error(service_.url() + ": answered " + std::to_string(answer->status) +
                " with something else than a JSON object; is that the audit service?");
    return {};
  }
  return {.exit = kDone, .body = *std::move(body)};
}

std::string next_page(const json& page) {
  const std::string link = page.value("@odata.nextLink", "");
  if (link.empty()) return {};
  // Its path and query: the host is the one that was asked.
  const std::size_t scheme = link.find("://");
  const std::size_t path = link.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  return path == std::string::npos ? "/" : link.substr(path);
}

int print_answer(const Answer& answer, const std::string& format,
                 const std::function<void(const json&)>& print) {
  if (answer.exit != kDone) return answer.exit;
  if (format == "ndjson") {
    std::cout << answer.body.dump() << "\n";
  } else {
    print(answer.body);
  }
  return kDone;
}

int print_list(AuditClient& api, const std::string& target, const std::string& format,
               void (*print_table)(const std::vector<json>&)) {
  const Answer answer = api.get(target);
  if (answer.exit != kDone) return answer.exit;
  const auto values = answer.body.value("value", std::vector<json>());
  if (format == "ndjson") {
    for (const json& value : values) std::cout << value.dump() << "\n";
    return kDone;
  }
  print_table(values);
  if (!next_page(answer.body).empty()) std::cout << "There may be more; see --limit.\n";
  return kDone;
}

void add_list(CLI::App* group, Invocation& invocation, const ListCommand& list) {
  auto options = std::make_shared<Listing>();
  CLI::App* command = group->add_subcommand("list", list.about);
  add_connection(command, options->connection);
  add_format(command, options->format);
  command->add_flag("--all", options->all, list.about_all);
  runs(command, invocation, options, [list](const Invocation& given, const Listing& listing) {
    const auto settings = settings_of(given, listing.connection);
    if (!settings) return kUsageError;
    AuditClient api(*settings);
    const std::string target = list.path + std::string(listing.all ? "?state=all" : "");
    return print_list(api, target, listing.format, list.print_table);
  });
}

}  // namespace holdfast::cli
