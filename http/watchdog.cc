#include "http/watchdog.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

namespace holdfast::http {
namespace {

constexpr std::chrono::milliseconds kSpacing{20};

using Watches = boost::intrusive::list<Watch, boost::intrusive::constant_time_size<false>>;

}  // namespace

struct Watchdog::State : std::enable_shared_from_this<Watchdog::State> {
  explicit State(const boost::asio::any_io_executor& executor) : timer(executor) {}

  void wake_at(SteadyTime time) {
    next_wake = time;
    timer.expires_at(time);
    timer.async_wait([weak = weak_from_this()](boost::system::error_code failed) {
      const std::shared_ptr<State> self = weak.lock();
      if (self && !failed) self->wake();
    });
  }

  void wake() {
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime first = SteadyTime::max();
    Watches expired;
    for (auto each = watches.begin(); each != watches.end();) {
      Watch& watch = *each++;
      if (watch.deadline_ > now) {
        first = std::min(first, watch.deadline_);
        continue;
      }
      watch.unlink();
      expired.push_back(watch);
    }
    next_wake = SteadyTime::max();
    if (first != SteadyTime::max()) wake_at(std::max(first, now + kSpacing));
    while (!expired.empty()) {
      Watch& watch = expired.front();
      expired.pop_front();
      watch.expired_ = true;
      watch.on_expired_();
    }
  }

  boost::asio::steady_timer timer;
  Watches watches;
  SteadyTime next_wake = SteadyTime::max();
};

Watchdog::Watchdog(boost::asio::any_io_executor executor)
    : state_(std::make_shared<State>(executor)) {}

Watchdog::~Watchdog() {
  state_->timer.cancel();
  state_->watches.clear();
}

void Watchdog::arm(Watch& watch, SteadyTime deadline) {
  watch.unlink();
  watch.deadline_ = deadline;
  watch.expired_ = false;
  state_->watches.push_back(watch);
  if (deadline < state_->next_wake) state_->wake_at(deadline);
}

}  // namespace holdfast::http
