#include "http/listener_pistache.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <list>
#include <thread>

namespace holdfast::http {
namespace {

constexpr int kLongMilliseconds = 10'000;

// Connects again and again, each time until the other side ends that, and ends when it is refused.
class Client {
 public:
  explicit Client(std::uint16_t port) : thread_([this, port] { run(port); }) {}
  ~Client() { join(); }

  int ended() const { return ended_; }
  // Whether nobody has answered it, or turned it away, in a long time.
  bool forgotten() {
    join();
    return forgotten_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  void run(std::uint16_t port) {
    while (!forgotten_ && connect_once(port)) ++ended_;
  }

  bool connect_once(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected =
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (connected) {
      // The kernel drops some without a word when the listening socket goes, unless it is asked.
      ::send(descriptor, "?", 1, MSG_NOSIGNAL);
      pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
      forgotten_ = ::poll(&waiting, 1, kLongMilliseconds) == 0;
    }
    ::close(descriptor);
    return connected;
  }

  std::atomic<int> ended_{0};
  bool forgotten_ = false;  // The thread's, until it ends.
  std::thread thread_;
};

TEST(Listener, ForgetsNobodyWhoConnectsWhileItEnds) {
  for (int round = 0; round < 40; ++round) {
    auto listener = Listener::start("127.0.0.1", 0, [](int descriptor) { ::close(descriptor); });
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    std::list<Client> clients;
    for (int each = 0; each < 4; ++each) clients.emplace_back((*listener)->port());
    while (clients.back().ended() < 5) std::this_thread::yield();
    (*listener).reset();
    for (Client& client : clients) ASSERT_FALSE(client.forgotten()) << "in round " << round;
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
