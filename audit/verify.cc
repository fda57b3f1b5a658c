#include "audit/verify.h"

#include <algorithm>
#include <map>
#include <thread>

#include "audit/verify_order.h"
#include "audit/verify_tile.h"
#include "base/mutex.h"

namespace holdfast::audit {
namespace {

// Tiles that a thread takes at once, and how many such takes may be ahead of the order.
constexpr std::uint64_t kTilesAtOnce = 16;
constexpr std::uint64_t kAheadForEachThread = 4;

using TileBatch = std::vector<CheckedTile>;

// Tiles are checked by several threads and handed out in their order.
class Workers {
 public:
  explicit Workers(const VerifyPlan& plan)
      : plan_(plan),
        batches_((tile_count() + kTilesAtOnce - 1) / kTilesAtOnce),
        ahead_max_(plan.threads * kAheadForEachThread) {
    for (unsigned i = 0; i < plan.threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Workers() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  std::uint64_t batches() const { return batches_; }

  // The next one. An error: the source cannot be read.
  Result<TileBatch> next() {
    MutexLock lock(mutex_);
    while (!failure_ && !done_.contains(wanted_)) changed_.wait(mutex_);
    if (failure_) return *failure_;
    TileBatch batch = std::move(done_.extract(wanted_).mapped());
    ++wanted_;
    changed_.notify_all();
    return batch;
  }

 private:
  std::uint64_t tile_count() const {
    return plan_.entries / kTileWidth + (plan_.entries % kTileWidth == 0 ? 0 : 1);
  }

  void work() {
    Result<std::unique_ptr<LogSource>> source = plan_.open();
    if (!source.ok()) return fail(source.error());
    while (const std::optional<std::uint64_t> number = take()) {
      Result<TileBatch> batch = check(**source, *number);
      if (!batch.ok()) return fail(batch.error());
      MutexLock lock(mutex_);
      done_.emplace(*number, *std::move(batch));
      changed_.notify_all();
    }
  }

  std::optional<std::uint64_t> take() {
    MutexLock lock(mutex_);
    while (!stopping_ && !failure_ && taken_ < batches_ && taken_ >= wanted_ + ahead_max_) {
      changed_.wait(mutex_);
    }
    if (stopping_ || failure_ || taken_ >= batches_) return std::nullopt;
    return taken_++;
  }

  Result<TileBatch> check(LogSource& source, std::uint64_t number) const {
    TileBatch batch;
    const std::uint64_t end = std::min((number + 1) * kTilesAtOnce, tile_count());
    for (std::uint64_t index = number * kTilesAtOnce; index < end; ++index) {
      const std::uint64_t before = index * kTileWidth;
      const auto part = [before](std::uint64_t size) {
        return std::min(size - std::min(size, before), kTileWidth);
      };
      Result<CheckedTile> tile = check_tile(
          source,
          {.index = index, .entries = part(plan_.entries), .in_tree = part(plan_.tree_size)});
      if (!tile.ok()) return tile.error();
      batch.push_back(*std::move(tile));
    }
    return batch;
  }

  void fail(const Error& error) {
    MutexLock lock(mutex_);
    if (!failure_) failure_ = error;
    changed_.notify_all();
  }

  const VerifyPlan& plan_;
  const std::uint64_t batches_;
  const std::uint64_t ahead_max_;

  Mutex mutex_;
  Condition changed_;
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ HOLDFAST_GUARDED_BY(mutex_);
  std::uint64_t taken_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::uint64_t wanted_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, TileBatch> done_ HOLDFAST_GUARDED_BY(mutex_);

  std::vector<std::thread> threads_;
};

bool comes_before(const Fault& a, const Fault& b) {
  if (a.index && b.index) return a.last < b.last;
  return a.index.has_value() && !b.index.has_value();
}

}  // namespace

std::string checkpoint_name(const std::string& from, std::uint64_t ordinal) {
  return from.empty() ? "the database's checkpoint " + std::to_string(ordinal) : from;
}

void Faults::add(Fault fault) {
  ++count_;
  list_.insert(std::ranges::upper_bound(list_, fault, comes_before), std::move(fault));
  if (list_.size() > kKept) list_.pop_back();
}

void Faults::add(Faults others) {
  const std::uint64_t not_kept = others.count_ - others.list_.size();
  for (Fault& fault : others.list_) add(std::move(fault));
  count_ += not_kept;
}

Result<LogReport> verify_log(VerifyPlan plan) {
  plan.threads = std::max(plan.threads, 1U);
  plan.tree_size = std::min(plan.tree_size, plan.entries);
  const Result<std::unique_ptr<LogSource>> source = plan.open();
  if (!source.ok()) return source.error();
  OrderedCheck order(plan, **source);
  Workers workers(plan);
  std::uint64_t end = 0;  // Behind the last record that left anything.
  for (std::uint64_t number = 0; number < workers.batches(); ++number) {
    Result<TileBatch> batch = workers.next();
    if (!batch.ok()) return batch.error();
    const bool is_there = std::ranges::any_of(*batch, &CheckedTile::found);
    for (CheckedTile& tile : *batch) {
      if (tile.found > 0) end = tile.span.index * kTileWidth + tile.found;
      if (Status added = order.add(std::move(tile)); !added.ok()) return added.error();
    }
    if (!is_there && number + 1 < workers.batches()) {
      order.end_at(end);
      break;
    }
    if (plan.progress) {
      plan.progress(std::min((number + 1) * kTilesAtOnce * kTileWidth, plan.entries));
    }
  }
  return std::move(order).finish();
}

}  // namespace holdfast::audit
