// The HTTP/1.1 server that both roles listen with: strict parsing, HTTPS or plain, keep-alive and
// pipelining in order, deadlines, drain.
//
// Pistache accepts connections; Asio worker threads own them. Each worker has an io_context, a
// thread and a Handler of its own, and a connection stays on its worker for life: handlers need no
// locks for what they own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "base/task.h"
#include "http/message.h"
#include "http/tls.h"

namespace holdfast::http {

// Bytes that were not a request, or not a whole one; or a request that a limit keeps from being
// handled, with its head whole.
struct Unreadable {
  // 400, 408, 413, 414, 417, 431, 501 or 505; 500 when the handler threw; 503 when there were as
  // many requests in flight as there may be, in all or of its client's address.
  int status = 400;
  std::string why;  // One line for the client, with no byte of the request in it.
  // As far as it was read, byte for byte: method and target are empty where there was no request
  // line, and need not be valid where there was one.
  RequestHead head;
  Peer peer;
};

// Answers requests of one worker's connections, many at a time, all on that worker's thread.
class Handler {
 public:
  virtual ~Handler() = default;

  // Runs to its end even if the client goes away meanwhile. The request's body may be read until
  // the response's stream, if any, has ended. What is thrown becomes a 500 and closes the
  // connection.
  virtual Task<Response> handle(Request request) = 0;

  // The answer to what could not be read. The connection closes after it, unless it was a whole
  // request that came at a bad time (503).
  virtual Task<Response> refuse(Unreadable request) = 0;

  // The server will not wait any longer: what the requests in flight wait for elsewhere is to end
  // now, so that they can be answered.
  virtual void give_up() {}
};

using HandlerFactory = std::function<std::unique_ptr<Handler>(boost::asio::any_io_executor worker)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one; see Server::port().
  int threads = 1;
  ServerTlsOptions tls{};  // Without a certificate and a key: plain HTTP.
  // Whether the TCP peer of that address begins every connection with a PROXY protocol header of
  // version 2. Then it must; from anybody else such a header is not a request. Called by every
  // worker. Empty: nobody does.
  std::function<bool(const std::string& address)> sends_proxy_header{};
  std::size_t connections_max = 10'000;  // Further ones are closed as they come.
  // Of one client address, or one IPv6 /64; `shares_address` names those that are not counted, here
  // and of requests in flight, because many clients come from there (a load balancer). Called on
  // the listener's thread and by every worker.
  std::size_t connections_per_address_max = 2'000;
  std::function<bool(const std::string& address)> shares_address{};
  // File descriptors that clients' connections leave for everything else.
  std::size_t descriptors_reserved = 1'024;
  // From a request's head to the end of its answer, over all workers; one client address, or one
  // IPv6 /64, has a quarter at most. Over either: refuse() with 503, unless the target is one that
  // `needs_no_place` names, because whoever asks must know that the process is alive. Called by
  // every worker. Empty: all need one.
  std::size_t requests_in_flight_max = 4'096;
  std::function<bool(const std::string& target)> needs_no_place{};
  std::size_t header_bytes_max = 32 * 1024;  // Request line and headers together.
  std::size_t header_count_max = 100;
  std::size_t target_bytes_max = 8 * 1024;
  std::uint64_t body_bytes_max = std::uint64_t{1} << 30;
  // Of an answer, what the system may hold for one connection and not have sent.
  std::size_t queued_answer_bytes_max = 256 * 1024;
  // What a client must send of a body, and take of an answer, on average over the time that it
  // keeps us waiting, beyond the body or write timeout that each message has once.
  std::size_t transfer_bytes_per_second_min = 1'024;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds header_timeout{
      10'000};                                      // From the first byte of a request to its head.
  std::chrono::milliseconds body_timeout{30'000};   // Between two reads of a body.
  std::chrono::milliseconds idle_timeout{75'000};   // Between two requests.
  std::chrono::milliseconds write_timeout{30'000};  // Between two writes of an answer.
  // How long a connection whose last answer came before the end of its request takes what the
  // client still sends, in all and without a byte: a client may read the answer only once it has
  // sent everything, and closing earlier could take the answer from it. In a drain not at all.
  std::chrono::milliseconds linger_timeout{30'000};
  std::chrono::milliseconds linger_silence_max{5'000};
  // From the begin of a drain to a first request on a connection that has not brought one.
  std::chrono::milliseconds first_request_grace{1'000};
  Metrics* metrics = nullptr;  // Outlives the server. Null: nobody asks what it counts.
};

class Server {
 public:
  // Listens when it returns. kInvalid: the certificate or key cannot be used; kUnavailable: the
  // address cannot be bound. Both name the file or address. The factory is called once a worker,
  // before the first connection.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, HandlerFactory factory);

  // Closes what is still open at once. Handlers are destroyed on their worker.
  ~Server();

  std::uint16_t port() const;

  // Reads certificate, key and client authorities again; see ServerTls::reload. From any thread.
  Status reload_tls();

  // Stops accepting, lets requests in flight finish, closes idle connections. What was read is
  // answered, and each connection's last answer says that it closes; a connection that has not
  // brought its first request yet has a while to do so. Returns true when nothing was left before
  // `timeout`; call again to wait on. From a thread that is not a worker.
  bool drain(std::chrono::milliseconds timeout);

  // Ends what drain() was waiting for: handlers give up, and no client is waited for any more.
  // Whoever can take an answer at once still gets it. drain() says when that is done.
  void give_up();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::http
