// What the clients of one upstream count: their open connections, and what they gave up waiting
// for, by its name in the configuration.
//
// Safe from any thread; refers to a Metrics that must outlive it.
#pragma once

#include "base/metrics.h"

namespace holdfast::http {

struct ClientMetrics {
  explicit ClientMetrics(Metrics& metrics)
      : open(metrics.gauge("holdfast_upstream_connections", "Connections to Graph that are open.")),
        over_connect(metrics.refused_by("connect_timeout")),
        over_response(metrics.refused_by("response_timeout")),
        over_idle(metrics.refused_by("idle_timeout")),
        over_answer(metrics.refused_by("guarded_answer_timeout")),
        over_connections(metrics.refused_by("upstream_connections")),
        over_per_address(metrics.refused_by("upstream_connections_per_address")) {}

  Gauge& open;
  Counter& over_connect;
  Counter& over_response;
  Counter& over_idle;
  Counter& over_answer;
  Counter& over_connections;  // No place was free in time.
  Counter& over_per_address;  // None of those that one client address may have.
};

}  // namespace holdfast::http
