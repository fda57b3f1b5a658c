#include "http/listener_pistache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <thread>
#include <vector>

#include "http/descriptor.h"

namespace holdfast::http {
namespace {

using namespace std::chrono_literals;

constexpr int kLongMilliseconds = 10'000;
// The listener waits longer for its own last connection before it gives that up.
constexpr auto kAtOnce = 1500ms;

// Connects again and again, each time until the other side ends that, and ends when it is refused.
// All descriptors that it needs are open from the beginning to the end.
class Client {
 public:
  explicit Client(std::uint16_t port) {
    for (int each = 0; each < kTries; ++each) {
      sockets_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }
    thread_ = std::thread([this, port] { run(port); });
  }
  ~Client() { join(); }

  int ended() const { return ended_; }
  // Whether nobody has answered it, or turned it away, in a long time.
  bool forgotten() {
    join();
    return forgotten_;
  }

 private:
  static constexpr int kTries = 100;

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  void run(std::uint16_t port) {
    for (const Descriptor& socket : sockets_) {
      if (forgotten_ || !connect(socket.number(), port)) return;
      ++ended_;
    }
  }

  bool connect(int descriptor, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return false;
    }
    // The kernel drops some without a word when the listening socket goes, unless it is asked.
    ::send(descriptor, "?", 1, MSG_NOSIGNAL);
    pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
    forgotten_ = ::poll(&waiting, 1, kLongMilliseconds) == 0;
    return true;
  }

  std::vector<Descriptor> sockets_;
  std::atomic<int> ended_{0};
  bool forgotten_ = false;  // The thread's, until it ends.
  std::thread thread_;
};

// While it lives, only so many more descriptors can be opened.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(int count) {
    std::vector<Descriptor> free;
    while (free.size() <= static_cast<std::size_t>(count)) {
      free.emplace_back(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    }
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(free.back().number());
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  DescriptorsLeft(const DescriptorsLeft&) = delete;
  DescriptorsLeft& operator=(const DescriptorsLeft&) = delete;
  ~DescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define HOLDFAST_UBSAN 1
#endif
#endif

class ListenerWithoutDescriptors : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef HOLDFAST_UBSAN
    GTEST_SKIP() << "UBSan opens a pipe to find out whether memory can be read";
#endif
  }
};

// For the listener to end with as many descriptors left; null: with all.
void expect_nobody_forgotten(std::optional<int> left) {
  for (int round = 0; round < 40; ++round) {
    auto listener = Listener::start("127.0.0.1", 0, [](int descriptor) { ::close(descriptor); });
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    std::list<Client> clients;
    for (int each = 0; each < 4; ++each) clients.emplace_back((*listener)->port());
    while (clients.back().ended() < 5) std::this_thread::yield();
    {
      std::optional<DescriptorsLeft> limit;
      if (left) limit.emplace(*left);
      (*listener).reset();
    }
    for (Client& client : clients) ASSERT_FALSE(client.forgotten()) << "in round " << round;
  }
}

TEST(Listener, ForgetsNobodyWhoConnectsWhileItEnds) {
  expect_nobody_forgotten(std::nullopt);
}

TEST_F(ListenerWithoutDescriptors, ForgetsNobodyWhoConnectsWhileItEnds) {
  expect_nobody_forgotten(0);
}

TEST_F(ListenerWithoutDescriptors, NeedsNoneToEnd) {
  std::atomic<int> accepted = 0;
  for (int round = 0; round < 20; ++round) {
    auto listener = Listener::start("127.0.0.1", 0, [&](int) { ++accepted; });
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    const DescriptorsLeft none(0);
    const auto begun = std::chrono::steady_clock::now();
    (*listener).reset();
    ASSERT_LT(std::chrono::steady_clock::now() - begun, kAtOnce);
  }
  EXPECT_EQ(accepted, 0);
}

TEST_F(ListenerWithoutDescriptors, SaysThatItCannotStart) {
  for (int left = 0;; ++left) {
    ASSERT_LT(left, 100);
    const DescriptorsLeft limit(left);
    const auto listener = Listener::start("127.0.0.1", 0, [](int) {});
    if (listener.ok()) break;
    EXPECT_EQ(listener.error().code, ErrorCode::kUnavailable);
  }
}

// It ends by connections of its own, which are nobody's.
TEST(Listener, HandsNobodyOverWhereNobodyCame) {
  std::atomic<int> accepted = 0;
  auto listener = Listener::start("127.0.0.1", 0, [&](int) { ++accepted; });
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  (*listener).reset();
  EXPECT_EQ(accepted, 0);
}

}  // namespace
}  // namespace holdfast::http
