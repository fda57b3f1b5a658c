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
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "http/descriptor.h"

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
  int family() const { return address_.ss_family; }
  void connect(int descriptor) const {
    ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address_), size_);
  }

 private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
};

// Throws when there is none.
Descriptor checked(int number) {
  if (number < 0) throw std::system_error(errno, std::generic_category());
  return Descriptor(number);
}

Descriptor open_socket(int family) {
  return checked(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// On a free port of the loopback, where nobody can connect yet.
Descriptor open_bound_socket() {
  Descriptor socket = open_socket(AF_INET);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error(errno, std::generic_category());
  }
  return socket;
}

// Pistache forgets what it has accepted and not handed over when it is shut down, and leaves it
// open for ever. So before that its number for the listening socket is made to stand for another
// one, where nothing waits but a connection of our own: Pistache accepts no client after that one,
// and once it is handed over, everything before it has been.
class LastInQueue {
 public:
  // Opens all that passing through needs, so that it does not fail for want of a descriptor when
  // that time comes. Throws when it cannot.
  void prepare(int pistaches) {
    pistaches_ = pistaches;
    listening_ = checked(::fcntl(pistaches, F_DUPFD_CLOEXEC, 0));
    other_ = open_bound_socket();
    last_ = open_socket(AF_INET);
    waking_ = open_socket(End(pistaches, End::Side::kOwn).family());
    const MutexLock lock(mutex_);
    for (int each = 0; each < kSpares; ++each) {
      spares_.push_back(checked(::fcntl(last_.number(), F_DUPFD_CLOEXEC, 0)));
    }
  }

  // A duplicate of Pistache's, which keeps the clients that Pistache has not accepted.
  int listening() const { return listening_.number(); }

  // From the thread that ends the listener, once.
  void pass_through() {
    const End there(other_.number(), End::Side::kOwn);
    const End here(listening_.number(), End::Side::kOwn);
    ::listen(other_.number(), 1);
    there.connect(last_.number());
    {
      const MutexLock lock(mutex_);
      last_from_.emplace(End(last_.number(), End::Side::kOwn), there.port());
      ::dup3(other_.number(), pistaches_, O_CLOEXEC);
      // What Pistache polls is still the clients' socket.
      here.connect(waking_.number());
      waking_from_.emplace(End(waking_.number(), End::Side::kOwn), here.port());
    }
    wait();
    for (Descriptor* each : {&other_, &last_, &waking_}) each->close();
  }

  // From any thread. Whether this is a connection of our own.
  bool recognises(int descriptor) {
    const Arrival connection(End(descriptor, End::Side::kPeer),
                             End(descriptor, End::Side::kOwn).port());
    const MutexLock lock(mutex_);
    if (connection == last_from_) {
      passed_ = true;
      changed_.notify_all();
      return true;
    }
    return connection == waking_from_;
  }

  // From Pistache's accepting thread, when it could not accept. Whether it should try again at
  // once.
  bool makes_room() {
    const MutexLock lock(mutex_);
    if (!last_from_ || spares_.empty()) return false;
    spares_.pop_back();
    return true;
  }

  // From any thread. Whether Pistache is to find nobody any more.
  bool is_ending() {
    const MutexLock lock(mutex_);
    return last_from_.has_value();
  }

 private:
  // Its client's end and the port that it came to: a client of ours on this machine can have the
  // port that another one has towards another socket.
  using Arrival = std::pair<End, std::uint16_t>;

  static constexpr std::chrono::seconds kPatience{2};
  static constexpr int kSpares = 4;

  void wait() {
    const SteadyTime deadline = std::chrono::steady_clock::now() + kPatience;
    const MutexLock lock(mutex_);
    while (!passed_ && std::chrono::steady_clock::now() < deadline) {
      changed_.wait_for(mutex_, kPatience);
    }
  }

  // Set by prepare().
  int pistaches_ = -1;
  Descriptor listening_;
  Descriptor other_;
  Descriptor last_;    // Towards that one,
  Descriptor waking_;  // and towards the clients' socket.

  Mutex mutex_;
  Condition changed_;
  std::optional<Arrival> last_from_ HOLDFAST_GUARDED_BY(mutex_);
  std::optional<Arrival> waking_from_ HOLDFAST_GUARDED_BY(mutex_);
  bool passed_ HOLDFAST_GUARDED_BY(mutex_) = false;
  // For Pistache to accept the last one with; some, because others may be faster than it.
  std::vector<Descriptor> spares_ HOLDFAST_GUARDED_BY(mutex_);
};

// Pistache copies handlers, one for each of its workers; all copies hand over to the same place.
class Handover : public Pistache::Tcp::Handler {
  PROTOTYPE_OF(Pistache::Tcp::Handler, Handover)

 public:
  Handover(Listener::Accepted accepted, LastInQueue& last)
      : accepted_(std::move(accepted)), last_(&last) {}

  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    const int theirs = static_cast<int>(peer->fd());
    const bool own = last_->recognises(theirs);
    Descriptor ours(::fcntl(theirs, F_DUPFD_CLOEXEC, 0));
    if (ours.number() < 0 || !replace_by_closed(theirs)) {
      // Still Pistache's to close, which it does at the end of file that this makes it see.
      ::shutdown(theirs, SHUT_RDWR);
      ours.close();
    }
    if (!own) accepted_(ours.release());
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

// Pistache does not say which descriptor it listens on: the one that listens on `port`, or -1.
int find_listening(std::uint16_t port) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  for (int each = 0; each < static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 4096)); ++each) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(each, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
      continue;
    }
    if (End(each, End::Side::kOwn).port() == port) return each;
  }
  return -1;
}

// Pistache tells its logger, on the accepting thread, that it could not accept, which out of
// descriptors is at once true again. Waiting here is what keeps it from spinning.
class WaitBeforeNextAccept : public Pistache::Log::StringLogger {
 public:
  explicit WaitBeforeNextAccept(LastInQueue& last) : last_(&last) {}

  void log(Pistache::Log::Level, const std::string& message) override {
    if (last_->makes_room()) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - reported_ > std::chrono::seconds(10) && !last_->is_ending()) {
      reported_ = now;
      log_error("connections cannot be accepted", {{"reason", message}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  bool isEnabledFor(Pistache::Log::Level level) const override {
    return level >= Pistache::Log::Level::WARN;
  }

 private:
  LastInQueue* last_;
  std::chrono::steady_clock::time_point reported_{};
};

class PistacheListener : public Listener {
 public:
  PistacheListener(const std::string& address, std::uint16_t port, Accepted accepted)
      : accepted_(std::move(accepted)), listener_(std::make_unique<Pistache::Tcp::Listener>()) {
    using Pistache::Tcp::Options;
    listener_->init(1, Pistache::Flags<Options>(Options::ReuseAddr) | Options::CloseOnExec, "",
                    kBacklog, std::make_shared<WaitBeforeNextAccept>(last_));
    listener_->setHandler(std::make_shared<Handover>(accepted_, last_));
    listener_->bind(Pistache::Address(address, Pistache::Port(port)));
    port_ = static_cast<std::uint16_t>(listener_->getPort());
    last_.prepare(find_listening(port_));
    listener_->runThreaded();
  }

  // Clients whose connections the kernel has made already are not turned away: once Pistache has
  // stopped, what is left in the backlog is accepted here.
  ~PistacheListener() override {
    last_.pass_through();
    listener_.reset();
    // The kernel keeps one more than it is asked to.
    for (int left = kBacklog + 1; left > 0; --left) {
      Descriptor connected(
          ::accept4(last_.listening(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (connected.number() < 0 && errno == EAGAIN) break;
      if (connected.number() < 0) continue;  // One that its client has given up.
      if (!last_.recognises(connected.number())) accepted_(connected.release());
    }
  }

  std::uint16_t port() const override { return port_; }

 private:
  const Accepted accepted_;
  LastInQueue last_;
  std::unique_ptr<Pistache::Tcp::Listener> listener_;
  std::uint16_t port_ = 0;
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
