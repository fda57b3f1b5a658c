// Makes TCP connections to one host: looks its name up and tries its addresses side by side, as
// RFC 8305 ("happy eyeballs") says, so that one dead address or family costs a quarter of a second.
//
// One thread: the executor's. A look-up blocks, for most of a minute where name servers are silent,
// and nothing can cancel it. So each has a thread of its own, which is left behind by whoever gives
// up, by the dialer and by the executor's context: none of them ever waits for its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
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

// Asks for a host's addresses, with the port in them, and blocks until it knows. kUnavailable. Must
// not throw, and must be good for as long as it runs, whatever else has gone.
using LookUp =
    std::function<Result<TcpEndpoints>(const std::string& host, const std::string& port)>;

// As the system resolves names.
Result<TcpEndpoints> look_up(const std::string& host, const std::string& port);

class Dialer {
 public:
  // The watchdog outlives the dialer. The executor is a context's own, which keeps nothing running.
  Dialer(boost::asio::any_io_executor executor, Watchdog& watchdog, const Origin& target,
         const std::optional<Egress>& egress, LookUp looks_up = look_up);

  // A connection to the target, through the egress proxy if there is one. kTimeout, kUnavailable;
  // kInvalid: what should be a proxy is none. The target has seen no byte of it. Addresses are good
  // for ten seconds, or until none of them can be reached. Then the name is looked up again, once
  // for all who dial, and the old ones will do while that fails or takes long. The dialer must
  // outlive the task.
  Task<Result<boost::asio::ip::tcp::socket>> dial(SteadyTime deadline);

 private:
  class Addresses;

  Task<Result<TcpEndpoints>> resolve(SteadyTime deadline);

  const boost::asio::any_io_executor executor_;
  Watchdog& watchdog_;
  const Origin next_;                 // The egress proxy or the target: whom the socket is to.
  const std::string tunnel_request_;  // Empty: no tunnel.
  const std::shared_ptr<Addresses> addresses_;  // Shared with what a look-up posts.
};

}  // namespace holdfast::http
