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

// Close to the thousand rules that a file may have, about as many apps, mailboxes and lists, three
// of which hold a hundred thousand names each; some rules are about every call.
class LargeRules {
 public:
  LargeRules() {
    std::filesystem::create_directory(directory_);
    for (const char* list : {"hold", "board", "leavers"}) {
      std::ofstream text(directory_ / (std::string(list) + ".csv"));
      for (int i = 0; i < 100'000; ++i) text << list << i << "@contoso.com\n";
    }
    std::ofstream text(path());
    text << "schema: 1\nrevision: bench\nlists:\n";
    for (const char* list : {"hold", "board", "leavers"}) {
      text << "  " << list << ": { file: " << list << ".csv, max_age: 24h }\n";
    }
    text << "calendars: { office: { days: [mon, tue, wed, thu, fri], from: '08:00', to: '18:00' } "
            "}\n"
         << "rules:\n"
         << "  - { id: hold, effect: deny, when: { affected_mailboxes: { any_in: hold } } }\n"
         << "  - { id: bot, effect: allow, when: { actor: { app: " << kBot << " } } }\n";
    for (int i = 0; i < 332; ++i) {
      text << "  - { id: app" << i
           << ", effect: allow, when: { action: permanentDelete, actor: { app: "
           << to_string(make_uuid_v4()) << " }, time: { during: office } } }\n"
           << "  - { id: box" << i << ", effect: require_approval, when: { mailbox: m" << i
           << "@contoso.com } }\n"
           << "  - { id: list" << i
           << ", effect: deny, when: { action: permanentDelete, mailbox: { in: "
           << (i % 2 == 0 ? "board" : "leavers") << " } } }\n";
    }
  }
  ~LargeRules() { std::filesystem::remove_all(directory_); }
  LargeRules(const LargeRules&) = delete;
  LargeRules& operator=(const LargeRules&) = delete;
  std::string path() const { return (directory_ / "rules.yaml").string(); }

 private:
  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("decide-bench-" + to_string(make_uuid_v4()));
};

void decide_large(benchmark::State& state) {
  const LargeRules files;
  const RuleSet rules = load_or_exit(files.path());
  Facts facts = purge_by_bot();
  facts.now = system_clock().now();
  if (decide(rules, facts).effect != Effect::kAllow) state.SkipWithError("not allowed");
  for (auto _ : state) benchmark::DoNotOptimize(decide(rules, facts));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decide_large);

// A thousand rules that differ in one condition, none of which the call meets but the one that
// allows it; `lists` of a hundred thousand entries. `#` in `when` stands for a number.
class AlikeRules {
 public:
  explicit AlikeRules(const std::string& when) {
    std::filesystem::create_directory(directory_);
    std::ofstream hold(directory_ / "hold.csv");
    std::ofstream sites(directory_ / "sites.csv");
    for (int i = 0; i < 100'000; ++i) {
      hold << "hold" << i << "@contoso.com\n";
      sites << "11." << i / 65'536 << "." << i / 256 % 256 << "." << i % 256 << "\n";
    }
    std::ofstream text(path());
    text << "schema: 1\nrevision: bench\nlists:\n  hold: { file: hold.csv, max_age: 24h }\n"
         << "  sites: { file: sites.csv, max_age: 24h }\nrules:\n"
         << "  - { id: bot, effect: allow, when: { actor: { app: " << kBot << " } } }\n";
    for (int i = 0; i < 999; ++i) {
      text << "  - { id: r" << i << ", effect: deny, when: { ";
      for (const char c : when) c == '#' ? text << i % 250 + 1 << "." << i / 250 : text << c;
      text << " } }\n";
    }
  }
  ~AlikeRules() { std::filesystem::remove_all(directory_); }
  AlikeRules(const AlikeRules&) = delete;
  AlikeRules& operator=(const AlikeRules&) = delete;
  std::string path() const { return (directory_ / "rules.yaml").string(); }

 private:
  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("decide-bench-" + to_string(make_uuid_v4()));
};

void decide_alike(benchmark::State& state, const std::string& when) {
  const AlikeRules files(when);
  const RuleSet rules = load_or_exit(files.path());
  Facts facts = purge_by_bot();
  facts.now = system_clock().now();
  facts.item.size_bytes = 0;
  if (decide(rules, facts).effect != Effect::kAllow) state.SkipWithError("not allowed");
  for (auto _ : state) benchmark::DoNotOptimize(decide(rules, facts));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(decide_alike, mailbox, "mailbox: m#@contoso.com");
BENCHMARK_CAPTURE(decide_alike, domain, "mailbox: { domain: d#.contoso.com }");
BENCHMARK_CAPTURE(decide_alike, affected, "affected_mailboxes: { any_in: [m#@contoso.com] }");
BENCHMARK_CAPTURE(decide_alike, source_ip, "source_ip: 12.#.0/24");
BENCHMARK_CAPTURE(decide_alike, one_list,
                  "action: permanentDelete, resource: message, mailbox: { in: hold }");
BENCHMARK_CAPTURE(decide_alike, one_affected_list,
                  "action: permanentDelete, affected_mailboxes: { any_in: hold }");
BENCHMARK_CAPTURE(decide_alike, one_address_list, "source_ip: { in: sites }");
BENCHMARK_CAPTURE(decide_alike, size, "size: { min: 1 }");

void reload_large(benchmark::State& state) {
  const LargeRules files;
  for (auto _ : state) benchmark::DoNotOptimize(load_or_exit(files.path()));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(reload_large)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace holdfast::approval

BENCHMARK_MAIN();
