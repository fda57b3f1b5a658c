// What one record costs before the database sees it: canonical JSON, the entry, the batch that is
// appended. Its parts are those of an intent of the bench "guarded".
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <vector>

#include "audit/binary_array.h"
#include "audit/entry.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

constexpr const char* kId = "6f1d7a52-0000-4000-8000-00000000be02";

nlohmann::json intent_content() {
  const std::vector<std::string> names{kId, "adele@contoso.com", "adele.vance@contoso.com"};
  const std::string target = std::string("/v1.0/users/") + kId + "/messages/AAMkAGI2TG93AAA=";
  return {{"request",
           {{"method", "POST"},
            {"target", target + "/permanentDelete"},
            {"request_id", kId},
            {"client_request_id", kId},
            {"source_ip", "127.0.0.1"},
            {"user_agent", "bench"}}},
          {"operation",
           {{"action", "permanentDelete"},
            {"resource", "message"},
            {"mailbox", {{"kind", "user"}, {"key", kId}, {"names", names}}},
            {"item", "AAMkAGI2TG93AAA="},
            {"path", target},
            {"version", "v1.0"}}},
          {"actor",
           {{"kind", "user"},
            {"verification", "probe"},
            {"tenant", kId},
            {"user", kId},
            {"app", kId},
            {"name", "adele@contoso.com"},
            {"token_sha256", std::string(64, 'a')}}},
          {"decision",
           {{"effect", "allow"},
            {"rules", {"bench"}},
            {"matched", {{{"id", "bench"}, {"effect", "allow"}}}},
            {"default", false},
            {"rules_sha256", std::string(64, 'b')},
            {"rules_revision", "bench"},
            {"facts",
             {{"actor_kind", "user"},
              {"groups", nullptr},
              {"mailbox", names},
              {"own_mailbox", true},
              {"folder", nullptr},
              {"source_ip", "127.0.0.1"}}}}}};
}

void write_canonical_json(benchmark::State& state) {
  const nlohmann::json content = intent_content();
  std::size_t bytes = 0;
  for (auto _ : state) {
    const Result<std::string> text = canonical_json(content);
    bytes += text->size();
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(write_canonical_json);

void read_json(benchmark::State& state) {
  const std::string text = canonical_json(intent_content()).value();
  for (auto _ : state) benchmark::DoNotOptimize(parse_json(text));
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(read_json);

Entry entry_or_exit(const nlohmann::json& content, const Writer& writer) {
  const Uuid id = make_uuid_v7(system_clock().now());
  Result<Entry> entry =
      make_entry({.kind = Kind::kIntent, .operation_id = id, .content = content}, id, writer);
  if (!entry.ok()) {
    std::cerr << entry.error().message << "\n";
    std::exit(1);
  }
  return *std::move(entry);
}

// From what the pipeline knows to the bytes that are hashed and stored.
void make_one_entry(benchmark::State& state) {
  const Writer writer{.id = make_uuid_v4(), .role = WriterRole::kProxy};
  for (auto _ : state) {
    Entry entry = entry_or_exit(intent_content(), writer);
    entry.set_time(system_clock().now());
    benchmark::DoNotOptimize(entry);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(make_one_entry);

// Entries to the parameter of the one statement that appends them all.
void make_append_batch(benchmark::State& state) {
  const Writer writer{.id = make_uuid_v4(), .role = WriterRole::kProxy};
  const std::vector<Entry> entries(static_cast<std::size_t>(state.range(0)),
                                   entry_or_exit(intent_content(), writer));
  for (auto _ : state) {
    BinaryArray array(BinaryArray::Element::kBytea);
    for (const Entry& entry : entries) array.add(entry.bytes);
    benchmark::DoNotOptimize(array.bytes().data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(make_append_batch)->Arg(1)->Arg(64)->Arg(512);

}  // namespace
}  // namespace holdfast::audit

BENCHMARK_MAIN();
