#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace holdfast {
namespace {

using namespace std::chrono_literals;

TEST(Metrics, ThreadsAddUp) {
  Metrics metrics;
  Counter& counter = metrics.counter("things_total", "Things.");
  Gauge& gauge = metrics.gauge("level", "A level.");
  std::vector<std::jthread> threads;
  for (int each = 0; each < 10; ++each) {
    threads.emplace_back([&] {
      for (int time = 0; time < 1'000; ++time) counter.add();
      gauge.add(3);
      gauge.add(-1);
    });
  }
  threads.clear();
  EXPECT_EQ(counter.value(), 10'000u);
  EXPECT_EQ(gauge.value(), 20);
}

TEST(Metrics, AGaugeGoesBelowZeroAndBack) {
  Gauge gauge;
  gauge.add(-5);
  EXPECT_EQ(gauge.value(), -5);
  gauge.add(6);
  EXPECT_EQ(gauge.value(), 1);
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameCounter) {
  Metrics metrics;
  Counter& one = metrics.counter("c", "C.", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(&one, &metrics.counter("c", "C.", {{"b", "2"}, {"a", "1"}}));
  EXPECT_NE(&one, &metrics.counter("c", "C.", {{"a", "1"}}));
}

TEST(Metrics, TextIsWhatPrometheusReads) {
  Metrics metrics;
  metrics.counter("requests_total", "Requests.", {{"class", "a\"b"}}).add(2);
  metrics.gauge_from("now", "A reading.", {}, [] { return 1.5; });
  metrics.refused_by("header").add();
  EXPECT_EQ(metrics.text(),
            "# HELP requests_total Requests.\n"
            "# TYPE requests_total counter\n"
            "requests_total{class=\"a\\\"b\"} 2\n"
            "# HELP now A reading.\n"
            "# TYPE now gauge\n"
            "now 1.5\n"
            "# HELP holdfast_limit_refusals_total Connections, requests and answers refused or cut "
            "off by a limit.\n"
            "# TYPE holdfast_limit_refusals_total counter\n"
            "holdfast_limit_refusals_total{limit=\"header\"} 1\n");
}

TEST(Metrics, DurationsFallIntoTheBucketThatHoldsThem) {
  Histogram histogram;
  histogram.observe(500us);  // A bound belongs to its bucket.
  histogram.observe(501us);
  histogram.observe(0ns);
  histogram.observe(-1ns);
  histogram.observe(101s);
  const Histogram::Snapshot seen = histogram.snapshot();
  EXPECT_EQ(seen.counts[0], 3u);
  EXPECT_EQ(seen.counts[1], 1u);
  EXPECT_EQ(seen.counts.back(), 1u);
  EXPECT_NEAR(seen.sum_seconds, 101.001001, 1e-9);
}

TEST(Metrics, AHistogramsTextIsCumulative) {
  Metrics metrics;
  Histogram& histogram = metrics.histogram("took_seconds", "Time.");
  histogram.observe(1ms);
  histogram.observe(2s);
  const std::string text = metrics.text();
  for (const char* line :
       {"took_seconds_count 2\n", "took_seconds_bucket{le=\"0.001\"} 1\n",
        "took_seconds_bucket{le=\"2.5\"} 2\n", "took_seconds_bucket{le=\"+Inf\"} 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace holdfast
