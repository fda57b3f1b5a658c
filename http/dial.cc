#include "http/dial.h"

#include <algorithm>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "http/await.h"
#include "http/deadline.h"
#include "http/tunnel.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

// RFC 8305's "connection attempt delay".
constexpr std::chrono::milliseconds kAttemptDelay{250};
// Guarded calls make many new connections: their name is not looked up for each.
constexpr std::chrono::seconds kEndpointsKept{10};
// How long whoever knows old addresses waits for new ones: a name server that is there is faster.
constexpr std::chrono::milliseconds kFreshAwaited{500};

// Several attempts to connect, of which one wins. Shared with the handlers of what still runs.
class Race : public std::enable_shared_from_this<Race> {
 public:
  Race(boost::asio::any_io_executor executor, TcpEndpoints endpoints)
      : executor_(std::move(executor)),
        endpoints_(std::move(endpoints)),
        next_(executor_),
        decided_(executor_) {}

  Task<Result<tcp::socket>> run(SteadyTime deadline) {
    decided_.expires_at(deadline);
    begin_attempt();
    if (running_ > 0) co_await decided_.async_wait(kAwait);
    const bool failed = running_ == 0 && !winner_;
    end();
    if (winner_) co_return std::move(*winner_);
    if (failed) co_return Error{ErrorCode::kUnavailable, "cannot connect: " + failure_.message()};
    co_return Error{ErrorCode::kTimeout, "no connection in time"};
  }

 private:
  void begin_attempt() {
    if (ended_ || sockets_.size() == endpoints_.size()) return;
    const tcp::endpoint& endpoint = endpoints_[sockets_.size()];
    tcp::socket& socket = sockets_.emplace_back(executor_);
    ++running_;
    socket.async_connect(endpoint, [self = shared_from_this(), &socket](auto error) {
      self->end_attempt(socket, error);
    });
    next_.expires_after(kAttemptDelay);
    next_.async_wait([self = shared_from_this()](auto cancelled) {
      if (!cancelled) self->begin_attempt();
    });
  }

  void end_attempt(tcp::socket& socket, boost::system::error_code error) {
    --running_;
    if (ended_) return;
    if (!error) {
      winner_ = std::move(socket);
      end();
    } else {
      failure_ = error;
      begin_attempt();
    }
    if (winner_ || running_ == 0) decided_.cancel();
  }

  void end() {
    ended_ = true;
    next_.cancel();
    boost::system::error_code ignored;
    for (tcp::socket& socket : sockets_) socket.close(ignored);
  }

  const boost::asio::any_io_executor executor_;
  const TcpEndpoints endpoints_;
  std::deque<tcp::socket> sockets_;  // One for each attempt begun; their addresses stay.
  std::size_t running_ = 0;
  bool ended_ = false;
  std::optional<tcp::socket> winner_;
  boost::system::error_code failure_ = boost::asio::error::host_not_found;
  boost::asio::steady_timer next_;
  boost::asio::steady_timer decided_;
};

// Where other threads post to a context, which nobody may do once it is being destroyed: its queue
// goes without a lock.
class Entrance {
 public:
  template <class Handler>
  void post(const boost::asio::any_io_executor& executor, Handler handler) {
    MutexLock lock(mutex_);
    if (open_) boost::asio::post(executor, std::move(handler));
  }
  void close() {
    MutexLock lock(mutex_);
    open_ = false;
  }

 private:
  Mutex mutex_;
  bool open_ HOLDFAST_GUARDED_BY(mutex_) = true;
};

// Closes the entrance of a context before its queue goes: services are shut down in the reverse
// order of their making, and the queue is the first one.
class EntranceService : public boost::asio::execution_context::service {
 public:
  using key_type = EntranceService;
  explicit EntranceService(boost::asio::execution_context& context) : service(context) {}

  const std::shared_ptr<Entrance> entrance = std::make_shared<Entrance>();

 private:
  void shutdown() override { entrance->close(); }
};

}  // namespace

TcpEndpoints alternate_families(const TcpEndpoints& endpoints) {
  TcpEndpoints first;
  TcpEndpoints second;
  for (const tcp::endpoint& endpoint : endpoints) {
    const bool is_first = endpoint.protocol() == endpoints.front().protocol();
    (is_first ? first : second).push_back(endpoint);
  }
  TcpEndpoints ordered;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) ordered.push_back(first[i]);
    if (i < second.size()) ordered.push_back(second[i]);
  }
  return ordered;
}

Task<Result<tcp::socket>> connect_first(boost::asio::any_io_executor executor,
                                        TcpEndpoints endpoints, SteadyTime deadline) {
  const auto race = std::make_shared<Race>(std::move(executor), std::move(endpoints));
  co_return co_await race->run(deadline);
}

Result<TcpEndpoints> look_up(const std::string& host, const std::string& port) {
  boost::asio::io_context context;
  boost::system::error_code failed;
  const auto found = tcp::resolver(context).resolve(host, port, failed);
  if (failed) return Error{ErrorCode::kUnavailable, "cannot resolve: " + failed.message()};
  return TcpEndpoints(found.begin(), found.end());
}

// What is known of the addresses behind a name, and the one look-up under way, if there is one.
class Dialer::Addresses : public std::enable_shared_from_this<Addresses> {
 public:
  Addresses(boost::asio::any_io_executor executor, const Origin& origin, LookUp looks_up)
      : executor_(std::move(executor)),
        host_(origin.host),
        port_(origin.port),
        looks_up_(std::move(looks_up)),
        entrance_(boost::asio::use_service<EntranceService>(executor_.context()).entrance) {}

  Task<Result<TcpEndpoints>> get(SteadyTime deadline) {
    if (!known_.empty() && steady_now() <= good_until_) co_return known_;
    if (!looking_up_) begin_look_up();
    bool late = false;
    if (looking_up_) {
      const SteadyTime enough = steady_now() + kFreshAwaited;
      const auto waiter = waiting_.emplace(waiting_.end(), executor_,
                                           known_.empty() ? deadline : std::min(deadline, enough));
      const auto [woken] = co_await waiter->async_wait(kAwait);
      late = !woken;
      waiting_.erase(waiter);
    }
    if (!known_.empty()) co_return known_;
    if (late) co_return Error{ErrorCode::kTimeout, "name not resolved in time"};
    co_return failure_;
  }

  // None of those known could be reached.
  void distrust() { good_until_ = SteadyTime(); }

 private:
  void begin_look_up() {
    looking_up_ = true;
    auto ask = [weak = weak_from_this(), executor = executor_, entrance = entrance_, host = host_,
                port = port_, looks_up = looks_up_] {
      Result<TcpEndpoints> found = looks_up(host, port);
      entrance->post(executor, [weak, found = std::move(found)] {
        if (const std::shared_ptr<Addresses> self = weak.lock()) self->end_look_up(found);
      });
    };
    try {
      std::thread(std::move(ask)).detach();
    } catch (const std::system_error& failure) {
      end_look_up(Error{ErrorCode::kUnavailable, std::string("cannot resolve: ") + failure.what()});
    }
  }

  // Whether anybody still waits for it or not.
  void end_look_up(const Result<TcpEndpoints>& found) {
    looking_up_ = false;
    if (found.ok()) {
      known_ = alternate_families(*found);
      good_until_ = steady_now() + kEndpointsKept;
    } else {
      failure_ = found.error();
    }
    for (boost::asio::steady_timer& waiter : waiting_) waiter.cancel();
  }

  const boost::asio::any_io_executor executor_;
  const std::string host_;
  const std::string port_;
  const LookUp looks_up_;
  const std::shared_ptr<Entrance> entrance_;
  bool looking_up_ = false;
  TcpEndpoints known_;
  SteadyTime good_until_{};
  Error failure_{ErrorCode::kUnavailable, "the name has no address"};  // Of the last that failed.
  std::list<boost::asio::steady_timer> waiting_;  // Each until its own deadline.
};

Dialer::Dialer(boost::asio::any_io_executor executor, Watchdog& watchdog, const Origin& target,
               const std::optional<Egress>& egress, LookUp looks_up)
    : executor_(std::move(executor)),
      watchdog_(watchdog),
      next_(egress ? egress->proxy : target),
      tunnel_request_(egress ? tunnel_request(target, egress->credentials) : ""),
      addresses_(std::make_shared<Addresses>(executor_, next_, std::move(looks_up))) {}

Task<Result<tcp::socket>> Dialer::dial(SteadyTime deadline) {
  Result<TcpEndpoints> endpoints = co_await resolve(deadline);
  if (!endpoints.ok()) co_return endpoints.error();
  Result<tcp::socket> socket = co_await connect_first(executor_, *std::move(endpoints), deadline);
  if (!socket.ok()) addresses_->distrust();
  if (!socket.ok() || tunnel_request_.empty()) co_return std::move(socket);
  co_return co_await open_tunnel(std::move(*socket), watchdog_, tunnel_request_, deadline);
}

Task<Result<TcpEndpoints>> Dialer::resolve(SteadyTime deadline) {
  boost::system::error_code not_an_address;
  const auto address = boost::asio::ip::make_address(next_.host, not_an_address);
  const auto port = static_cast<std::uint16_t>(std::stoi(next_.port));
  if (!not_an_address) co_return TcpEndpoints{tcp::endpoint(address, port)};
  co_return co_await addresses_->get(deadline);
}

}  // namespace holdfast::http
