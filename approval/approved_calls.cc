#include "approval/approved_calls.h"

#include <iterator>
#include <utility>

namespace holdfast::approval {

bool ApprovedCalls::make_room(std::size_t wanted) {
  const SteadyTime since = clock_.steady_now() - kKeptFor;
  MutexLock lock(mutex_);
  while (arrivals_.size() + wanted > at_most_ && !arrivals_.empty() &&
         arrivals_.front().at < since) {
    by_binding_.erase(arrivals_.front().call.binding);
    arrivals_.pop_front();
  }
  return arrivals_.size() + wanted <= at_most_;
}

void ApprovedCalls::add(ApprovedCall call) {
  const SteadyTime now = clock_.steady_now();
  MutexLock lock(mutex_);
  const auto known = by_binding_.find(call.binding);
  if (known != by_binding_.end()) {
    // What is approved of a binding is one at a time: this one is newer.
    *known->second = {.call = std::move(call), .at = known->second->at};
    return;
  }
  if (arrivals_.size() >= at_most_) return;
  const Sha256 binding = call.binding;
  arrivals_.push_back({.call = std::move(call), .at = now});
  by_binding_.emplace(binding, std::prev(arrivals_.end()));
}

std::optional<ApprovedCall> ApprovedCalls::take(const Sha256& binding) {
  MutexLock lock(mutex_);
  const auto known = by_binding_.find(binding);
  if (known == by_binding_.end()) return std::nullopt;
  ApprovedCall call = std::move(known->second->call);
  arrivals_.erase(known->second);
  by_binding_.erase(known);
  return call;
}

}  // namespace holdfast::approval
