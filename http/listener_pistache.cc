#include "http/listener_pistache.h"

#include <fcntl.h>
#include <pistache/listener.h>
#include <pistache/peer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace holdfast::http {
namespace {

constexpr int kBacklog = 1024;

// Pistache copies handlers, one for each of its workers; all copies hand over to the same place.
class Handover : public Pistache::Tcp::Handler {
  PROTOTYPE_OF(Pistache::Tcp::Handler, Handover)

 public:
  explicit Handover(Listener::Accepted accepted) : accepted_(std::move(accepted)) {}

  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    const int theirs = static_cast<int>(peer->fd());
    const int ours = ::fcntl(theirs, F_DUPFD_CLOEXEC, 0);
    if (ours < 0 || !replace_by_closed(theirs)) {
      // Still Pistache's to close, which it does at the end of file that this makes it see.
      ::shutdown(theirs, SHUT_RDWR);
      if (ours >= 0) ::close(ours);
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
};

class PistacheListener : public Listener {
 public:
  PistacheListener(const std::string& address, std::uint16_t port, Accepted accepted) {
    using Pistache::Tcp::Options;
    listener_.init(1, Pistache::Flags<Options>(Options::ReuseAddr) | Options::CloseOnExec, "",
                   kBacklog);
    listener_.setHandler(std::make_shared<Handover>(std::move(accepted)));
    listener_.bind(Pistache::Address(address, Pistache::Port(port)));
    listener_.runThreaded();
  }

  std::uint16_t port() const override { return static_cast<std::uint16_t>(listener_.getPort()); }

 private:
  Pistache::Tcp::Listener listener_;
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
