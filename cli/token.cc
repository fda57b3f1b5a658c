// API tokens from the shell: asks the audit service with the officer's own credential.
#include <chrono>
#include <iostream>
#include <memory>

#include "base/encoding.h"
#include "base/files.h"
#include "cli/audit_client.h"
#include "cli/load.h"
#include "cli/text_table.h"
#include "config/values.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr const char* kTokensPath = "/api/v1/tokens";
constexpr std::chrono::minutes kLifeMin{1};
constexpr std::chrono::days kLifeMax{366};

struct Making {
  AuditConnection connection;
  std::string format = "table";
  std::string name;
  std::vector<std::string> roles;
  std::string expires_in = "90d";
  std::string out;
};

struct Revoking {
  AuditConnection connection;
  std::string format = "table";
  std::string id;
  std::string reason;
};

std::string roles_text(const json& token) {
  return texts_of(token.value("roles", json::array()), ",");
}

// Keeps the token in a file of its own. Nothing can show it again, so where that fails the token is
// revoked at once.
int keep(AuditClient& api, const json& made, const std::string& path) {
  const Status kept = create_private_file(path, made.value("token", "") + "\n");
  if (kept.ok()) {
    std::cout << "Token " << text_of(made, "/id") << " is in " << path << " until "
              << text_of(made, "/expires_at") << ", for you alone to read.\n";
    return kDone;
  }
  print_error(kept.error().message);
  const Answer ended =
      api.post(kTokensPath + ("/" + percent_encode(text_of(made, "/id"))) + "/revoke",
               {{"reason", "it could not be kept"}});
  if (ended.exit == kDone) print_error("the token was revoked again");
  return kFoundProblem;
}

int run_create(const Invocation& invocation, const Making& making) {
  const auto settings = settings_of(invocation, making.connection);
  if (!settings) return kUsageError;
  const auto life = config::parse_duration(making.expires_in);
  if (!life || *life < kLifeMin || *life > kLifeMax) {
    print_error("--expires-in must be a duration such as 12h or 90d, a minute to 366d");
    return kUsageError;
  }
  AuditClient api(*settings);
  const Answer answer = api.post(
      kTokensPath, {{"name", making.name},
                    {"roles", making.roles},
                    {"expires_in_s", std::chrono::ceil<std::chrono::seconds>(*life).count()}});
  if (answer.exit != kDone) return answer.exit;
  const json& made = answer.body;
  if (!making.out.empty()) return keep(api, made, making.out);
  if (making.format == "ndjson") {
    std::cout << made.dump() << "\n";
    return kDone;
  }
  std::cout << text_of(made, "/token") << "\n";
  std::cerr << "Token " << text_of(made, "/id") << " of " << text_of(made, "/created_by/name")
            << ", roles " << roles_text(made) << ", until " << text_of(made, "/expires_at")
            << ".\nIt is not shown again: keep it in a file that only you can read.\n";
  return kDone;
}

void print_tokens(const std::vector<json>& tokens) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "ROLES", "OF", "STATE", "EXPIRES", "LAST USED"}};
  for (const json& token : tokens) {
    const std::string used = text_of(token, "/last_used_at").substr(0, 16);
    rows.push_back({text_of(token, "/id"), text_of(token, "/name"), roles_text(token),
                    text_of(token, "/created_by/name"), text_of(token, "/state"),
                    text_of(token, "/expires_at").substr(0, 16), used.empty() ? "never" : used});
  }
  std::cout << text_table(rows);
}

int run_revoke(const Invocation& invocation, const Revoking& revoking) {
  const auto settings = settings_of(invocation, revoking.connection);
  if (!settings) return kUsageError;
  AuditClient api(*settings);
  json body = json::object();
  if (!revoking.reason.empty()) body["reason"] = revoking.reason;
  const Answer answer =
      api.post(kTokensPath + ("/" + percent_encode(revoking.id)) + "/revoke", body);
  return print_answer(answer, revoking.format, [](const json& token) {
    std::cout << "Token " << text_of(token, "/id") << " (" << text_of(token, "/name")
              << ") is revoked, record " << text_of(token, "/record") << "\n";
  });
}

void add_create(CLI::App* group, Invocation& invocation) {
  auto options = std::make_shared<Making>();
  CLI::App* command = group->add_subcommand("create", "Make a token and show it, this once.");
  add_connection(command, options->connection);
  add_format(command, options->format);
  command->add_option("name", options->name, "What it is for.")->required()->type_name("NAME");
  command
      ->add_option("--role", options->roles,
                   "auditor (reads), approver or admin; as often as needed. You can give auditor, "
                   "and roles that you have.")
      ->required()
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"auditor", "approver", "admin"}))
      ->type_name("ROLE");
  command->add_option("--expires-in", options->expires_in, "12h, 90d, at most 366d.")
      ->capture_default_str()
      ->type_name("DURATION");
  command
      ->add_option("--out", options->out,
                   "Write it to this new file, for you alone to read, instead of showing it.")
      ->type_name("FILE");
  command->footer(
      "Example:\n  holdfast token create \"SIEM export\" --role auditor --expires-in 90d "
      "--out siem.token");
  runs(command, invocation, options, run_create);
}

}  // namespace

void add_token(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("token", "Make, list and revoke API tokens (role admin).");
  group->require_subcommand(1);
  add_create(group, invocation);

  add_list(group, invocation,
           {.path = kTokensPath,
            .about = "List active tokens, newest first.",
            .about_all = "Those that expired or were revoked too.",
            .print_table = print_tokens});

  auto revoke_options = std::make_shared<Revoking>();
  CLI::App* revoke = group->add_subcommand("revoke", "End a token, at once and for every replica.");
  add_connection(revoke, revoke_options->connection);
  add_format(revoke, revoke_options->format);
  revoke->add_option("id", revoke_options->id, "The token's id.")->required()->type_name("ID");
  revoke->add_option("--reason", revoke_options->reason, "Why; recorded.")->type_name("TEXT");
  runs(revoke, invocation, revoke_options, run_revoke);
  group->footer(  // After the subcommands, which would inherit it.
      R"(A token stands for you, with the roles that you name, until it expires or is revoked.
Holdfast keeps its SHA-256 only. What it reads and decides is recorded under your name with the
token's id; it approves only where audit.allow_token_approvals is true, and makes no other tokens.

Examples:
  holdfast token create "SIEM export" --role auditor --expires-in 90d --out siem.token
  holdfast records search --token-file siem.token
  holdfast token list --all                    who has which, and when each was last used
  holdfast token revoke ID --reason leaked     at once, for every replica

The first admin signs in with the identity provider, or has a token in audit.tokens_file.)");
}

}  // namespace holdfast::cli
