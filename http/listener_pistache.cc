#include "http/listener_pistache.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pistache/listener.h>
#include <pistache/peer.h>
#include <pistache/string_logger.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

namespace holdfast::http {
namespace {

constexpr int kBacklog = 1024;

// One end of a connection, to compare.
class End {
 public:
  enum class Side { kOwn, kPeer };

  End(int descriptor, Side side) {
    socklen_t size = sizeof address_;
    auto* const address = reinterpret_cast<sockaddr*>(&address_);
    const int failed = side == Side::kOwn ? ::getsockname(descriptor, address, &size)
                                          : ::getpeername(descriptor, address, &size);
    if (failed == 0) size_ = size;
  }
  bool operator==(const End& other) const {
    return size_ > 0 && size_ == other.size_ && std::memcmp(&address_, &other.address_, size_) == 0;
  }
  std::uint16_t port() const {
    return ntohs(address_.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6&>(address_).sin6_port
                     : reinterpret_cast<const sockaddr_in&>(address_).sin_port);
  }
  int connect() const {
    const int descriptor =
        ::socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) {
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address_), size_);
    }
    return descriptor;
  }

 private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
};

// Pistache forgets what it has accepted and not handed over when it is shut down, and leaves it
// open for ever. So a connection of our own goes last through its queue: once that is handed over,
// everything before it has been.
class LastInQueue {
 public:
  // From the thread that ends the listener.
  void pass_through(int listening) {
    int own = -1;
    {
      const MutexLock lock(mutex_);
      own = End(listening, End::Side::kOwn).connect();
      expected_.emplace(own, End::Side::kOwn);
    }
    const SteadyTime deadline = std::chrono::steady_clock::now() + kPatience;
    {
      const MutexLock lock(mutex_);
      while (!passed_ && std::chrono::steady_clock::now() < deadline) {
        changed_.wait_for(mutex_, kPatience);
      }
    }
    if (own >= 0) ::close(own);
  }

  // From Pistache's thread. Whether this is that connection.
  bool recognises(int descriptor) {
    const MutexLock lock(mutex_);
    if (!expected_ || End(descriptor, End::Side::kPeer) != *expected_) return false;
    passed_ = true;
    changed_.notify_all();
    return true;
  }

 private:
  static constexpr std::chrono::milliseconds kPatience{500};

  Mutex mutex_;
  Condition changed_;
  std::optional<End> expected_ HOLDFAST_GUARDED_BY(mutex_);
  bool passed_ HOLDFAST_GUARDED_BY(mutex_) = false;
};

// Pistache copies handlers, one for each of its workers; all copies hand over to the same place.
class Handover : public Pistache::Tcp::Handler {
  PROTOTYPE_OF(Pistache::Tcp::Handler, Handover)

 public:
  Handover(Listener::Accepted accepted, LastInQueue& last)
      : accepted_(std::move(accepted)), last_(&last) {}

  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    const int theirs = static_cast<int>(peer->fd());
    const int ours = ::fcntl(theirs, F_DUPFD_CLOEXEC, 0);
    if (ours < 0 || !replace_by_closed(theirs)) {
      // Still Pistache's to close, which it does at the end of file that this makes it see.
      ::shutdown(theirs, SHUT_RDWR);
      if (ours >= 0) ::close(ours);
      accepted_(-1);
      return;
    }
    if (last_->recognises(ours)) {
      ::close(ours);
      return;
    }
    accepted_(ours);
  }

  // Only ever the end of the replaced descriptor.
  void onInput(const char*, std::size_t, const std::shared_ptr<Pistache::Tcp::Peer>&) override {}

 private:
  static bool replace_by_closed(int descriptor) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
      return false;
    }
    const bool replaced = ::dup3(pair[0], descriptor, O_CLOEXEC) >= 0;
    ::close(pair[0]);
    ::close(pair[1]);
    return replaced;
  }

  Listener::Accepted accepted_;
  LastInQueue* last_;
};

// Pistache does not say which descriptor it listens on: another one for the socket that listens on
// `port`, or -1.
int duplicate_listening(std::uint16_t port) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  for (int each = 0; each < static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 4096)); ++each) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(each, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
      continue;
    }
    if (End(each, End::Side::kOwn).port() == port) return ::fcntl(each, F_DUPFD_CLOEXEC, 0);
  }
  return -1;
}

// Pistache tells its logger, on the accepting thread, that it could not accept, which out of
// descriptors is at once true again. Waiting here is what keeps it from spinning.
class WaitBeforeNextAccept : public Pistache::Log::StringLogger {
 public:
  void log(Pistache::Log::Level, const std::string& message) override {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported_ > std::chrono::seconds(10)) {
      reported_ = now;
      log_error("connections cannot be accepted", {{"reason", message}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  bool isEnabledFor(Pistache::Log::Level level) const override {
    return level >= Pistache::Log::Level::WARN;
  }

 private:
  std::chrono::steady_clock::time_point reported_{};
};

class PistacheListener : public Listener {
 public:
  PistacheListener(const std::string& address, std::uint16_t port, Accepted accepted)
      : accepted_(std::move(accepted)), listener_(std::make_unique<Pistache::Tcp::Listener>()) {
    using Pistache::Tcp::Options;
    listener_->init(1, Pistache::Flags<Options>(Options::ReuseAddr) | Options::CloseOnExec, "",
                    kBacklog, std::make_shared<WaitBeforeNextAccept>());
    listener_->setHandler(std::make_shared<Handover>(accepted_, last_));
    listener_->bind(Pistache::Address(address, Pistache::Port(port)));
    port_ = static_cast<std::uint16_t>(listener_->getPort());
    listening_ = duplicate_listening(port_);
    listener_->runThreaded();
  }

  // Clients whose connections the kernel has made already are not turned away: once Pistache has
  // stopped, what is left in the backlog is accepted here.
  ~PistacheListener() override {
    if (listening_ >= 0) last_.pass_through(listening_);
    listener_.reset();
    if (listening_ < 0) return;
    ::fcntl(listening_, F_SETFL, O_NONBLOCK);
    for (int left = kBacklog; left > 0; --left) {
      const int connected = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (connected < 0) break;
      accepted_(connected);
    }
    ::close(listening_);
  }

  std::uint16_t port() const override { return port_; }

 private:
  const Accepted accepted_;
  LastInQueue last_;
  std::unique_ptr<Pistache::Tcp::Listener> listener_;
  std::uint16_t port_ = 0;
  int listening_ = -1;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(const std::string& address, std::uint16_t port,
                                                  Accepted accepted) {
  try {
    const bool is_ipv6 = address.find(':') != std::string::npos;
    return std::unique_ptr<Listener>(std::make_unique<PistacheListener>(
        is_ipv6 ? "[" + address + "]" : address, port, std::move(accepted)));
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, "cannot listen on " + address + " port " +
                                              std::to_string(port) + ": " + failure.what()};
  }
}

}  // namespace holdfast::http
