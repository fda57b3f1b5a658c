// The anchors of the log (audit/anchors_postgres.h) that the configuration names, each with a loop
// of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/anchors_postgres.h"
#include "audit/conninfo.h"
#include "base/loop.h"
#include "base/result.h"
#include "config/config.h"
#include "officers/api_metrics.h"

namespace holdfast::officers {

class Anchors {
 public:
  // Reads files, waits for nobody. `origin` is the log's; an anchor file of another is refused.
  // `tree` is asked from start() to stop(), from any thread. kInvalid, kNotFound, kRefused: one
  // line that names the file or the key.
  static Result<std::unique_ptr<Anchors>> open(const config::Anchors& options,
                                               const audit::Database& database,
                                               const std::string& origin,
                                               std::function<audit::TreeStatus()> tree);
  ~Anchors();  // Stops.

  void start();
  void stop();

  // What audit::TreeKeeperOptions wants of them.
  std::vector<audit::TreeHead> held() const { return held_; }
  Status opinion(std::uint64_t leadership) const;

  std::vector<audit::AnchorStatus> status() const;
  // This must then outlive every later use of the metrics.
  void expose(ApiMetrics& metrics) const;

 private:
  Anchors() = default;
  Status add_file(const config::Anchors& options, const audit::AnchorOptions& common,
                  const std::string& origin);
  Status add_witnesses(const config::Anchors& options, const audit::AnchorOptions& common);
  Status add_timestamps(const config::Anchors& options, const audit::AnchorOptions& common);
  Status add_sink(const config::Anchors& options, const audit::AnchorOptions& common);

  // Constant from start() on.
  std::vector<audit::TreeHead> held_;
  std::vector<std::unique_ptr<audit::Anchor>> anchors_;
  std::vector<const audit::WitnessAnchor*> witnesses_;  // Of those.
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace holdfast::officers
