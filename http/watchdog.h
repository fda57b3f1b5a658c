// Deadlines for many connections on one timer.
//
// Setting and clearing a deadline happens with every wait on a socket and costs two list links; the
// timer itself is touched only when a deadline comes before every other one. A deadline fires up to
// 20 ms late and never early.
//
// One thread: the executor's.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>

#include "base/clock.h"

namespace holdfast::http {

// One deadline. `on_expired` runs once when it has passed, and may destroy any Watch, this one too.
// Unarmed by its destructor.
class Watch : public boost::intrusive::list_base_hook<
                  boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit Watch(std::function<void()> on_expired) : on_expired_(std::move(on_expired)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Whether the deadline last armed has passed while armed.
  bool expired() const { return expired_; }
  void disarm() { unlink(); }

 private:
  friend class Watchdog;
  std::function<void()> on_expired_;
  SteadyTime deadline_;
  bool expired_ = false;
};

class Watchdog {
 public:
  explicit Watchdog(boost::asio::any_io_executor executor);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void arm(Watch& watch, SteadyTime deadline);

 private:
  struct State;
  std::shared_ptr<State>
      state_;  // Shared with the timer's handler, which may run a last time after us.
};

}  // namespace holdfast::http
