#include "audit/socket_watchdog.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace holdfast::audit {
namespace {

using namespace std::chrono_literals;

class SocketWatchdogTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets_.data()), 0); }
  void TearDown() override {
    for (const int socket : sockets_) ::close(socket);
  }
  // What a read says of a socket that was shut down: its end.
  ssize_t read() {
    char byte = 0;
    return ::read(sockets_[0], &byte, 1);
  }

  std::array<int, 2> sockets_{};
  SocketWatchdog watchdog_;
};

TEST_F(SocketWatchdogTest, EndsWhatOutlastsItsDeadline) {
  const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 10ms);
  EXPECT_EQ(read(), 0);
  EXPECT_TRUE(guard.expired());
}

TEST_F(SocketWatchdogTest, ADeadlineAfterThatOfAnEarlierWatchIsKept) {
  const auto begun = std::chrono::steady_clock::now();
  {
    const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 1ms);
  }
  const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 50ms);
  EXPECT_FALSE(guard.expired());
  EXPECT_EQ(read(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 50ms);
}

// It may be asleep until the end of a longer one.
TEST_F(SocketWatchdogTest, ADeadlineBeforeThatOfAnEarlierWatchIsKept) {
  {
    const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 1h);
  }
  {
    const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 2h);
  }
  const SocketWatchdog::Guard guard = watchdog_.watch(sockets_[0], 10ms);
  EXPECT_EQ(read(), 0);
}

}  // namespace
}  // namespace holdfast::audit
