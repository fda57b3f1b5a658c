// Runs what waits for others on the thread that asks for it, until another thread breaks it off.
#pragma once

#include <boost/asio/io_context.hpp>

#include "base/mutex.h"
#include "base/task.h"

namespace holdfast::officers {

class TaskRunner {
 public:
  // Runs the task to its end, or until interrupt(): then it ends where it waits. From one thread.
  void run(Task<void> task) HOLDFAST_EXCLUDES(mutex_);

  // From any thread; nothing runs any more after it.
  void interrupt() HOLDFAST_EXCLUDES(mutex_);
  bool is_interrupted() const HOLDFAST_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  boost::asio::io_context* running_ HOLDFAST_GUARDED_BY(mutex_) = nullptr;
  bool interrupted_ HOLDFAST_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::officers
