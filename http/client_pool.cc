#include "http/client_pool.h"

#include <algorithm>
#include <utility>

#include "http/await.h"
#include "http/deadline.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

// How far just_used_max_ may fall: no server closes a connection this soon, but for an accident.
constexpr SteadyTime::duration kJustUsedLeast = std::chrono::milliseconds(2);

// How many connections must outlast their idle time before guarded traffic trusts them longer.
constexpr int kSurvivorsMin = 16;

Error closed_here() {
  return {ErrorCode::kUnavailable, "the client is closing"};
}

}  // namespace

struct ClientPool::Waiter {
  // In line for a connection.
  Waiter(ClientPool& owner, Traffic wanted, SteadyTime deadline)
      : pool(owner),
        traffic(wanted),
        queue(owner.queue_of(wanted)),
        timer(owner.executor_, deadline),
        place(queue.insert(queue.end(), this)) {}
  // In line for a share.
  Waiter(ClientPool& owner, AddressUses::value_type& address, SteadyTime deadline)
      : pool(owner),
        use(&address),
        queue(address.second.waiting),
        timer(owner.executor_, deadline),
        place(queue.insert(queue.end(), this)) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    queue.erase(place);
    if (use != nullptr) {
      pool.settle(*use);
    } else {
      pool.wake_next();
    }
  }

  bool has_turn() const {
    if (queue.front() != this) return false;
    return use != nullptr ? pool.has_room(use->second) : pool.has_room(traffic);
  }

  ClientPool& pool;
  const Traffic traffic = Traffic::kOrdinary;
  AddressUses::value_type* const use = nullptr;
  Queue& queue;
  boost::asio::steady_timer timer;
  const Queue::iterator place;
};

ClientPool::ClientPool(boost::asio::any_io_executor executor, ClientOptions options)
    : executor_(executor),
      options_(std::move(options)),
      metrics_(options_.metrics != nullptr ? *options_.metrics : unseen_metrics_),
      received_(64 * 1024),
      watchdog_(std::move(executor)),
      just_used_max_(options_.just_used_max) {
  Result<Origin> origin = parse_origin(options_.origin);
  if (!origin.ok()) {
    usable_ = origin.error();
    return;
  }
  origin_ = std::move(*origin);
  std::optional<Egress> egress;
  if (!options_.egress_proxy.empty()) {
    Result<Origin> proxy = parse_origin(options_.egress_proxy);
    if (!proxy.ok()) {
      usable_ = proxy.error();
      return;
    }
    egress = Egress{.proxy = *std::move(proxy), .credentials = options_.egress_credentials};
  }
  dialer_.emplace(executor_, watchdog_, origin_, egress);
  if (!origin_.tls) return;
  Result<std::unique_ptr<TlsContext>> tls = make_client_tls(options_.ca_file, origin_.host);
  if (tls.ok()) {
    tls_ = std::move(*tls);
  } else {
    usable_ = tls.error();
  }
}

Task<Result<Lease>> ClientPool::lease(Traffic traffic, Pick pick, std::string_view address) {
  if (!usable_.ok()) co_return usable_.error();
  const SteadyTime deadline = steady_now() + options_.connect_timeout;
  Result<Lease> turn = co_await take_turn(traffic, address, deadline);
  if (!turn.ok()) co_return turn.error();
  Lease lease = std::move(*turn);
  if (pick == Pick::kKept) lease.connection_ = take_idle(traffic);
  lease.reused_ = lease.connection_ != nullptr;
  if (lease.reused_) {
    lease.idle_ = steady_now() - lease.connection_->last_used;
  } else {
    make_room();
    Result<std::unique_ptr<UpstreamConnection>> made = co_await connect(deadline);
    if (!made.ok()) {
      if (made.error().code == ErrorCode::kTimeout) metrics_.over_connect.add();
      co_return Error{made.error().code, origin_.authority + ": " + made.error().message};
    }
    if (closed_) co_return closed_here();
    lease.connection_ = std::move(*made);
  }
  leased_.push_back(*lease.connection_);
  co_return std::move(lease);
}

// A lease without a connection: the right to have one.
Task<Result<Lease>> ClientPool::take_turn(Traffic traffic, std::string_view address,
                                          SteadyTime deadline) {
  if (closed_) co_return closed_here();
  Share share;
  if (traffic == Traffic::kOrdinary && !address.empty()) {
    AddressUses::value_type& use = *by_address_.try_emplace(std::string(address)).first;
    if (use.second.waiting.empty() && has_room(use.second)) {
      share = take_share(use);
    } else {
      Result<Share> waited = co_await wait_for_share(use, deadline);
      if (!waited.ok()) co_return waited.error();
      share = *std::move(waited);
    }
  }
  if (queue_of(traffic).empty() && has_room(traffic)) {
    co_return Lease(shared_from_this(), traffic, std::move(share));
  }
  Waiter waiter(*this, traffic, deadline);
  const Status turn = co_await wait_for_turn(waiter);
  if (!turn.ok()) co_return turn.error();
  co_return Lease(shared_from_this(), traffic, std::move(share));
}

Task<Result<ClientPool::Share>> ClientPool::wait_for_share(AddressUses::value_type& use,
                                                           SteadyTime deadline) {
  Waiter waiter(*this, use, deadline);
  const Status turn = co_await wait_for_turn(waiter);
  if (!turn.ok()) co_return turn.error();
  co_return take_share(use);
}

Task<Status> ClientPool::wait_for_turn(Waiter& waiter) {
  while (!waiter.has_turn()) {
    co_await waiter.timer.async_wait(kAwait);
    if (closed_) co_return closed_here();
    if (steady_now() < waiter.timer.expiry()) continue;
    Error late{ErrorCode::kLimit, origin_.authority + ": no connection free in time"};
    if (waiter.use != nullptr) {
      late.message += " of those that one address may have (upstream.connections_per_address)";
    }
    (waiter.use != nullptr ? metrics_.over_per_address : metrics_.over_connections).add();
    co_return late;
  }
  co_return Status();
}

ClientPool::Share ClientPool::take_share(AddressUses::value_type& use) {
  ++use.second.shares;
  return Share(&use, GiveBack{this});
}

void ClientPool::give_back(AddressUses::value_type& use) {
  --use.second.shares;
  settle(use);
}

// Wakes the next one in turn, and forgets an address that is gone.
void ClientPool::settle(AddressUses::value_type& use) {
  const Queue& waiting = use.second.waiting;
  if (waiting.empty() && use.second.shares == 0) {
    by_address_.erase(by_address_.find(use.first));
  } else if (!waiting.empty() && has_room(use.second)) {
    waiting.front()->timer.cancel();
  }
}

ClientPool::Queue& ClientPool::queue_of(Traffic traffic) {
  return traffic == Traffic::kGuarded ? guarded_waiting_ : ordinary_waiting_;
}

bool ClientPool::has_room(Traffic traffic) const {
  const std::size_t in_use = ordinary_in_use_ + guarded_in_use_;
  const bool any_room = in_use < options_.connections_max + options_.guarded_connections_max;
  if (traffic == Traffic::kGuarded) return any_room;
  return any_room && guarded_waiting_.empty() && ordinary_in_use_ < options_.connections_max;
}

bool ClientPool::has_room(const AddressUse& use) const {
  return use.shares < options_.connections_per_address_max;
}

// Each who is served wakes the next one in turn.
void ClientPool::wake_next() {
  for (const Traffic traffic : {Traffic::kGuarded, Traffic::kOrdinary}) {
    const Queue& queue = queue_of(traffic);
    if (queue.empty() || !has_room(traffic)) continue;
    queue.front()->timer.cancel();
    return;
  }
}

std::unique_ptr<UpstreamConnection> ClientPool::take_idle(Traffic traffic) {
  const SteadyTime time = steady_now();
  while (!idle_.empty()) {
    const auto age = time - idle_.back()->last_used;
    if (traffic == Traffic::kGuarded && age > just_used_max_) return nullptr;
    std::unique_ptr<UpstreamConnection> youngest = std::move(idle_.back());
    idle_.pop_back();
    youngest->idle_watch.disarm();
    const bool open = youngest->stream->is_quiet();
    if (open && age <= options_.pool_idle_max) return youngest;
    if (!open) distrust(age);
  }
  return nullptr;
}

void ClientPool::distrust(SteadyTime::duration idle) {
  // What was in use a moment ago was not closed for being idle.
  if (idle < kJustUsedLeast) return;
  just_used_max_ = std::max(std::min(just_used_max_, idle / 4), kJustUsedLeast);
  survivors_ = 0;
}

void ClientPool::trust(SteadyTime::duration idle) {
  if (just_used_max_ >= options_.just_used_max || idle / 4 < just_used_max_) return;
  if (++survivors_ < kSurvivorsMin) return;
  survivors_ = 0;
  just_used_max_ = std::min<SteadyTime::duration>(2 * just_used_max_, options_.just_used_max);
}

// Idle connections never keep a new one from being made.
void ClientPool::make_room() {
  const std::size_t all = options_.connections_max + options_.guarded_connections_max;
  while (!idle_.empty() && ordinary_in_use_ + guarded_in_use_ + idle_.size() > all) {
    drop_idle(idle_.front().get());
  }
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
      std::move(stream), [this](const UpstreamConnection* old) { drop_too_old(old); },
      metrics_.open);
  co_return std::move(connection);
}

void ClientPool::keep(std::unique_ptr<UpstreamConnection> connection) {
  if (closed_) return;
  connection->unlink();
  connection->last_used = steady_now();
  watchdog_.arm(connection->idle_watch, connection->last_used + options_.pool_idle_max);
  idle_.push_back(std::move(connection));
  if (idle_.size() > options_.idle_connections_max) drop_idle(idle_.front().get());
}

void ClientPool::drop_too_old(const UpstreamConnection* connection) {
  if (connection->stream->is_quiet()) trust(steady_now() - connection->last_used);
  drop_idle(connection);
}

void ClientPool::drop_idle(const UpstreamConnection* connection) {
  const auto found =
      std::ranges::find_if(idle_, [&](const auto& each) { return each.get() == connection; });
  if (found == idle_.end()) return;
  const std::unique_ptr<UpstreamConnection> dropped = std::move(*found);
  idle_.erase(found);
  dropped->stream->finish_writing();
}

void ClientPool::close() {
  closed_ = true;
  while (!idle_.empty()) drop_idle(idle_.front().get());
}

void ClientPool::abandon() {
  close();
  for (UpstreamConnection& connection : leased_) connection.stream->interrupt();
  const auto wake_all = [](const Queue& queue) {
    for (Waiter* const waiter : queue) waiter->timer.cancel();
  };
  wake_all(guarded_waiting_);
  wake_all(ordinary_waiting_);
  for (const auto& [address, use] : by_address_) wake_all(use.waiting);
}

Lease::Lease(std::shared_ptr<ClientPool> pool, Traffic traffic, ClientPool::Share share)
    : pool_(std::move(pool)), traffic_(traffic), share_(std::move(share)) {
  ++count();
}

std::size_t& Lease::count() const {
  return traffic_ == Traffic::kGuarded ? pool_->guarded_in_use_ : pool_->ordinary_in_use_;
}

Lease::~Lease() {
  if (pool_) release();
}

void Lease::give_back() {
  if (reused_) pool_->trust(idle_);
  pool_->keep(std::move(connection_));
  release();
}

void Lease::release() {
  connection_.reset();
  --count();
  share_.reset();
  std::exchange(pool_, nullptr)->wake_next();
}

}  // namespace holdfast::http
