// Counts for operators: cheap to change anywhere, put together only when somebody asks.
//
//   Counter& refused = metrics.counter("holdfast_things_total", "Things.", {{"kind", "odd"}});
//   refused.add();                        // any thread, no lock, no allocation
//   std::string page = metrics.text();    // Prometheus' text format
//
// Each thread adds to a cell of its own, so workers do not slow each other down. Names, labels and
// meanings of everything Holdfast counts stand in docs/metrics.md.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace holdfast {

namespace metrics_detail {

constexpr std::size_t kCells = 8;

// Which cell this thread adds to.
std::size_t cell_of_this_thread();

}  // namespace metrics_detail

// Goes up only. Safe from any thread.
class Counter {
 public:
  void add(std::uint64_t count = 1) {
    cells_[metrics_detail::cell_of_this_thread()].value.fetch_add(count, std::memory_order_relaxed);
  }
  std::uint64_t value() const;

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Cell, metrics_detail::kCells> cells_;
};

// Goes up and down. Safe from any thread.
class Gauge {
 public:
  void add(std::int64_t count) { up_.add(static_cast<std::uint64_t>(count)); }
  std::int64_t value() const { return static_cast<std::int64_t>(up_.value()); }

 private:
  Counter up_;  // Modulo 2^64, which makes adding a negative number subtract.
};

// How long things took, in buckets from half a millisecond to 100 seconds. Safe from any thread.
class Histogram {
 public:
  // Upper bounds of the buckets, in seconds; one more holds what is longer.
  static constexpr std::array<double, 16> kBounds{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 100};

  void observe(std::chrono::nanoseconds duration);

  struct Snapshot {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};  // By bucket, not summed up.
    double sum_seconds = 0;
  };
  Snapshot snapshot() const;

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
    std::atomic<std::uint64_t> nanoseconds{0};
  };
  std::array<Cell, metrics_detail::kCells> cells_;
};

using MetricLabels = std::map<std::string, std::string>;

// Everything one process counts. Safe from any thread. What it hands out lives as long as it does;
// the same name and labels give the same counter again. A name keeps its first kind and help.
class Metrics {
 public:
  Metrics() = default;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter& counter(const std::string& name, const std::string& help,
                   const MetricLabels& labels = {}) HOLDFAST_EXCLUDES(mutex_);
  Gauge& gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {})
      HOLDFAST_EXCLUDES(mutex_);
  Histogram& histogram(const std::string& name, const std::string& help,
                       const MetricLabels& labels = {}) HOLDFAST_EXCLUDES(mutex_);
  // A gauge that is asked for its value by each text(), on that thread.
  void gauge_from(const std::string& name, const std::string& help, const MetricLabels& labels,
                  std::function<double()> read) HOLDFAST_EXCLUDES(mutex_);

  // What was refused or cut off by a limit of the configuration, by the last part of its key.
  Counter& refused_by(const std::string& limit);

  // Prometheus' text format, version 0.0.4. Content-Type: kMetricsContentType.
  std::string text() const HOLDFAST_EXCLUDES(mutex_);

 private:
  // One of the four.
  struct Series {
    MetricLabels labels;
    std::unique_ptr<Counter> counter{};
    std::unique_ptr<Gauge> gauge{};
    std::unique_ptr<Histogram> histogram{};
    std::function<double()> read{};
  };
  struct Family {
    std::string name;
    std::string help;
    std::vector<std::shared_ptr<Series>> series;  // Shared with texts being made.
  };

  Series& find_or_add(const std::string& name, const std::string& help, const MetricLabels& labels)
      HOLDFAST_REQUIRES(mutex_);
  std::vector<Family> families() const HOLDFAST_EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::vector<Family> families_ HOLDFAST_GUARDED_BY(mutex_);
};

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace holdfast
