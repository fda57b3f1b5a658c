// What the audit service counts. Meanings stand in docs/metrics.md. Safe from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

#include "audit/anchors_postgres.h"
#include "audit/queries.h"
#include "base/clock.h"
#include "base/metrics.h"

namespace holdfast::officers {

class ApiMetrics {
 public:
  // The metrics must outlive this, and must not be asked for their text after this is gone.
  explicit ApiMetrics(Metrics& metrics);

  void answered(bool is_api, int status) const;
  // What the database said last, as of `now`, for the next text().
  void observe(const audit::LogState& state, WallTime now);

  // How far the anchor that `status` tells of is behind; asked on whatever thread asks for the
  // text.
  void add_anchor(std::function<audit::AnchorStatus()> status, const Clock& clock);

  const Metrics& all() const { return metrics_; }

 private:
  Metrics& metrics_;
  std::array<std::array<Counter*, 6>, 2> requests_{};
  std::atomic<std::int64_t> log_size_{0};
  std::atomic<std::int64_t> derived_{0};
  std::atomic<std::int64_t> indexed_{0};
  std::atomic<std::int64_t> partitions_{0};
  std::atomic<double> oldest_open_seconds_{0};
};

}  // namespace holdfast::officers
