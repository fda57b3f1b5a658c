#include "http/dial.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

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

// A look-up under way cannot be cancelled, so it is left behind when it takes too long.
struct Resolution {
  explicit Resolution(const boost::asio::any_io_executor& executor)
      : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  boost::asio::steady_timer done;
  bool finished = false;
  boost::system::error_code error;
  TcpEndpoints endpoints;
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

Dialer::Dialer(boost::asio::any_io_executor executor, Watchdog& watchdog, const Origin& target,
               const std::optional<Egress>& egress)
    : executor_(std::move(executor)),
      watchdog_(watchdog),
      next_(egress ? egress->proxy : target),
      tunnel_request_(egress ? tunnel_request(target, egress->credentials) : "") {}

Task<Result<tcp::socket>> Dialer::dial(SteadyTime deadline) {
  if (endpoints_.empty() || steady_now() > endpoints_until_) {
    Result<TcpEndpoints> resolved = co_await resolve(deadline);
    if (!resolved.ok()) co_return resolved.error();
    endpoints_ = alternate_families(*resolved);
    endpoints_until_ = steady_now() + kEndpointsKept;
  }
  TcpEndpoints endpoints = endpoints_;
  Result<tcp::socket> socket = co_await connect_first(executor_, std::move(endpoints), deadline);
  if (!socket.ok()) endpoints_.clear();
  if (!socket.ok() || tunnel_request_.empty()) co_return std::move(socket);
  co_return co_await open_tunnel(std::move(*socket), watchdog_, tunnel_request_, deadline);
}

Task<Result<TcpEndpoints>> Dialer::resolve(SteadyTime deadline) {
  boost::system::error_code not_an_address;
  const auto address = boost::asio::ip::make_address(next_.host, not_an_address);
  const auto port = static_cast<std::uint16_t>(std::stoi(next_.port));
  if (!not_an_address) co_return TcpEndpoints{tcp::endpoint(address, port)};
  const auto resolution = std::make_shared<Resolution>(executor_);
  resolution->resolver.async_resolve(
      next_.host, next_.port,
      [resolution](boost::system::error_code error, const tcp::resolver::results_type& results) {
        resolution->error = error;
        for (const auto& result : results) resolution->endpoints.push_back(result.endpoint());
        resolution->finished = true;
        resolution->done.cancel();
      });
  resolution->done.expires_at(deadline);
  co_await resolution->done.async_wait(kAwait);
  if (!resolution->finished) co_return Error{ErrorCode::kTimeout, "name not resolved in time"};
  if (resolution->error) {
    co_return Error{ErrorCode::kUnavailable, "cannot resolve: " + resolution->error.message()};
  }
  co_return std::move(resolution->endpoints);
}

}  // namespace holdfast::http
