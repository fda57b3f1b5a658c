// The guarded calls of one worker whose intent is recorded and whose outcome is not yet: since when
// the oldest has been open. Begun and ended on the worker's thread; oldest() from any.
#pragma once

#include <atomic>
#include <list>

#include "base/clock.h"

namespace holdfast::proxy {

class OpenOperations {
 public:
  // One open operation. Must not outlive the OpenOperations.
  class Entry {
   public:
    Entry(OpenOperations& all, SteadyTime begun)
        : all_(all), place_(all.begun_.insert(all.begun_.end(), begun)) {
      all_.publish();
    }
    ~Entry() {
      all_.begun_.erase(place_);
      all_.publish();
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    OpenOperations& all_;
    const std::list<SteadyTime>::iterator place_;
  };

  // When the oldest began; SteadyTime::max() when none is open.
  SteadyTime oldest() const { return oldest_.load(std::memory_order_relaxed); }

 private:
  void publish() {
    const SteadyTime first = begun_.empty() ? SteadyTime::max() : begun_.front();
    oldest_.store(first, std::memory_order_relaxed);
  }

  std::list<SteadyTime> begun_;  // In the order they began.
  std::atomic<SteadyTime> oldest_{SteadyTime::max()};
};

}  // namespace holdfast::proxy
