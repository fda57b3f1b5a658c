// What one record costs before the database sees it: canonical JSON, the entry, the batch that is
// appended. Its parts are those of an intent of the bench "guarded".
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <vector>

#include "audit/binary_array.h"
#include "audit/entry.h"
#include "base/json.h"
#include "bench/sample_record.h"

namespace holdfast::audit {
namespace {

using bench::intent_content;

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
