// A deadline for blocking work on a socket: when it passes, the socket is shut down, so that a
// library that waits on it without a time limit of its own returns with an error.
//
//   SocketWatchdog::Guard guard = watchdog.watch(connection.sock(), 5s);
//   connection.exec(…);
//   if (guard.expired()) …
//
// The descriptor must stay open while the guard lives. One guard at a time. Owns one thread.
#pragma once

#include <chrono>
#include <thread>

#include "base/mutex.h"

namespace holdfast::audit {

class SocketWatchdog {
 public:
  class Guard {
   public:
    ~Guard() { watchdog_.disarm(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    bool expired() const { return watchdog_.expired(); }

   private:
    friend class SocketWatchdog;
    explicit Guard(SocketWatchdog& watchdog) : watchdog_(watchdog) {}
    SocketWatchdog& watchdog_;
  };

  SocketWatchdog();
  ~SocketWatchdog();
  SocketWatchdog(const SocketWatchdog&) = delete;
  SocketWatchdog& operator=(const SocketWatchdog&) = delete;

  Guard watch(int socket, std::chrono::milliseconds limit);

 private:
  void run();
  void disarm();
  bool expired() const;

  mutable Mutex mutex_;
  Condition changed_;
  int socket_ HOLDFAST_GUARDED_BY(mutex_) = -1;
  bool expired_ HOLDFAST_GUARDED_BY(mutex_) = false;
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::chrono::steady_clock::time_point deadline_ HOLDFAST_GUARDED_BY(mutex_);
  // Until then the thread sleeps by itself.
  std::chrono::steady_clock::time_point looks_at_ HOLDFAST_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace holdfast::audit
