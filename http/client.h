// The client for one upstream origin: pooled connections, verified TLS, deadlines. Every byte that
// leaves is one that a caller asked for once, with one exception: an ordinary GET without a body
// goes out a second time, on a new connection, when the kept one that it was sent on turns out to
// have died before any byte of an answer.
//
//   http::Client client(executor, options);
//   http::SendResult sent = co_await client.send({.head = head, .body = body.get()});
//   if (!sent.response.ok() && sent.progress == Progress::kNothingSent) ...  // safe to say so
//
// One Client belongs to one executor that runs on one thread; it is not safe to share. Responses
// and their streams must not outlive it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/task.h"
#include "http/message.h"

namespace holdfast::http {

struct ClientOptions {
  std::string origin{};   // https://graph.microsoft.com or http://127.0.0.1:9000; no path.
  std::string ca_file{};  // PEM; empty: the system's store. Certificates are always verified.
  // An HTTP proxy like http://egress.example:3128 that every connection is tunnelled through;
  // empty: none. `egress_credentials` is user:password, or empty.
  std::string egress_proxy{};
  std::string egress_credentials{};
  std::chrono::milliseconds connect_timeout{5'000};     // Name, TCP, tunnel and TLS together.
  std::chrono::milliseconds response_timeout{100'000};  // From the last byte sent to the head.
  std::chrono::milliseconds idle_timeout{30'000};       // Between two reads or writes of a body.
  std::chrono::milliseconds pool_idle_max{20'000};      // A pooled connection older is dropped.
  // How long a connection may have been idle for guarded traffic: well below what servers keep
  // connections for. Less once the upstream was found to have closed one sooner.
  std::chrono::milliseconds just_used_max{50};
  std::size_t idle_connections_max = 128;  // The oldest beyond are dropped.
  // Connections in use and idle at once: those that any request may use, and a reserve on top that
  // only guarded traffic may use, so that slow downloads never keep it waiting.
  std::size_t connections_max = 256;
  std::size_t guarded_connections_max = 64;
  // Of connections_max, what requests of one Outgoing::address may have.
  std::size_t connections_per_address_max = 128;
  std::size_t header_bytes_max = 64 * 1024;
  Metrics* metrics = nullptr;  // See ClientMetrics; outlives the client. Null: nobody asks.
};

// kGuarded is for guarded calls and the questions asked on their behalf. A close by the peer may be
// on its way to any connection that has been idle, so they use one used moments ago, or a new one;
// they are never sent twice; and they go before everybody else where connections are short.
enum class Traffic { kOrdinary, kGuarded };

struct Outgoing {
  // Framing headers (Content-Length, Transfer-Encoding, Connection) and Host in `head` are
  // replaced.
  const RequestHead& head;
  Body* body = nullptr;  // nullptr or empty: none. Streamed with its length or chunked.
  Traffic traffic = Traffic::kOrdinary;
  // Whose share of the connections it takes, where it is ordinary: an address_group(). Empty:
  // nobody's.
  std::string_view address{};
  std::optional<std::chrono::milliseconds> response_timeout{};  // Instead of the client's.
  std::optional<SteadyTime> send_before{};  // From then on no byte leaves any more: kTimeout.
  // From the answer's head to its end, for answers that must come whole; 0: only its parts matter.
  std::chrono::milliseconds answer_timeout{0};
};

// How far a request got. From kSomeSent on, the upstream may have acted whatever happens next.
enum class Progress { kNothingSent, kSomeSent };

struct SendResult {
  Progress progress = Progress::kNothingSent;
  // The head is complete and the body streams from the connection, which returns to the pool when
  // the body has been read to its end and is closed when it has not. Errors: kUnavailable (refused,
  // reset, TLS failed), kTimeout, kInvalid (not HTTP), kLimit (no connection free in time).
  Result<Response> response;
};

class ClientPool;

class Client {
 public:
  Client(boost::asio::any_io_executor executor, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Task<SendResult> send(Outgoing outgoing);

  // Ends every exchange under way, as if the upstream had cut it, and begins no new one.
  void abandon();

 private:
  // Shared with the responses that still stream.
  std::shared_ptr<ClientPool> pool_;
};

}  // namespace holdfast::http
