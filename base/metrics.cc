#include "base/metrics.h"

#include <algorithm>

namespace holdfast {

std::size_t metrics_detail::cell_of_this_thread() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t cell = threads++ % kCells;
  return cell;
}

std::uint64_t Counter::value() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
  return sum;
}

void Histogram::observe(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto bucket =
      static_cast<std::size_t>(std::ranges::lower_bound(kBounds, seconds) - kBounds.begin());
  Cell& cell = cells_[metrics_detail::cell_of_this_thread()];
  cell.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  cell.nanoseconds.fetch_add(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count())),
      std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot sum;
  for (const Cell& cell : cells_) {
    for (std::size_t each = 0; each < sum.counts.size(); ++each) {
      sum.counts[each] += cell.counts[each].load(std::memory_order_relaxed);
    }
    sum.sum_seconds += static_cast<double>(cell.nanoseconds.load(std::memory_order_relaxed)) / 1e9;
  }
  return sum;
}

Metrics::Series& Metrics::find_or_add(const std::string& name, const std::string& help,
                                      const MetricLabels& labels) {
  auto family = std::ranges::find(families_, name, &Family::name);
  if (family == families_.end()) {
    family = families_.insert(families_.end(), Family{.name = name, .help = help, .series = {}});
  }
  for (const std::shared_ptr<Series>& series : family->series) {
    if (series->labels == labels) return *series;
  }
  family->series.push_back(std::make_shared<Series>(Series{.labels = labels}));
  return *family->series.back();
}

Counter& Metrics::counter(const std::string& name, const std::string& help,
                          const MetricLabels& labels) {
  MutexLock lock(mutex_);
  Series& series = find_or_add(name, help, labels);
  if (!series.counter) series.counter = std::make_unique<Counter>();
  return *series.counter;
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help,
                      const MetricLabels& labels) {
  MutexLock lock(mutex_);
  Series& series = find_or_add(name, help, labels);
  if (!series.gauge) series.gauge = std::make_unique<Gauge>();
  return *series.gauge;
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                              const MetricLabels& labels) {
  MutexLock lock(mutex_);
  Series& series = find_or_add(name, help, labels);
  if (!series.histogram) series.histogram = std::make_unique<Histogram>();
  return *series.histogram;
}

void Metrics::gauge_from(const std::string& name, const std::string& help,
                         const MetricLabels& labels, std::function<double()> read) {
  MutexLock lock(mutex_);
  find_or_add(name, help, labels).read = std::move(read);
}

Counter& Metrics::refused_by(const std::string& limit) {
  return counter("holdfast_limit_refusals_total",
                 "Connections, requests and answers refused or cut off by a limit.",
                 {{"limit", limit}});
}

std::vector<Metrics::Family> Metrics::families() const {
  MutexLock lock(mutex_);
  return families_;
}

}  // namespace holdfast
