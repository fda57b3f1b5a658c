#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "base/encoding.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "officers/record_table.h"
#include "officers/target.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr int kRecordPageMax = 1000;

struct Search {
  AuditConnection connection;
  std::string format = "table";
  int limit = 50;
  std::vector<audit::Parameter> filters;
};

struct Show {
  AuditConnection connection;
  std::string format = "table";
  std::string reference;
};

struct Prove {
  AuditConnection connection;
  std::string reference;
};

void print(const std::vector<json>& records, const std::string& format) {
  if (format == "ndjson") {
    for (const json& record : records) std::cout << record.dump() << "\n";
    return;
  }
  const bool colours = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  std::cout << officers::record_table(records,
                                      colours ? officers::Colour::kAnsi : officers::Colour::kNone);
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
  AuditClient api(*settings);
  std::vector<audit::Parameter> parameters = search.filters;
  parameters.push_back({"limit", std::to_string(std::min(search.limit, kRecordPageMax))});
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
    target = next_page(answer.body);
    more = !target.empty();
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

int run_show_record(const Invocation& invocation, const Show& show) {
  const auto settings = settings_of(invocation, show.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
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
  AuditClient api(*settings);
  const TextAnswer answer =
      api.get_text("/api/v1/records/" + percent_encode(prove.reference) + "/proof");
  std::cout << answer.text;
  return answer.exit;
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
  runs(search, invocation, search_options, run_search);

  CLI::App* show = group->add_subcommand("show", "Print one record, whole.");
  auto show_options = std::make_shared<Show>();
  add_connection(show, show_options->connection);
  add_format(show, show_options->format);
  show->add_option("record", show_options->reference, "Its index or its id.")
      ->required()
      ->type_name("ID|INDEX");
  runs(show, invocation, show_options, run_show_record);

  CLI::App* proof = group->add_subcommand(
      "proof", "Print the proof (C2SP tlog-proof) that the signed log holds a record.");
  auto proof_options = std::make_shared<Prove>();
  add_connection(proof, proof_options->connection);
  proof->add_option("record", proof_options->reference, "Its index or its id.")
      ->required()
      ->type_name("ID|INDEX");
  runs(proof, invocation, proof_options, run_proof);
}

}  // namespace holdfast::cli
