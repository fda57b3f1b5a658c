// Operations whose outcome is unknown and that no reconciliation has settled yet: the port through
// which they are looked at.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::audit {

struct Unsettled {
  Uuid operation_id;
  std::int64_t outcome_index = 0;
  nlohmann::json content;  // The outcome's members, those that the log gives out itself left out.
};

// Which ones to look at: the oldest `at_most` at or behind an index of the log that have been
// unknown for `age` on the database's clock.
struct UnsettledRange {
  std::int64_t from = 0;
  std::size_t at_most = 20;
  std::chrono::milliseconds age{0};
};

// For one thread, but for interrupt().
class UnsettledSource {
 public:
  using Work = std::function<void(const std::vector<Unsettled>&)>;
  virtual ~UnsettledSource() = default;

  // Shows them to `work`, if there are any, and returns how many. While `work` runs no other
  // process's does; one that finds another at work returns 0. Errors: kUnavailable, kTimeout,
  // kInternal; `work` may have run.
  virtual Result<std::size_t> visit(const UnsettledRange& range, const Work& work) = 0;

  // From any thread: breaks off what runs and fails what comes, for good.
  virtual void interrupt() = 0;
};

}  // namespace holdfast::audit
