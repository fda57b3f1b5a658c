// The connections of one Client: which are open, which are free, and how new ones are made. A
// request holds a Lease on one; nothing here sends a byte of a request.
//
// One thread: the client's executor.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http/client.h"
#include "http/client_metrics.h"
#include "http/dial.h"
#include "http/origin.h"
#include "http/stream.h"
#include "http/tls.h"

namespace holdfast::http {

struct UpstreamConnection
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  // `on_too_old` is called with this when it has been idle for too long, and may destroy it.
  // `count` counts it while it lives.
  UpstreamConnection(std::unique_ptr<Stream> opened,
                     std::function<void(const UpstreamConnection*)> on_too_old, Gauge& count)
      : stream(std::move(opened)),
        idle_watch([this, on_too_old = std::move(on_too_old)] { on_too_old(this); }),
        counted_by(count) {
    counted_by.add(1);
  }
  ~UpstreamConnection() { counted_by.add(-1); }

  const std::unique_ptr<Stream> stream;
  std::string pending{};  // Received and not parsed yet.
  SteadyTime last_used{};
  Watch idle_watch;
  Gauge& counted_by;
};

class Lease;

// Whether a connection that was used before will do.
enum class Pick { kKept, kNew };

class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(boost::asio::any_io_executor executor, ClientOptions options);

  // kLimit: none was free in time, or none of the share of `address`, see Outgoing; otherwise why
  // no connection could be made. Nothing was sent.
  Task<Result<Lease>> lease(Traffic traffic, Pick pick, std::string_view address = {});

  // The client is gone: nothing is kept for later.
  void close();
  // A connection that had been idle for this long turned out to have been closed by the upstream:
  // guarded traffic takes none from now on that is nearly as old.
  void distrust(SteadyTime::duration idle);
  // One that had been idle for this long was found to be open. Enough of them, that were idle for
  // four times as long as guarded traffic accepts and none closed between them, double what it
  // accepts, up to what the options say.
  void trust(SteadyTime::duration idle);
  // How long a connection may have been idle for guarded traffic to take it.
  SteadyTime::duration just_used_max() const { return just_used_max_; }
  // As close(), and what is leased fails at its next wait.
  void abandon();

  // kInvalid when the options cannot work.
  const Status& usable() const { return usable_; }
  const ClientOptions& options() const { return options_; }
  const Origin& origin() const { return origin_; }
  const ClientMetrics& metrics() const { return metrics_; }
  // Of how many clients' addresses something is known: those that use the pool now.
  std::size_t addresses() const { return by_address_.size(); }
  // For one read, and not over a co_await.
  std::vector<char>& received() { return received_; }

 private:
  friend class Lease;
  struct Waiter;
  // First come, first served; who is woken stays at the front until it has what it waits for.
  using Queue = std::list<Waiter*>;

  // What one address has of the ordinary connections. Who has no share waits in a queue of the
  // address's own, and so in nobody's way; who has one is in line for a connection, or has it.
  struct AddressUse {
    std::size_t shares = 0;
    Queue waiting{};
  };
  using AddressUses = std::unordered_map<std::string, AddressUse>;
  struct GiveBack {
    ClientPool* pool;
    void operator()(AddressUses::value_type* use) const { pool->give_back(*use); }
  };
  // Of an address's; null: nobody's.
  using Share = std::unique_ptr<AddressUses::value_type, GiveBack>;

  Task<Result<Lease>> take_turn(Traffic traffic, std::string_view address, SteadyTime deadline);
  Task<Result<Share>> wait_for_share(AddressUses::value_type& use, SteadyTime deadline);
  Share take_share(AddressUses::value_type& use);
  Task<Status> wait_for_turn(Waiter& waiter);
  void give_back(AddressUses::value_type& use);
  void settle(AddressUses::value_type& use);
  Queue& queue_of(Traffic traffic);
  bool has_room(Traffic traffic) const;
  bool has_room(const AddressUse& use) const;
  void wake_next();
  std::unique_ptr<UpstreamConnection> take_idle(Traffic traffic);
  void make_room();
  Task<Result<std::unique_ptr<UpstreamConnection>>> connect(SteadyTime deadline);
  void keep(std::unique_ptr<UpstreamConnection> connection);
  void drop_too_old(const UpstreamConnection* connection);
  void drop_idle(const UpstreamConnection* connection);

  const boost::asio::any_io_executor executor_;
  const ClientOptions options_;
  Metrics unseen_metrics_;
  const ClientMetrics metrics_;
  Origin origin_;
  std::unique_ptr<TlsContext> tls_;  // Null for plain HTTP.
  Status usable_;
  std::vector<char> received_;
  Watchdog watchdog_;
  std::optional<Dialer> dialer_;  // Empty only where the options cannot work.
  // How long a connection may have been idle for a request that must not meet a close under way:
  // as the options say, or a quarter of the shortest idle time after which the upstream was found
  // to have closed one, since others proved that it does so no more.
  SteadyTime::duration just_used_max_;
  int survivors_ = 0;  // What trust() counted since the last change.
  bool closed_ = false;
  // Leases, with those whose connections are being made.
  std::size_t ordinary_in_use_ = 0;
  std::size_t guarded_in_use_ = 0;
  boost::intrusive::list<UpstreamConnection, boost::intrusive::constant_time_size<false>> leased_;
  std::deque<std::unique_ptr<UpstreamConnection>> idle_;  // The youngest at the back.
  Queue ordinary_waiting_;
  Queue guarded_waiting_;
  AddressUses by_address_;  // Without those that have nothing and wait for nothing.
};

// The right to use one connection. What is not given back is closed.
class Lease {
 public:
  Lease(Lease&&) = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  UpstreamConnection& operator*() const { return *connection_; }
  UpstreamConnection* operator->() const { return connection_.get(); }
  ClientPool& pool() const { return *pool_; }
  // Whether other requests went over the connection before.
  bool is_reused() const { return reused_; }
  // How long it had been idle before.
  SteadyTime::duration idle() const { return idle_; }

  // The exchange is complete and nothing is left over.
  void give_back();

 private:
  friend class ClientPool;
  // Counts from here on.
  Lease(std::shared_ptr<ClientPool> pool, Traffic traffic, ClientPool::Share share);
  std::size_t& count() const;
  void release();

  std::shared_ptr<ClientPool> pool_;  // Null once given back.
  Traffic traffic_;
  ClientPool::Share share_;
  std::unique_ptr<UpstreamConnection> connection_;
  bool reused_ = false;
  SteadyTime::duration idle_{};
};

}  // namespace holdfast::http
