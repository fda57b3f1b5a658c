// A bounded map from text to values that stop being true at a known time.
//
// Safe to call from any thread; no call waits for anything but the lock. When full, the entry that
// was used longest ago makes room. `Time` is the clock's time that entries expire by: WallTime
// where somebody else sets the end (a token's exp), SteadyTime for an age.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"

namespace holdfast::identity {

template <class Value, class Time>
class ExpiringCache {
 public:
  // `entries_max` is at least 1.
  explicit ExpiringCache(std::size_t entries_max) : entries_max_(entries_max) {}

  // The value, unless it is absent or `now` has reached its end.
  std::optional<Value> find(std::string_view key, Time now) {
    MutexLock lock(mutex_);
    const auto it = by_key_.find(key);
    if (it == by_key_.end()) return std::nullopt;
    if (now >= it->second->until) {
      entries_.erase(it->second);
      by_key_.erase(it);
      return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, it->second);
    return it->second->value;
  }

  void put(std::string key, Value value, Time until) {
    MutexLock lock(mutex_);
    const auto old = by_key_.find(key);
    if (old != by_key_.end()) {
      entries_.erase(old->second);
      by_key_.erase(old);
    } else if (entries_.size() >= entries_max_) {
      by_key_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({std::move(key), std::move(value), until});
    by_key_.emplace(entries_.front().key, entries_.begin());
  }

  std::size_t size() {
    MutexLock lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    std::string key;
    Value value;
    Time until;
  };
  using Entries = std::list<Entry>;  // Used last in front.

  const std::size_t entries_max_;
  Mutex mutex_;
  Entries entries_ HOLDFAST_GUARDED_BY(mutex_);
  // The keys are views into the entries, whose addresses never change.
  std::map<std::string_view, typename Entries::iterator> by_key_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::identity
