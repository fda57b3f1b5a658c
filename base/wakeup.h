// Wakes a thread that waits for others and for a socket at once.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <system_error>

namespace holdfast {

class Wakeup {
 public:
  // Throws std::system_error when the process has no descriptor left.
  Wakeup() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Wakeup() { ::close(event_); }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // From any thread. Remembered until the next wait().
  void notify() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event_, &one, sizeof(one));
  }

  // Until notify(), something to read from the socket, or the limit; may also return for nothing.
  void wait(std::chrono::nanoseconds limit, std::optional<int> socket = std::nullopt) {
    std::array<pollfd, 2> states{{{.fd = event_, .events = POLLIN, .revents = 0},
                                  {.fd = socket.value_or(-1), .events = POLLIN, .revents = 0}}};
    const auto rest = std::max(limit, std::chrono::nanoseconds(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
    const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (rest - seconds).count()};
    if (::ppoll(states.data(), states.size(), &timeout, nullptr) > 0 && states[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto read = ::read(event_, &count, sizeof(count));
    }
  }

 private:
  const int event_;
};

}  // namespace holdfast
