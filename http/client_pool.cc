#include "http/client_pool.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable_t<>());

// How far just_used_max_ may fall: no server closes a connection this soon, but for an accident.
constexpr SteadyTime::duration kJustUsedLeast = std::chrono::milliseconds(2);

SteadyTime now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

struct ClientPool::Waiter {
  Waiter(ClientPool& owner, SteadyTime deadline) : pool(owner), timer(owner.executor_, deadline) {
    pool.waiting_.push_back(this);
  }
  ~Waiter() {
    if (queued) pool.waiting_.remove(this);
  }
  ClientPool& pool;
  boost::asio::steady_timer timer;
  bool queued = true;
};

ClientPool::ClientPool(boost::asio::any_io_executor executor, ClientOptions options)
    : executor_(executor),
      options_(std::move(options)),
      received_(64 * 1024),
      watchdog_(std::move(executor)) {
  Result<Origin> origin = parse_origin(options_.origin);
  if (!origin.ok()) {
    usable_ = origin.error();
    return;
  }
  origin_ = std::move(*origin);
  dialer_.emplace(executor_, origin_.host, origin_.port);
  if (!origin_.tls) return;
  Result<std::unique_ptr<TlsContext>> tls = make_client_tls(options_.ca_file, origin_.host);
  if (tls.ok()) {
    tls_ = std::move(*tls);
  } else {
    usable_ = tls.error();
  }
}

Task<Result<Lease>> ClientPool::lease(Reuse reuse) {
  if (!usable_.ok()) co_return usable_.error();
  const SteadyTime deadline = now() + options_.connect_timeout;
  for (;;) {
    if (std::unique_ptr<UpstreamConnection> idle = take_idle(reuse)) {
      Lease lease(shared_from_this());
      lease.connection_ = std::move(idle);
      co_return std::move(lease);
    }
    if (open_ < options_.connections_max) break;
    if (!idle_.empty()) {
      // Free, but too old for this request: makes room for a new one.
      drop_idle(idle_.front().get());
      continue;
    }
    const Status freed = co_await wait_for_free(deadline);
    if (!freed.ok()) co_return freed.error();
  }
  ++open_;
  Lease lease(shared_from_this());
  Result<std::unique_ptr<UpstreamConnection>> made = co_await connect(deadline);
  if (!made.ok()) {
    co_return Error{made.error().code, origin_.authority + ": " + made.error().message};
  }
  lease.connection_ = std::move(*made);
  co_return std::move(lease);
}

std::unique_ptr<UpstreamConnection> ClientPool::take_idle(Reuse reuse) {
  const SteadyTime time = now();
  while (!idle_.empty()) {
    const auto age = time - idle_.back()->last_used;
    if (reuse == Reuse::kJustUsed && age > just_used_max_) return nullptr;
    std::unique_ptr<UpstreamConnection> youngest = std::move(idle_.back());
    idle_.pop_back();
    youngest->idle_watch.disarm();
    const bool open = youngest->stream->is_quiet();
    if (open && age <= options_.pool_idle_max) return youngest;
    if (!open) just_used_max_ = std::max(std::min(just_used_max_, age / 4), kJustUsedLeast);
    --open_;
  }
  return nullptr;
}

Task<Status> ClientPool::wait_for_free(SteadyTime deadline) {
  Waiter waiter(*this, deadline);
  co_await waiter.timer.async_wait(kAwait);
  if (now() < deadline) co_return Status();
  // Woken at the last moment, for what another one can use.
  if (!waiter.queued) wake_one();
  co_return Error{ErrorCode::kLimit, origin_.authority + ": no connection free in time"};
}

Task<Result<std::unique_ptr<UpstreamConnection>>> ClientPool::connect(SteadyTime deadline) {
  Result<tcp::socket> socket = co_await dialer_->dial(deadline);
  if (!socket.ok()) co_return socket.error();
  std::unique_ptr<Stream> stream = tls_ ? tls_->wrap(std::move(*socket), watchdog_)
                                        : make_plain_stream(std::move(*socket), watchdog_);
  if (!stream) co_return Error{ErrorCode::kInternal, "TLS could not be set up"};
  const Status shaken = co_await stream->handshake(deadline);
  if (!shaken.ok()) co_return shaken.error();
  auto connection = std::make_unique<UpstreamConnection>(
      std::move(stream), [this](const UpstreamConnection* old) { drop_idle(old); });
  co_return std::move(connection);
}

void ClientPool::keep(std::unique_ptr<UpstreamConnection> connection) {
  if (closed_) {
    release();
    return;
  }
  connection->last_used = now();
  watchdog_.arm(connection->idle_watch, connection->last_used + options_.pool_idle_max);
  idle_.push_back(std::move(connection));
  wake_one();
}

void ClientPool::drop_idle(const UpstreamConnection* connection) {
  const auto found =
      std::ranges::find_if(idle_, [&](const auto& each) { return each.get() == connection; });
  if (found == idle_.end()) return;
  const std::unique_ptr<UpstreamConnection> dropped = std::move(*found);
  idle_.erase(found);
  dropped->stream->finish_writing();
  release();
}

void ClientPool::release() {
  --open_;
  wake_one();
}

void ClientPool::wake_one() {
  if (waiting_.empty()) return;
  Waiter* const first = waiting_.front();
  waiting_.pop_front();
  first->queued = false;
  first->timer.cancel();
}

void ClientPool::close() {
  closed_ = true;
  while (!idle_.empty()) drop_idle(idle_.front().get());
}

Lease::~Lease() {
  if (!pool_) return;
  connection_.reset();
  pool_->release();
}

void Lease::give_back() {
  const std::shared_ptr<ClientPool> pool = std::move(pool_);
  pool->keep(std::move(connection_));
}

}  // namespace holdfast::http
