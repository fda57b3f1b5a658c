// Makes TCP connections to one host: looks its name up and tries its addresses side by side, as
// RFC 8305 ("happy eyeballs") says, so that one dead address or family costs a quarter of a second.
//
// One thread: the executor's. Look-ups run on a thread of Asio's and never hold that one up.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "http/origin.h"
#include "http/watchdog.h"

namespace holdfast::http {

using TcpEndpoints = std::vector<boost::asio::ip::tcp::endpoint>;

// The families in turn, beginning with that of the first; within a family the order stays.
TcpEndpoints alternate_families(const TcpEndpoints& endpoints);

// Tries the endpoints in their order, the next one as soon as one has failed, or 250 ms after the
// last one began. The first to connect wins, and the others are closed. kTimeout, kUnavailable.
Task<Result<boost::asio::ip::tcp::socket>> connect_first(boost::asio::any_io_executor executor,
                                                         TcpEndpoints endpoints,
                                                         SteadyTime deadline);

// The only way out, where there is one: an HTTP proxy that is asked for tunnels.
struct Egress {
  Origin proxy;
  std::string credentials{};  // user:password; empty: none.
};

class Dialer {
 public:
  // The watchdog outlives the dialer.
  Dialer(boost::asio::any_io_executor executor, Watchdog& watchdog, const Origin& target,
         const std::optional<Egress>& egress);

  // A connection to the target, through the egress proxy if there is one. kTimeout, kUnavailable;
  // kInvalid: what should be a proxy is none. The target has seen no byte of it. Addresses are
  // remembered for ten seconds, and forgotten as soon as none of them can be reached. The dialer
  // must outlive the task.
  Task<Result<boost::asio::ip::tcp::socket>> dial(SteadyTime deadline);

 private:
  Task<Result<TcpEndpoints>> resolve(SteadyTime deadline);

  const boost::asio::any_io_executor executor_;
  Watchdog& watchdog_;
  const Origin next_;                 // The egress proxy or the target: whom the socket is to.
  const std::string tunnel_request_;  // Empty: no tunnel.
  TcpEndpoints endpoints_;
  SteadyTime endpoints_until_{};
};

}  // namespace holdfast::http
