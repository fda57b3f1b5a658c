// Tunnels through an HTTP proxy (CONNECT; RFC 9110, 9.3.6).
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "http/origin.h"
#include "http/watchdog.h"

namespace holdfast::http {

// The request for a tunnel to `target`; `credentials`, "user:password", may be empty.
std::string tunnel_request(const Origin& target, const std::string& credentials);

// Sends the request on `socket`, which is connected to the proxy, and gives it back as a connection
// to the target. kUnavailable: the proxy refused, with its status, or broke off. kInvalid: what it
// answered is no answer to CONNECT. kTimeout. Either way the target has seen nothing. The request
// must live until the task is done.
Task<Result<boost::asio::ip::tcp::socket>> open_tunnel(boost::asio::ip::tcp::socket socket,
                                                       Watchdog& watchdog,
                                                       const std::string& request,
                                                       SteadyTime deadline);

}  // namespace holdfast::http
