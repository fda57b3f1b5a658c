// Threads that do one thing again and again: deriving search, making partitions, settling what dead
// writers left open.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/result.h"

namespace holdfast {

// What a loop does each time.
struct LoopWork {
  std::string name;                    // For the log and for readyz.
  std::chrono::milliseconds interval;  // Between the end of one step and the next.
  std::function<Result<bool>()> step;  // May block. True: more is left, go on at once.
  std::function<void()> interrupt;     // From another thread: makes a blocked step return soon.
};

// Runs from construction to stop(). An error is logged when it begins, and again when it ends, not
// at every step in between.
class Loop {
 public:
  explicit Loop(LoopWork work);
  ~Loop();  // Stops.
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Interrupts the step that runs, and joins. From one thread.
  void stop();

  const std::string& name() const { return work_.name; }

  // Why the last step failed, one line; empty when it did not.
  std::optional<std::string> problem() const;

 private:
  void run();
  void note(const Status& status);

  const LoopWork work_;
  mutable Mutex mutex_;
  Condition stopped_;
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::optional<std::string> problem_ HOLDFAST_GUARDED_BY(mutex_);
  std::thread thread_;  // Last: it uses all the above.
};

}  // namespace holdfast
