// Keeps a list file of the rules as eDiscovery's legal holds are: asks Graph for the user sources
// of the holds and writes their mailboxes into the file, as of when it began to ask. The rest is
// the rules' (docs/rules.md): proxies read the file, names it gains restrict at once, names it
// loses wait for an admin where two people are needed, and when it grows too old it restricts
// everybody.
//
// So whatever keeps Graph from saying everything leaves the file alone: no answer, a refusal, a
// page that is missing or odd. The file is always a whole one. Where several processes keep one
// file, one at a time does.
//
// The loop's thread calls step(); the rest is for any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/client.h"
#include "http/origin.h"
#include "identity/graph_credential.h"
#include "identity/graph_lookup.h"
#include "officers/task_runner.h"

namespace holdfast::officers {

struct HoldSyncOptions {
  http::ClientOptions graph;
  std::string list_file;
  std::vector<std::string> holds;  // CASE or CASE/HOLD; none: of all cases that are not closed.
  std::chrono::milliseconds interval{300'000};
  std::chrono::milliseconds retry{30'000};  // After a failure, where that is sooner.
  std::chrono::milliseconds question_timeout{30'000};
  std::size_t pages_max = 10'000;       // Of one step, all collections together.
  std::size_t mailboxes_max = 200'000;  // What a list of the rules has room for.
};

class HoldSync {
 public:
  // `clock` and `metrics` must outlive this.
  HoldSync(HoldSyncOptions options, std::unique_ptr<identity::GraphCredential> credential,
           const Clock& clock, Metrics& metrics);

  // Asks and writes, where it is time again. An error is counted, and logged when it is another
  // than last time.
  Status step();

  void interrupt() { runner_.interrupt(); }

  // Since Graph was asked for what the file says; where there is none, since this began.
  double age_s() const;

 private:
  // One reading of all holds.
  struct Reading {
    identity::GraphLookup& graph;
    const std::string& token;
    std::size_t pages = 0;
    std::set<std::string> seen{};  // Pages asked for.
    std::set<std::string> mailboxes{};
  };
  using Take = std::function<Status(const nlohmann::json&)>;

  Status sync();
  void note(const Status& done);
  Task<Result<std::set<std::string>>> read();
  Task<Result<std::vector<std::string>>> read_cases(Reading& reading);
  Task<Status> read_case(Reading& reading, std::string id);
  Task<Status> read_hold(Reading& reading, std::string case_id, std::string hold_id);
  Task<Status> visit(Reading& reading, std::string target, Take take);

  const HoldSyncOptions options_;
  const std::unique_ptr<identity::GraphCredential> credential_;
  const Clock& clock_;
  const WallTime began_;
  Counter& failures_;
  TaskRunner runner_;
  // The loop's thread's own.
  SteadyTime due_;
  std::string problem_;  // Of the last time; empty: there was none.
};

}  // namespace holdfast::officers
