#include "proxy/pipeline_metrics.h"

#include <string>

namespace holdfast::proxy {
namespace {

using audit::CallResult;

constexpr std::array<const char*, 6> kKindNames{"local",   "passthrough", "batch",
                                                "guarded", "rejected",    "unreadable"};
constexpr std::array<const char*, 6> kStatusNames{"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
constexpr std::array kResults{CallResult::kExecuted, CallResult::kRefused, CallResult::kNotSent,
                              CallResult::kUnknown};

Counter& probes(Metrics& metrics, const char* result) {
  return metrics.counter("holdfast_identity_probes_total",
                         "Questions to Graph about tokens not known yet, by what came of them.",
                         {{"result", result}});
}

}  // namespace

RequestKind kind_of(graph::RequestClass request_class) {
  switch (request_class) {
    case graph::RequestClass::kGuarded:
      return RequestKind::kGuarded;
    case graph::RequestClass::kBatch:
      return RequestKind::kBatch;
    case graph::RequestClass::kPassThrough:
      return RequestKind::kPassThrough;
    case graph::RequestClass::kRejected:
      break;
  }
  return RequestKind::kRejected;
}

PipelineMetrics::PipelineMetrics(Metrics& metrics)
    : intent_commit(metrics.histogram("holdfast_intent_commit_seconds",
                                      "From a decided guarded call to its durable intent.")),
      outcome_commit(metrics.histogram("holdfast_outcome_commit_seconds",
                                       "From Graph's answer to its durable outcome.")),
      probes_accepted(probes(metrics, "accepted")),
      probes_refused(probes(metrics, "refused")),
      probes_unsettled(probes(metrics, "unsettled")),
      over_guarded_in_flight(metrics.refused_by("guarded_in_flight")),
      over_buffered_body(metrics.refused_by("buffered_body_bytes")),
      over_buffered_bodies(metrics.refused_by("buffered_bodies_bytes")),
      over_buffered_bodies_of_address(metrics.refused_by("buffered_bodies_bytes_per_address")),
      over_probes_of_address(metrics.refused_by("failed_probes_per_address")),
      over_probes(metrics.refused_by("failed_probes")),
      break_glass(metrics.counter("holdfast_break_glass_total",
                                  "Guarded calls that went past the approval they needed.")),
      guarded_(metrics.histogram("holdfast_guarded_seconds",
                                 "Guarded calls from their head to their answer, recording and "
                                 "refusals included.")),
      pass_through_(metrics.histogram("holdfast_passthrough_seconds",
                                      "Passed-through requests from their head to the head of "
                                      "Graph's answer.")),
      upstream_(metrics.histogram("holdfast_guarded_upstream_seconds",
                                  "Graph's share of guarded calls that were forwarded.")) {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      requests_[kind][status] =
          &metrics.counter("holdfast_requests_total", "Requests answered, by class and status.",
                           {{"class", kKindNames[kind]}, {"status", kStatusNames[status]}});
    }
  }
  for (const CallResult result : kResults) {
    results_[static_cast<std::size_t>(result)] =
        &metrics.counter("holdfast_guarded_results_total",
                         "Guarded calls that were allowed and recorded, by their outcome.",
                         {{"result", std::string(to_string(result))}});
  }
}

void PipelineMetrics::answered(RequestKind kind, int status, SteadyTime::duration time) const {
  const std::size_t status_class = status >= 100 && status < 600 ? status / 100 : 0;
  requests_[static_cast<std::size_t>(kind)][status_class]->add();
  if (kind == RequestKind::kGuarded) guarded_.observe(time);
  if (kind == RequestKind::kPassThrough) pass_through_.observe(time);
}

void PipelineMetrics::forwarded(CallResult result, std::chrono::microseconds time) const {
  results_[static_cast<std::size_t>(result)]->add();
  upstream_.observe(time);
}

}  // namespace holdfast::proxy
