// One client's connection to a server: requests are read, answered and written strictly one after
// the other, so pipelined ones are answered in order.
//
// Everything here runs on the worker's thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/incoming_body.h"
#include "http/message_writer.h"
#include "http/pace.h"
#include "http/request_parser.h"
#include "http/server.h"
#include "http/server_state.h"
#include "http/stream.h"

namespace holdfast::http {

struct ConnectionHost;

// What is read away at a stretch, at most, of what nobody wants.
constexpr std::size_t kDiscardBytesMax = 256 * 1024;

class Connection : public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // The host outlives the connection.
  Connection(std::unique_ptr<Stream> stream, Peer peer, ConnectionHost& host);

  // Serves until the connection ends. Does not throw.
  Task<void> run();

  // To be called once the host says that it is draining: a connection that waits for its next
  // request takes what has come, and ends otherwise. All end after their next answer.
  void drain();
  // Ends a connection of whose first request no byte has come.
  void end_unless_begun();
  // Waits for the client no more; what it can take at once it still gets.
  void give_up();

 private:
  enum class Received { kHead, kRefused, kClosed };
  // kBeginning lasts up to the first byte of the first request; kIdle is between two requests.
  enum class Phase { kBeginning, kIdle, kBusy };
  // Whether the connection can go on being used, or how it must end.
  enum class Next { kRequest, kClose, kLinger, kAbort };

  // Reads a load balancer's PROXY header, and the TLS handshake. False: the connection is over.
  Task<bool> begin();
  Task<bool> read_proxy_header();
  void count_failed_begin(const Error& error);
  Task<Next> serve_one();
  Task<Next> refuse_head();
  Request begin_request();
  std::optional<Unreadable> refused_by_limit(const std::string& target, SharedBudget::Answer place);
  // Whose its requests in flight are; empty: of many who cannot be told apart.
  std::string client() const;
  Task<Received> receive_head();
  RequestParser::State parse_received(std::string_view fresh);
  Task<Response> answer(Request request);
  Task<Response> refusal(Unreadable unreadable);

  Task<Next> respond(Response response, const RequestHead& head);
  Task<Next> respond_with_stream(Response response, BodyPlan plan, std::string head);
  Task<Status> send(std::string_view bytes);
  Task<void> linger();

  const std::unique_ptr<Stream> stream_;
  Peer peer_;                                     // Complete once the handshake is through.
  std::optional<SharedBudget::Account> account_;  // Of the client, from the first request on.
  ConnectionHost& host_;
  RequestParser parser_;
  std::string pending_;  // Received and not used yet.
  Phase phase_ = Phase::kBeginning;
  SteadyTime begin_by_{};  // When the handshake must be through.

  // Of the request being answered.
  Framing framing_;
  IncomingBody body_;
  Pace answer_pace_;
};

// What the connections of one worker share.
struct ConnectionHost {
  ConnectionHost(boost::asio::any_io_executor executor, ServerState& state)
      : server(state), options(state.options), watchdog(executor), received(64 * 1024) {}

  // The Date header's value, made once a second.
  const std::string& date();

  ServerState& server;  // Shared with the other workers.
  const ServerOptions& options;
  std::unique_ptr<Handler> handler;
  Watchdog watchdog;
  std::vector<char> received;  // For one read, and not over a co_await; the same for `to_send`.
  std::string to_send;
  bool draining = false;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> connections;

 private:
  std::string date_;
  std::chrono::sys_seconds dated_at_{};
};

}  // namespace holdfast::http
