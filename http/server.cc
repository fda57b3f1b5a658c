#include "http/server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "http/admission.h"
#include "http/connection.h"
#include "http/descriptor.h"
#include "http/listener_pistache.h"
#include "http/tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

// Lets the worker destroy what still waits while everything that it refers to is alive.
class WorkerContext : public boost::asio::io_context {
 public:
  WorkerContext() : io_context(1) {}
  using io_context::shutdown;
};

class Worker {
 public:
  Worker(ServerState& state, TlsContext* tls)
      : tls_(tls),
        first_request_grace_(state.options.first_request_grace),
        host_(context_.get_executor(), state) {}

  void start(const HandlerFactory& factory) {
    host_.handler = factory(context_.get_executor());
    thread_ = std::thread([this] { run(); });
  }

  // From any thread.
  void adopt(Descriptor descriptor, Admission::Share share) {
    boost::asio::post(
        context_, [this, descriptor = std::move(descriptor), share = std::move(share)]() mutable {
          serve(std::move(descriptor), std::move(share));
        });
  }

  // From any thread but this one.
  void drain() {
    boost::asio::post(context_, [this] {
      host_.draining = true;
      for (Connection& connection : host_.connections) connection.drain();
      first_request_.expires_after(first_request_grace_);
      first_request_.async_wait([this](boost::system::error_code failed) {
        if (failed) return;
        for (Connection& connection : host_.connections) connection.end_unless_begun();
      });
    });
  }

  // From any thread but this one.
  void give_up() {
    boost::asio::post(context_, [this] {
      host_.handler->give_up();
      for (Connection& connection : host_.connections) connection.give_up();
    });
  }

  void stop() { context_.stop(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    for (;;) {
      try {
        context_.run();
        break;
      } catch (const std::exception& failure) {
        log_error("a worker caught what nobody else did", {{"reason", failure.what()}});
      }
    }
    context_.shutdown();
    host_.handler.reset();
  }

  void serve(Descriptor descriptor, Admission::Share share) {
    sockaddr_storage local{};
    socklen_t size = sizeof local;
    const int number = descriptor.release();
    ::getsockname(number, reinterpret_cast<sockaddr*>(&local), &size);
    tcp::socket socket(context_);
    boost::system::error_code failed;
    socket.assign(local.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), number, failed);
    if (failed) {
      ::close(number);
      return;
    }
    const tcp::endpoint remote = socket.remote_endpoint(failed);
    if (failed) return;
    boost::asio::ip::address address = remote.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
    }
    limit_queue(socket);
    auto stream = tls_ != nullptr ? tls_->wrap(std::move(socket), host_.watchdog)
                                  : make_plain_stream(std::move(socket), host_.watchdog);
    if (!stream) return;
    auto connection = std::make_unique<Connection>(
        std::move(stream),
        Peer{.address = address.to_string(), .port = remote.port(), .tls = tls_ != nullptr}, host_);
    boost::asio::co_spawn(context_, run_connection(std::move(connection), std::move(share)),
                          boost::asio::detached);
  }

  // A client that takes its answer slowly must not have the system keep much of it.
  void limit_queue(tcp::socket& socket) const {
    const int bytes = static_cast<int>(host_.options.queued_answer_bytes_max);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
  }

  static Task<void> run_connection(std::unique_ptr<Connection> connection,
                                   [[maybe_unused]] Admission::Share share) {
    try {
      co_await connection->run();
    } catch (const std::exception& failure) {
      log_error("a connection failed", {{"reason", failure.what()}});
    }
  }

  WorkerContext context_;
  const boost::asio::executor_work_guard<boost::asio::io_context::executor_type> keep_running_{
      context_.get_executor()};
  TlsContext* const tls_;
  const std::chrono::milliseconds first_request_grace_;
  ConnectionHost host_;
  boost::asio::steady_timer first_request_{context_};  // While draining.
  std::thread thread_;
};

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerOptions options)
      : state_(std::move(options)), admission_(state_.options, state_.metrics()) {}

  ~Impl() {
    listener_.reset();
    for (const auto& worker : workers_) worker->stop();
    for (const auto& worker : workers_) worker->join();
  }

  Status start(const HandlerFactory& factory) {
    ::signal(SIGPIPE, SIG_IGN);
    const ServerOptions& options = state_.options;
    if (!options.tls.certificate_file.empty() || !options.tls.key_file.empty()) {
      auto tls = ServerTls::make(options.tls, system_clock());
      if (!tls.ok()) return tls.error();
      tls_ = std::move(*tls);
    }
    for (int each = 0; each < std::max(1, options.threads); ++each) {
      workers_.push_back(std::make_unique<Worker>(state_, tls_.get()));
      workers_.back()->start(factory);
    }
    auto listener = Listener::start(options.address, options.port,
                                    [this](int number) { accept(Descriptor(number)); });
    if (!listener.ok()) return listener.error();
    listener_ = std::move(*listener);
    port_ = listener_->port();
    return {};
  }

  std::uint16_t port() const { return port_; }

  Status reload_tls() { return tls_ ? tls_->reload() : Status(); }

  bool drain(std::chrono::milliseconds timeout) {
    if (listener_) {
      listener_.reset();
      for (const auto& worker : workers_) worker->drain();
    }
    return admission_.wait_for_none(timeout);
  }

  void give_up() {
    for (const auto& worker : workers_) worker->give_up();
  }

 private:
  // On the listener's thread.
  void accept(Descriptor descriptor) {
    std::optional<Admission::Share> share = admission_.admit(descriptor.number());
    if (!share) return;
    workers_[next_worker_++ % workers_.size()]->adopt(std::move(descriptor), *std::move(share));
  }

  ServerState state_;
  Admission admission_;  // Outlives the workers, whose connections hold shares.
  std::unique_ptr<ServerTls> tls_;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::size_t next_worker_ = 0;  // The listener's thread only.
  std::unique_ptr<Listener> listener_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, HandlerFactory factory) {
  auto impl = std::make_unique<Impl>(std::move(options));
  const Status started = impl->start(factory);
  if (!started.ok()) return started.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const {
  return impl_->port();
}

Status Server::reload_tls() {
  return impl_->reload_tls();
}

bool Server::drain(std::chrono::milliseconds timeout) {
  return impl_->drain(timeout);
}

void Server::give_up() {
  impl_->give_up();
}

}  // namespace holdfast::http
