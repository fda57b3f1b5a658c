#include "http/server.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "http/connection.h"
#include "http/listener_pistache.h"
#include "http/tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

// Descriptors kept for everything that is not a client's connection: upstream, database, files.
constexpr std::size_t kReservedDescriptors = 1024;

// Owns a descriptor on its way from the listener to a worker.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// How many connections there are, over all workers.
class Count {
 public:
  std::size_t add() { return ++count_; }

  void remove() {
    --count_;
    MutexLock lock(mutex_);
    changed_.notify_all();
  }

  bool wait_for_none(std::chrono::milliseconds timeout) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    MutexLock lock(mutex_);
    while (count_ > 0) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      changed_.wait_for(mutex_, left);
    }
    return true;
  }

 private:
  std::atomic<std::size_t> count_{0};
  Mutex mutex_;
  Condition changed_;
};

// One connection's share of the count.
class Counted {
 public:
  explicit Counted(Count& count) : count_(&count) {}
  Counted(Counted&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (count_ != nullptr) count_->remove();
  }

 private:
  Count* count_;
};

// Lets the worker destroy what still waits while everything that it refers to is alive.
class WorkerContext : public boost::asio::io_context {
 public:
  WorkerContext() : io_context(1) {}
  using io_context::shutdown;
};

class Worker {
 public:
  Worker(const ServerOptions& options, TlsContext* tls)
      : tls_(tls),
        first_request_grace_(options.first_request_grace),
        host_(context_.get_executor(), options) {}

  void start(const HandlerFactory& factory) {
    host_.handler = factory(context_.get_executor());
    thread_ = std::thread([this] { run(); });
  }

  // From any thread.
  void adopt(Descriptor descriptor, Counted counted) {
    boost::asio::post(context_, [this, descriptor = std::move(descriptor),
                                 counted = std::move(counted)]() mutable {
      serve(std::move(descriptor), std::move(counted));
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

  void serve(Descriptor descriptor, Counted counted) {
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
    auto stream = tls_ != nullptr ? tls_->wrap(std::move(socket), host_.watchdog)
                                  : make_plain_stream(std::move(socket), host_.watchdog);
    if (!stream) return;
    auto connection = std::make_unique<Connection>(
        std::move(stream),
        Peer{.address = address.to_string(), .port = remote.port(), .tls = tls_ != nullptr}, host_);
    boost::asio::co_spawn(context_, run_connection(std::move(connection), std::move(counted)),
                          boost::asio::detached);
  }

  static Task<void> run_connection(std::unique_ptr<Connection> connection,
                                   [[maybe_unused]] Counted counted) {
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

// As many descriptors as this process may have, and how many connections that allows.
std::size_t connections_allowed(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  const auto descriptors = static_cast<std::size_t>(limit.rlim_cur);
  const std::size_t allowed = descriptors - std::min(kReservedDescriptors, descriptors / 2);
  if (allowed < wanted) {
    log_warning("fewer connections than configured: too few descriptors",
                {{"connections_max", wanted}, {"allowed", allowed}, {"descriptors", descriptors}});
  }
  return std::min(allowed, wanted);
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerOptions options)
      : options_(std::move(options)),
        connections_max_(connections_allowed(options_.connections_max)) {}

  ~Impl() {
    listener_.reset();
    for (const auto& worker : workers_) worker->stop();
    for (const auto& worker : workers_) worker->join();
  }

  Status start(const HandlerFactory& factory) {
    ::signal(SIGPIPE, SIG_IGN);
    if (!options_.tls.certificate_file.empty() || !options_.tls.key_file.empty()) {
      auto tls = ServerTls::make(options_.tls, system_clock());
      if (!tls.ok()) return tls.error();
      tls_ = std::move(*tls);
    }
    for (int each = 0; each < std::max(1, options_.threads); ++each) {
      workers_.push_back(std::make_unique<Worker>(options_, tls_.get()));
      workers_.back()->start(factory);
    }
    auto listener = Listener::start(options_.address, options_.port,
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
    return count_.wait_for_none(timeout);
  }

  void give_up() {
    for (const auto& worker : workers_) worker->give_up();
  }

 private:
  // On the listener's thread.
  void accept(Descriptor descriptor) {
    const std::size_t connections = count_.add();
    Counted counted(count_);
    if (connections > connections_max_) return;
    workers_[next_worker_++ % workers_.size()]->adopt(std::move(descriptor), std::move(counted));
  }

  const ServerOptions options_;
  const std::size_t connections_max_;
  std::unique_ptr<ServerTls> tls_;
  std::uint16_t port_ = 0;
  Count count_;  // Outlives the workers, whose connections are counted.
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
