// How many decisions a second one thread makes.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "approval/decide.h"
#include "approval/rules.h"
#include "base/uuid.h"

namespace holdfast::approval {
namespace {

constexpr const char* kBot = "6a1e55aa-0000-4000-8000-000000000004";

RuleSet load_or_exit(const std::string& path) {
  Result<RuleSet> rules = load_rules(path, system_clock().now());
  if (!rules.ok()) {
    std::cerr << rules.error().message << "\n";
    std::exit(1);
  }
  return *std::move(rules);
}

Facts purge_by_bot() {
  Facts facts{.action = "permanentDelete",
              .resource = "message",
              .actor_kind = identity::ActorKind::kApp,
              .now = parse_rfc3339("2026-10-05T08:00:00Z").value()};
  facts.tenant = "72f988bf-0000-4000-8000-000000000001";
  facts.app = kBot;
  facts.roles = std::vector<std::string>{"Mail.ReadWrite"};
  facts.mailbox = MailboxNames{
      {"11111111-0000-4000-8000-000000000001", "adele@contoso.com", "adele.vance@contoso.com"}};
  facts.own_mailbox = false;
  facts.affected = affected_by_path(facts);
  facts.source_ip = "10.1.2.3";
  return facts;
}

// The example that ships: lists, a calendar, networks.
void decide_example(benchmark::State& state) {
  const RuleSet rules = load_or_exit(HOLDFAST_EXAMPLE_RULES);
  const Facts facts = purge_by_bot();
  for (auto _ : state) benchmark::DoNotOptimize(decide(rules, facts));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decide_example);

// As many rules as the argument says, each with a list of a hundred mailboxes; the last one allows.
void decide_many_rules(benchmark::State& state) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("decide-bench-" + to_string(make_uuid_v4()) + ".yaml");
  {
    std::ofstream text(file);
    text << "schema: 1\nrevision: bench\ndefault: deny\nlists:\n  held:\n    values:\n";
    for (int i = 0; i < 100; ++i) text << "      - held" << i << "@contoso.com\n";
    text << "rules:\n";
    for (int i = 0; i < state.range(0); ++i) {
      text << "  - { id: r" << i << ", title: One of many, effect: deny, when: { action: recall, "
           << "mailbox: { in: held } } }\n";
    }
    text << "  - { id: bot, title: The bot may, effect: allow, when: { actor: { app: " << kBot
         << " } } }\n";
    text << "tests:\n  - { name: bot, given: { action: permanentDelete, resource: message, actor: "
         << "{ app: " << kBot << " } }, expect: { effect: allow, by: [bot] } }\n";
  }
  const RuleSet rules = load_or_exit(file.string());
  std::filesystem::remove(file);
  Facts facts = purge_by_bot();
  facts.action = "recall";
  for (auto _ : state) benchmark::DoNotOptimize(decide(rules, facts));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decide_many_rules)->Arg(10)->Arg(100);

}  // namespace
}  // namespace holdfast::approval

BENCHMARK_MAIN();
