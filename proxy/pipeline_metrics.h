// What the data plane counts, resolved once so that the request path only adds. Meanings stand in
// docs/metrics.md. Safe from any thread; refers to a Metrics that must outlive it.
#pragma once

#include <array>

#include "audit/record.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "graph/classify.h"

namespace holdfast::proxy {

// What a request turned out to be.
enum class RequestKind { kLocal, kPassThrough, kBatch, kGuarded, kRejected, kUnreadable };

RequestKind kind_of(graph::RequestClass request_class);

class PipelineMetrics {
 public:
  explicit PipelineMetrics(Metrics& metrics);

  void answered(RequestKind kind, int status, SteadyTime::duration time) const;
  void forwarded(audit::CallResult result, std::chrono::microseconds time) const;

  Histogram& intent_commit;
  Histogram& outcome_commit;
  Counter& probes_accepted;
  Counter& probes_refused;
  Counter& probes_unsettled;
  Counter& over_guarded_in_flight;
  Counter& over_buffered_body;
  Counter& over_buffered_bodies;
  Counter& over_buffered_bodies_of_address;
  Counter& over_probes_of_address;
  Counter& over_probes;
  Counter& break_glass;

 private:
  static constexpr std::size_t kKinds = 6;
  static constexpr std::size_t kStatusClasses = 6;  // 1xx to 5xx, and one for anything else.

  std::array<std::array<Counter*, kStatusClasses>, kKinds> requests_{};
  std::array<Counter*, 4> results_{};
  Histogram& guarded_;
  Histogram& pass_through_;
  Histogram& upstream_;
};

}  // namespace holdfast::proxy
