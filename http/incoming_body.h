// The body of the request that a connection is answering, as it comes from the client: by its
// length or in chunks, within the limits, asked for with 100 where the client waits for that.
//
// The connection owns it and outlives it; one thread. What it reads too much stays in `pending`,
// for the next request.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "http/chunked.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/request_parser.h"
#include "http/stream.h"

namespace holdfast::http {

struct ConnectionHost;

class IncomingBody {
 public:
  IncomingBody(Stream& stream, std::string& pending, ConnectionHost& host);
  ~IncomingBody() { detach(); }
  IncomingBody(const IncomingBody&) = delete;
  IncomingBody& operator=(const IncomingBody&) = delete;

  // A request begins, whose body is framed so.
  void begin(const Framing& framing);

  // The handler's view of it, which may live longer. At most one a request.
  std::unique_ptr<Body> view();
  // While there is one: its reads fail from detach() on.
  bool is_viewed() const { return view_ != nullptr; }
  void detach();

  // What is still to come, where the length is known.
  std::uint64_t left() const { return left_; }
  bool complete() const;
  // Reading failed: what follows on the connection is not a request.
  bool broken() const { return broken_; }

  // Reads away what came of a body that nobody wants, without waiting.
  void discard();

 private:
  class View;

  Task<Result<std::size_t>> read(std::span<char> buffer);
  Task<Result<std::size_t>> read_length(std::span<char> buffer);
  Task<Result<std::size_t>> read_chunked(std::span<char> buffer);
  Task<Status> ask_to_continue();
  void count_failure(const Error& error);

  Stream& stream_;
  std::string& pending_;
  ConnectionHost& host_;
  View* view_ = nullptr;  // While the handler has not destroyed it.

  // Of the request that begin() was called for.
  bool chunked_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t taken_ = 0;
  ChunkedDecoder decoder_;
  bool may_continue_ = false;  // The client waits for 100 before it sends the body.
  bool broken_ = false;
  Pace pace_;
};

}  // namespace holdfast::http
