// How fast a copy of a log is verified: records of a usual size, as `holdfast verify --offline`
// reads them, from the page cache.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "audit/entry_facts.h"
#include "audit/log_directory.h"
#include "audit/verify.h"
#include "base/files.h"
#include "bench/sample_record.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::audit {
namespace {

constexpr std::uint64_t kRecords = 60'000;

std::string entry_of(Kind kind, const Uuid& operation, const Writer& writer, WallTime time) {
  Record record{.kind = kind, .operation_id = operation, .content = bench::intent_content()};
  if (kind == Kind::kOutcome) {
    record.content["outcome"] = {{"result", "executed"}, {"status", 204}, {"duration_us", 41'000}};
  }
  Result<Entry> entry = make_entry(std::move(record), make_uuid_v7(time), writer);
  if (!entry.ok()) {
    std::cerr << entry.error().message << "\n";
    std::exit(1);
  }
  entry->set_time(time);
  return entry->bytes;
}

void write_or_exit(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  const Status written = write_file(path.string(), bytes);
  if (written.ok()) return;
  std::cerr << written.error().message << "\n";
  std::exit(1);
}

// A log as C2SP tlog-tiles lays it out, without its checkpoint: kRecords in calls of two.
class Copy {
 public:
  Copy() {
    const Writer writer{.id = make_uuid_v4(), .role = WriterRole::kProxy};
    WallTime time(std::chrono::seconds(1'800'000'000));
    EntryBatch batch;
    Uuid operation;
    for (std::uint64_t index = 0; index < kRecords; ++index) {
      time += std::chrono::milliseconds(1);
      if (index % 2 == 0) operation = make_uuid_v7(time);
      const Kind kind = index % 2 == 0 ? Kind::kIntent : Kind::kOutcome;
      const std::string entry = entry_of(kind, operation, writer, time);
      bytes_ += entry.size();
      builder_.append(leaf_hash(entry));
      batch.add(entry);
      if (batch.size() == kTileWidth || index + 1 == kRecords) {
        write("entries", index / kTileWidth, batch.size(), batch.bundle());
        batch = EntryBatch();
      }
    }
    write_tiles();
  }

  const std::string& path() const { return directory_.path(); }
  TreeHead head() const { return {.size = builder_.size(), .root = builder_.root()}; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void write(const std::string& level, std::uint64_t index, std::uint64_t width,
             std::string_view bytes) const {
    std::string path = directory_.path() + "/tile/" + level + "/" + tile_index_path(index);
    if (width < kTileWidth) path += ".p/" + std::to_string(width);
    write_or_exit(path, bytes);
  }
  void write_tiles() {
    for (const Tile& tile : builder_.take_tiles()) {
      write(std::to_string(tile.level), tile.index, kTileWidth, tile.hashes);
    }
    for (int level = 0; level < kTileLevels; ++level) {
      const std::vector<Sha256>& edge = builder_.edge(level);
      if (edge.empty()) continue;
      write(std::to_string(level), hashes_at(level, kRecords) / kTileWidth, edge.size(),
            join_hashes(edge));
    }
  }

  testing::TemporaryDirectory directory_;
  TreeBuilder builder_;
  std::uint64_t bytes_ = 0;
};

void verify_offline(benchmark::State& state) {
  static const Copy copy;
  for (auto _ : state) {
    VerifyPlan plan{.entries = kRecords, .tree_size = kRecords};
    plan.roots = {{.head = copy.head(), .from = "the checkpoint"}};
    plan.open = []() -> Result<std::unique_ptr<LogSource>> {
      return std::unique_ptr<LogSource>(std::make_unique<DirectorySource>(copy.path()));
    };
    plan.threads = static_cast<unsigned>(state.range(0));
    const Result<LogReport> report = verify_log(std::move(plan));
    if (!report.ok() || report->faults.count() > 0 || report->roots_agreed != 1) {
      state.SkipWithError("the copy is not in order");
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRecords));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(copy.bytes()));
}
BENCHMARK(verify_offline)
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

void read_one_entry(benchmark::State& state) {
  const std::string entry = entry_of(Kind::kOutcome, make_uuid_v4(), {.id = make_uuid_v4()},
                                     WallTime(std::chrono::seconds(1)));
  for (auto _ : state) benchmark::DoNotOptimize(read_facts(entry));
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(entry.size()));
}
BENCHMARK(read_one_entry);

}  // namespace
}  // namespace holdfast::audit

BENCHMARK_MAIN();
