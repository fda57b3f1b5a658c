// What all workers of one server share: its options, what it counts, and how many requests are in
// flight. Safe from any thread.
#pragma once

#include <string_view>
#include <utility>

#include "base/metrics.h"
#include "base/shared_budget.h"
#include "http/server.h"

namespace holdfast::http {

class ServerState {
 public:
  explicit ServerState(ServerOptions settings) : options(std::move(settings)) {
    metrics().gauge_from("holdfast_requests_in_flight",
                         "Requests from their head to the end of their answer.", {},
                         [this] { return static_cast<double>(in_flight.used()); });
  }
  ServerState(const ServerState&) = delete;
  ServerState& operator=(const ServerState&) = delete;

  Metrics& metrics() { return options.metrics != nullptr ? *options.metrics : unseen_metrics_; }

  const ServerOptions options;

 private:
  Metrics unseen_metrics_;

 public:
  Counter& answer_waits = metrics().counter("holdfast_answer_waits_total",
                                            "Times that an answer waited for its client.");
  Gauge& queued_bytes = metrics().gauge(
      "holdfast_queued_answer_bytes",
      "What the system had not sent of answers that wait for their clients, as each began to.");

  // By name in the configuration.
  Counter& over_handshake = metrics().refused_by("handshake");
  Counter& over_header = metrics().refused_by("header");
  Counter& over_header_bytes = metrics().refused_by("header_bytes");
  Counter& over_header_count = metrics().refused_by("header_count");
  Counter& over_target_bytes = metrics().refused_by("target_bytes");
  Counter& over_body = metrics().refused_by("body");
  Counter& over_body_bytes = metrics().refused_by("body_bytes");
  Counter& over_write = metrics().refused_by("write");
  Counter& over_rate = metrics().refused_by("transfer_bytes_per_second");
  Counter& over_idle = metrics().refused_by("idle");
  Counter& over_in_flight = metrics().refused_by("requests_in_flight");
  Counter& over_in_flight_of_address = metrics().refused_by("requests_in_flight_per_address");

  // For one of the names that RequestParser gives.
  Counter& over(std::string_view limit) {
    if (limit == "header") return over_header;
    if (limit == "header_bytes") return over_header_bytes;
    if (limit == "header_count") return over_header_count;
    if (limit == "body_bytes") return over_body_bytes;
    return over_target_bytes;
  }

  SharedBudget in_flight{options.requests_in_flight_max};  // By client address.
};

}  // namespace holdfast::http
