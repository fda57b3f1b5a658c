#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "base/encoding.h"
#include "base/json.h"
#include "cli/audit_service.h"
#include "cli/load.h"
#include "officers/record_table.h"
#include "officers/target.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr int kPageMax = 1000;

struct Connection {
  std::string url;
  std::string token_file;
  std::string ca_file;
};

struct Search {
  Connection connection;
  std::string format = "table";
  int limit = 50;
  std::vector<audit::Parameter> filters;
};

struct Show {
  Connection connection;
  std::string format = "table";
  std::string reference;
};

struct Prove {
  Connection connection;
  std::string reference;
};

// What the API said; `exit` is kDone when it answered with what was asked for.
struct Answer {
  int exit = kFoundProblem;
  json body;
};

// The same of an answer that is text.
struct TextAnswer {
  int exit = kFoundProblem;
  std::string text;
};

// The records API of one server, as one officer. Prints what went wrong, if something did.
class Api {
 public:
  explicit Api(const config::Records& settings)
      : service_({.url = settings.url,
                  .ca_file = settings.ca_file,
                  .token = token_in(settings.token_file)}) {}

  Answer get(const std::string& target) {
    const Result<ServiceAnswer> answer = fetch(target, "application/json");
    if (!answer.ok()) return {};
    if (answer->status != 200) return {.exit = refused(*answer), .body = {}};
    Result<json> body = parse_json(answer->content);
    if (!body.ok() || !body->is_object()) {
      print_error(service_.url() +
                  ": answered 200 with something else than a JSON object; is that the audit "
                  "service?");
      return {};
    }
    return {.exit = kDone, .body = *std::move(body)};
  }

  TextAnswer get_text(const std::string& target) {
    Result<ServiceAnswer> answer = fetch(target, "text/plain");
    if (!answer.ok()) return {};
    if (answer->status == 200) return {.exit = kDone, .text = std::move(answer->content)};
    return {.exit = refused(*answer), .text = {}};
  }

 private:
  static int refused(const ServiceAnswer& answer) {
    print_error(refusal_text(answer));
    return answer.status == 400 ? kUsageError : kFoundProblem;
  }

  Result<ServiceAnswer> fetch(const std::string& target, const std::string& type) {
    Result<ServiceAnswer> answer = service_.get(target, type);
    if (!answer.ok()) print_error(answer.error().message);
    return answer;
  }

  AuditService service_;
};

// The settings in effect, flags first. Exits through nullopt when they are wrong.
std::optional<config::Records> settings_of(const Invocation& invocation,
                                           const Connection& connection) {
  Invocation with_flags = invocation;
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) with_flags.settings.push_back(std::string(key) + "=" + value);
  };
  set("records.url", connection.url);
  set("records.token_file", connection.token_file);
  set("records.ca_file", connection.ca_file);
  auto config = load_config(with_flags, config::Role::kRecords);
  if (!config) return std::nullopt;
  return config->records;
}

void print(const std::vector<json>& records, const std::string& format) {
  if (format == "ndjson") {
    for (const json& record : records) std::cout << record.dump() << "\n";
    return;
  }
  const bool colours = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  std::cout << officers::record_table(records,
                                      colours ? officers::Colour::kAnsi : officers::Colour::kNone);
}

// The path and query of an absolute link.
std::string target_of(const std::string& link) {
  const std::size_t scheme = link.find("://");
  const std::size_t path = link.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  return path == std::string::npos ? "/" : link.substr(path);
}

bool is_page(const json& body) {
  const auto has = [&](const char* name, json::value_t type) {
    return body.contains(name) && body.at(name).type() == type;
  };
  return has("value", json::value_t::array) && has("complete_to", json::value_t::number_unsigned) &&
         has("log_size", json::value_t::number_unsigned);
}

int run_search(const Invocation& invocation, const Search& search) {
  const auto settings = settings_of(invocation, search.connection);
  if (!settings) return kUsageError;
  Api api(*settings);
  std::vector<audit::Parameter> parameters = search.filters;
  parameters.push_back({"limit", std::to_string(std::min(search.limit, kPageMax))});
  std::string target = "/api/v1/records?" + officers::encode_query(parameters);
  std::vector<json> records;
  bool more = true;
  while (more && records.size() < static_cast<std::size_t>(search.limit)) {
    Answer answer = api.get(target);
    if (answer.exit != kDone) return answer.exit;
    if (!is_page(answer.body)) {
      print_error(settings->url + ": answered with something else than a page of records");
      return kFoundProblem;
    }
    for (json& record : answer.body.at("value")) records.push_back(std::move(record));
    const std::string next = answer.body.value("@odata.nextLink", "");
    more = !next.empty();
    target = target_of(next);
    if (answer.body.at("complete_to") < answer.body.at("log_size")) {
      print_error("search is catching up: only records below index " +
                  answer.body.at("complete_to").dump() + " of " +
                  answer.body.at("log_size").dump() + " were looked at");
    }
  }
  if (records.size() > static_cast<std::size_t>(search.limit)) {
    records.resize(static_cast<std::size_t>(search.limit));
    more = true;
  }
  print(records, search.format);
  if (more && search.format == "table") {
    std::cout << "There are more; see --limit, --from and --to.\n";
  }
  return kDone;
}

int run_show(const Invocation& invocation, const Show& show) {
  const auto settings = settings_of(invocation, show.connection);
  if (!settings) return kUsageError;
  Api api(*settings);
  const Answer answer = api.get("/api/v1/records/" + percent_encode(show.reference));
  if (answer.exit != kDone) return answer.exit;
  if (show.format == "ndjson") {
    std::cout << answer.body.dump() << "\n";
  } else {
    std::cout << officers::record_detail(answer.body);
  }
  return kDone;
}

int run_proof(const Invocation& invocation, const Prove& prove) {
  const auto settings = settings_of(invocation, prove.connection);
  if (!settings) return kUsageError;
  Api api(*settings);
  const TextAnswer answer =
      api.get_text("/api/v1/records/" + percent_encode(prove.reference) + "/proof");
  std::cout << answer.text;
  return answer.exit;
}

void add_connection(CLI::App* command, Connection& connection) {
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

// One option a filter; the server judges the values.
void add_filters(CLI::App* command, Search& search) {
  for (const std::string_view name : audit::record_query_parameters()) {
    if (name == "limit" || name == "cursor") continue;
    std::string flag = "--" + std::string(name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (flag.find('-', 2) != std::string::npos) flag += ",--" + std::string(name);
    command
        ->add_option_function<std::string>(
            flag,
            [&search, name](const std::string& value) {
              search.filters.push_back({std::string(name), value});
            },
            std::string(audit::record_query_help(name)))
        ->type_name("VALUE");
  }
  command->add_option("--limit", search.limit, "Print at most so many records.")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

}  // namespace

void add_records(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("records", "Ask the audit service for audit records.");
  group->require_subcommand(1);

  CLI::App* search = group->add_subcommand("search", "List the records that match every filter.");
  auto search_options = std::make_shared<Search>();
  add_connection(search, search_options->connection);
  add_format(search, search_options->format);
  add_filters(search, *search_options);
  search->callback([&invocation, search_options] {
    invocation.run = [&invocation, search_options] {
      return run_search(invocation, *search_options);
    };
  });

  CLI::App* show = group->add_subcommand("show", "Print one record, whole.");
  auto show_options = std::make_shared<Show>();
  add_connection(show, show_options->connection);
  add_format(show, show_options->format);
  show->add_option("record", show_options->reference, "Its index or its id.")
      ->required()
      ->type_name("ID|INDEX");
  show->callback([&invocation, show_options] {
    invocation.run = [&invocation, show_options] { return run_show(invocation, *show_options); };
  });

  CLI::App* proof = group->add_subcommand(
      "proof", "Print the proof (C2SP tlog-proof) that the signed log holds a record.");
  auto proof_options = std::make_shared<Prove>();
  add_connection(proof, proof_options->connection);
  proof->add_option("record", proof_options->reference, "Its index or its id.")
      ->required()
      ->type_name("ID|INDEX");
  proof->callback([&invocation, proof_options] {
    invocation.run = [&invocation, proof_options] { return run_proof(invocation, *proof_options); };
  });
}

}  // namespace holdfast::cli
