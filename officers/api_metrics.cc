#include "officers/api_metrics.h"

#include <algorithm>
#include <chrono>

namespace holdfast::officers {
namespace {

constexpr std::array<const char*, 2> kClasses{"local", "api"};
constexpr std::array<const char*, 6> kStatusNames{"other", "1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

ApiMetrics::ApiMetrics(Metrics& metrics) : metrics_(metrics) {
  for (std::size_t each = 0; each < kClasses.size(); ++each) {
    for (std::size_t status = 0; status < kStatusNames.size(); ++status) {
      requests_[each][status] =
          &metrics.counter("holdfast_requests_total", "Requests answered, by class and status.",
                           {{"class", kClasses[each]}, {"status", kStatusNames[status]}});
    }
  }
  metrics.gauge_from("holdfast_log_records", "Records in the log.", {},
                     [this] { return static_cast<double>(log_size_); });
  metrics.gauge_from("holdfast_search_lag_records", "Records that search is behind the log.", {},
                     [this] { return static_cast<double>(log_size_ - derived_); });
  metrics.gauge_from("holdfast_search_unindexed_records",
                     "Records in search that no index finds: every question looks through them.",
                     {}, [this] { return static_cast<double>(derived_ - indexed_); });
  metrics.gauge_from("holdfast_log_capacity_records",
                     "Records that the log's partitions can still take.", {},
                     [this] { return static_cast<double>(partitions_ - log_size_); });
  metrics.gauge_from("holdfast_oldest_open_operation_seconds",
                     "Age of the oldest intent of any proxy without a terminal record; 0: none.",
                     {}, [this] { return oldest_open_seconds_.load(); });
}

void ApiMetrics::answered(bool is_api, int status) const {
  const std::size_t status_class =
      status >= 100 && status < 600 ? static_cast<std::size_t>(status / 100) : 0;
  requests_[is_api ? 1 : 0][status_class]->add();
}

void ApiMetrics::observe(const audit::LogState& state, WallTime now) {
  log_size_ = state.log_size;
  derived_ = state.derived;
  indexed_ = state.indexed;
  partitions_ = state.partitions;
  const WallTime::duration open = now - state.open_since.value_or(now);
  oldest_open_seconds_ = std::max(0.0, std::chrono::duration<double>(open).count());
}

void ApiMetrics::add_anchor(std::function<audit::AnchorStatus()> status, const Clock& clock) {
  const audit::AnchorStatus made = status();
  const MetricLabels labels = {{"kind", made.kind}, {"name", made.name}};
  metrics_.gauge_from(
      "holdfast_anchor_age_seconds",
      "Since the newest checkpoint that the anchor has was signed; where it has none, since start.",
      labels, [status, &clock, started = clock.now()] {
        const WallTime since = status().signed_at.value_or(started);
        const std::chrono::duration<double> age = clock.now() - since;
        return std::max(age.count(), 0.0);
      });
  metrics_.gauge_from("holdfast_anchor_lag_records",
                      "Records in the log that no checkpoint which the anchor has is over.", labels,
                      [this, status] {
                        const auto head = status().head;
                        const auto held = static_cast<std::int64_t>(head ? head->size : 0);
                        return static_cast<double>(std::max<std::int64_t>(log_size_ - held, 0));
                      });
}

}  // namespace holdfast::officers
