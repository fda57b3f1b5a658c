// The client for one upstream origin: pooled connections, verified TLS, deadlines, and never a
// resend. Every byte that leaves is one that a caller asked for once.
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
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "http/message.h"

namespace holdfast::http {

struct ClientOptions {
  std::string origin{};   // https://graph.microsoft.com or http://127.0.0.1:9000; no path.
  std::string ca_file{};  // PEM; empty: the system's store. Certificates are always verified.
  std::chrono::milliseconds connect_timeout{5'000};     // Name, TCP and TLS together.
  std::chrono::milliseconds response_timeout{100'000};  // From the last byte sent to the head.
  std::chrono::milliseconds idle_timeout{30'000};       // Between two reads or writes of a body.
  std::chrono::milliseconds pool_idle_max{20'000};      // A pooled connection older is dropped.
  std::size_t connections_max = 256;
  std::size_t header_bytes_max = 64 * 1024;
};

// Which pooled connections a request may use. A close by the peer may be on its way to any
// connection that has been idle, so guarded calls demand one used moments ago, or a new one.
enum class Reuse { kAnyIdle, kJustUsed };

struct Outgoing {
  // Framing headers (Content-Length, Transfer-Encoding, Connection) and Host in `head` are
  // replaced.
  const RequestHead& head;
  Body* body = nullptr;  // nullptr or empty: none. Streamed with its length or chunked.
  Reuse reuse = Reuse::kAnyIdle;
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

 private:
  // Shared with the responses that still stream.
  std::shared_ptr<ClientPool> pool_;
};

}  // namespace holdfast::http
