#include "audit/socket_watchdog.h"

#include <sys/socket.h>

namespace holdfast::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kIdle{60'000};

}  // namespace

SocketWatchdog::SocketWatchdog() : thread_([this] { run(); }) {}

SocketWatchdog::~SocketWatchdog() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

SocketWatchdog::Guard SocketWatchdog::watch(int socket, milliseconds limit) {
  bool sooner = false;
  {
    MutexLock lock(mutex_);
    socket_ = socket;
    expired_ = false;
    const auto deadline = steady_clock::now() + limit;
    // The thread sleeps until a deadline of earlier, which is nearly always early enough: it then
    // looks again. So a watch that ends in time costs no wake-up.
    sooner = deadline < looks_at_;
    deadline_ = deadline;
  }
  if (sooner) changed_.notify_all();
  return Guard(*this);
}

void SocketWatchdog::disarm() {
  MutexLock lock(mutex_);
  socket_ = -1;
}

bool SocketWatchdog::expired() const {
  MutexLock lock(mutex_);
  return expired_;
}

void SocketWatchdog::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    const auto now = steady_clock::now();
    if (socket_ >= 0 && now >= deadline_) {
      ::shutdown(socket_, SHUT_RDWR);
      expired_ = true;
      socket_ = -1;
    }
    looks_at_ = now < deadline_ ? deadline_ + milliseconds(1) : now + kIdle;
    changed_.wait_for(mutex_, looks_at_ - now);
  }
}

}  // namespace holdfast::audit
