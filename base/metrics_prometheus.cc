#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>

#include "base/metrics.h"

namespace holdfast {
namespace {

prometheus::ClientMetric::Histogram to_histogram(const Histogram::Snapshot& snapshot) {
  prometheus::ClientMetric::Histogram histogram;
  std::uint64_t sum = 0;
  for (std::size_t each = 0; each < snapshot.counts.size(); ++each) {
    sum += snapshot.counts[each];
    const bool last = each == Histogram::kBounds.size();
    histogram.bucket.push_back(
        {.cumulative_count = sum,
         .upper_bound = last ? std::numeric_limits<double>::infinity() : Histogram::kBounds[each]});
  }
  histogram.sample_count = sum;
  histogram.sample_sum = snapshot.sum_seconds;
  return histogram;
}

}  // namespace

std::string Metrics::text() const {
  std::vector<prometheus::MetricFamily> page;
  for (const Family& family : families()) {
    prometheus::MetricFamily out;
    out.name = family.name;
    out.help = family.help;
    for (const std::shared_ptr<Series>& series : family.series) {
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : series->labels) metric.label.push_back({name, value});
      if (series->counter) {
        out.type = prometheus::MetricType::Counter;
        metric.counter.value = static_cast<double>(series->counter->value());
      } else if (series->histogram) {
        out.type = prometheus::MetricType::Histogram;
        metric.histogram = to_histogram(series->histogram->snapshot());
      } else {
        out.type = prometheus::MetricType::Gauge;
        metric.gauge.value =
            series->gauge ? static_cast<double>(series->gauge->value()) : series->read();
      }
      out.metric.push_back(std::move(metric));
    }
    page.push_back(std::move(out));
  }
  return prometheus::TextSerializer().Serialize(page);
}

}  // namespace holdfast
