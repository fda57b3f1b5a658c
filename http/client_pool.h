// The connections of one Client: which are open, which are free, and how new ones are made. A
// request holds a Lease on one; nothing here sends a byte of a request.
//
// One thread: the client's executor.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/dial.h"
#include "http/origin.h"
#include "http/stream.h"
#include "http/tls.h"

namespace holdfast::http {

struct UpstreamConnection {
  // `on_too_old` is called with this when it has been idle for too long, and may destroy it.
  UpstreamConnection(std::unique_ptr<Stream> opened,
                     std::function<void(const UpstreamConnection*)> on_too_old)
      : stream(std::move(opened)),
        idle_watch([this, on_too_old = std::move(on_too_old)] { on_too_old(this); }) {}

  const std::unique_ptr<Stream> stream;
  std::string pending{};  // Received and not parsed yet.
  SteadyTime last_used{};
  Watch idle_watch;
};

class Lease;

class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(boost::asio::any_io_executor executor, ClientOptions options);

  // kLimit: none was free in time; otherwise why no connection could be made. Nothing was sent.
  Task<Result<Lease>> lease(Reuse reuse);

  // The client is gone: nothing is kept for later.
  void close();

  // kInvalid when the options cannot work.
  const Status& usable() const { return usable_; }
  const ClientOptions& options() const { return options_; }
  const Origin& origin() const { return origin_; }
  // For one read, and not over a co_await.
  std::vector<char>& received() { return received_; }

 private:
  friend class Lease;
  struct Waiter;

  std::unique_ptr<UpstreamConnection> take_idle(Reuse reuse);
  Task<Status> wait_for_free(SteadyTime deadline);
  Task<Result<std::unique_ptr<UpstreamConnection>>> connect(SteadyTime deadline);
  void keep(std::unique_ptr<UpstreamConnection> connection);
  void drop_idle(const UpstreamConnection* connection);
  void release();
  void wake_one();

  const boost::asio::any_io_executor executor_;
  const ClientOptions options_;
  Origin origin_;
  std::optional<Dialer> dialer_;     // Empty only where the options cannot work.
  std::unique_ptr<TlsContext> tls_;  // Null for plain HTTP.
  Status usable_;
  std::vector<char> received_;
  Watchdog watchdog_;
  // How long a connection may have been idle for a request that must not meet a close under way:
  // well below what servers keep connections for, and a quarter of the shortest idle time after
  // which this one was found to have closed one.
  SteadyTime::duration just_used_max_ = std::chrono::milliseconds(50);
  bool closed_ = false;
  std::size_t open_ = 0;                                  // Leased, idle and being made.
  std::deque<std::unique_ptr<UpstreamConnection>> idle_;  // The youngest at the back.
  std::list<Waiter*> waiting_;
};

// The right to use one connection. What is not given back is closed.
class Lease {
 public:
  explicit Lease(std::shared_ptr<ClientPool> pool) : pool_(std::move(pool)) {}
  Lease(Lease&&) = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  UpstreamConnection& operator*() const { return *connection_; }
  UpstreamConnection* operator->() const { return connection_.get(); }
  ClientPool& pool() const { return *pool_; }

  // The exchange is complete and nothing is left over.
  void give_back();

 private:
  friend class ClientPool;
  std::shared_ptr<ClientPool> pool_;  // Null once given back.
  std::unique_ptr<UpstreamConnection> connection_;
};

}  // namespace holdfast::http
