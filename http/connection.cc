#include "http/connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "http/admission.h"
#include "http/deadline.h"
#include "http/proxy_protocol.h"

namespace holdfast::http {
namespace {

// Up to this size, an answer's content is copied behind its head and both leave in one write.
constexpr std::size_t kJoinBytesMax = 64 * 1024;
constexpr std::size_t kKeptCapacityMax = 4 * 1024;
constexpr int kServedInARow = 16;

HeadLimits head_limits(const ServerOptions& options) {
  return {options.header_bytes_max, options.header_count_max, options.target_bytes_max};
}

// In a gauge while it lives.
class Counted {
 public:
  Counted(Gauge& gauge, std::size_t count)
      : gauge_(gauge), count_(static_cast<std::int64_t>(count)) {
    gauge_.add(count_);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { gauge_.add(-count_); }

 private:
  Gauge& gauge_;
  const std::int64_t count_;
};

}  // namespace

const std::string& ConnectionHost::date() {
  const WallTime now = system_clock().now();
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second != dated_at_ || date_.empty()) {
    dated_at_ = second;
    date_ = to_http_date(now);
  }
  return date_;
}

Connection::Connection(std::unique_ptr<Stream> stream, Peer peer, ConnectionHost& host)
    : stream_(std::move(stream)),
      peer_(std::move(peer)),
      host_(host),
      parser_(head_limits(host.options)),
      body_(*stream_, pending_, host),
      answer_pace_(host.options.write_timeout) {
  host_.connections.push_back(*this);
}

void Connection::drain() {
  if (phase_ == Phase::kIdle) stream_->wake();
}

void Connection::end_unless_begun() {
  if (phase_ != Phase::kBeginning) return;
  phase_ = Phase::kIdle;  // From here on it takes what has come, and does not wait.
  begin_by_ = {};
  stream_->wake();
}

void Connection::give_up() {
  stream_->interrupt();
}

Task<void> Connection::run() {
  const bool begun = co_await begin();
  if (!begun) co_return;
  Next next = Next::kRequest;
  for (int served = 1; next == Next::kRequest; ++served) {
    next = co_await serve_one();
    phase_ = Phase::kIdle;
    // A client whose next requests are here already must not keep the worker from the others.
    if (served % kServedInARow == 0) co_await boost::asio::post(boost::asio::use_awaitable);
  }
  if (next == Next::kAbort) {
    stream_->abort();
    co_return;
  }
  stream_->finish_writing();
  if (next == Next::kLinger || !pending_.empty()) co_await linger();
}

Task<bool> Connection::begin() {
  begin_by_ = from_now(host_.options.handshake_timeout);
  const auto& sends_proxy_header = host_.options.sends_proxy_header;
  if (sends_proxy_header && sends_proxy_header(peer_.address)) {
    const bool named = co_await read_proxy_header();
    if (!named) co_return false;
  }
  const Status shaken = co_await stream_->handshake(begin_by_);
  if (shaken.ok()) {
    peer_.certificate = stream_->client_certificate();
  } else {
    count_failed_begin(shaken.error());
  }
  co_return shaken.ok();
}

void Connection::count_failed_begin(const Error& error) {
  // In another phase a drain has brought the deadline forward.
  if (error.code == ErrorCode::kTimeout && phase_ == Phase::kBeginning) {
    host_.server.over_handshake.add();
  }
}

Task<bool> Connection::read_proxy_header() {
  std::string received;
  ProxyHeader header = parse_proxy_header(received);
  while (header.state == ProxyHeader::State::kNeedMore) {
    const std::size_t known = received.size();
    received.resize(header.size);
    const Status read =
        co_await stream_->read_in_front(std::span(received).subspan(known), begin_by_);
    if (!read.ok()) {
      count_failed_begin(read.error());
      co_return false;
    }
    header = parse_proxy_header(received);
  }
  if (header.state == ProxyHeader::State::kInvalid) {
    log_warning("a connection was refused: it must begin with a PROXY header",
                {{"address", peer_.address}, {"reason", header.why}});
    co_return false;
  }
  if (header.source != ProxyHeader::Source::kBalancer) {
    peer_.address = header.address;
    peer_.port = header.port;
  }
  co_return true;
}

Task<Connection::Next> Connection::serve_one() {
  const Received received = co_await receive_head();
  phase_ = Phase::kBusy;
  if (received == Received::kClosed) co_return Next::kClose;
  if (received == Received::kRefused) co_return co_await refuse_head();
  if (!account_) account_.emplace(host_.server.in_flight, client());
  SharedBudget::Share place(*account_);
  Request request = begin_request();
  // What is needed of the head to answer; the rest belongs to the handler.
  const RequestHead kept{.method = request.head.method,
                         .minor_version = request.head.minor_version};
  std::optional<Unreadable> refused = refused_by_limit(request.head.target, place.take(1));
  if (refused) {
    refused->head = std::move(request.head);
    refused->peer = peer_;
    Response response = co_await refusal(*std::move(refused));
    co_return co_await respond(std::move(response), kept);
  }
  request.body = framing_.has_body() ? body_.view() : empty_body();
  Response response = co_await answer(std::move(request));
  const Next next = co_await respond(std::move(response), kept);
  body_.detach();
  co_return next;
}

// Without its body.
Request Connection::begin_request() {
  framing_ = parser_.framing();
  body_.begin(framing_);
  return {.head = parser_.take_head(), .peer = peer_};
}

std::string Connection::client() const {
  const auto& shares_address = host_.options.shares_address;
  if (shares_address && shares_address(peer_.address)) return {};
  return address_group(peer_.address);
}

std::optional<Unreadable> Connection::refused_by_limit(const std::string& target,
                                                       SharedBudget::Answer place) {
  const auto& needs_no_place = host_.options.needs_no_place;
  const bool has_place = place == SharedBudget::Answer::kTaken;
  if (!has_place && !(needs_no_place && needs_no_place(target))) {
    const bool over_part = place == SharedBudget::Answer::kOverPart;
    (over_part ? host_.server.over_in_flight_of_address : host_.server.over_in_flight).add();
    return Unreadable{.status = 503, .why = "too many requests are being answered"};
  }
  if (body_.left() <= host_.options.body_bytes_max) return std::nullopt;
  host_.server.over_body_bytes.add();
  framing_.keep_alive = false;
  return Unreadable{.status = 413, .why = "the body is too large"};
}

Task<Connection::Next> Connection::refuse_head() {
  framing_ = {.keep_alive = false};
  const Refusal& refused = parser_.refusal();
  if (!refused.limit.empty()) host_.server.over(refused.limit).add();
  Unreadable unreadable{
      .status = refused.status, .why = refused.why, .head = parser_.take_head(), .peer = peer_};
  Response response = co_await refusal(std::move(unreadable));
  const RequestHead unread{.method = "GET"};
  const Next next = co_await respond(std::move(response), unread);
  co_return next == Next::kAbort ? next : Next::kLinger;
}

Task<Connection::Received> Connection::receive_head() {
  parser_.reset();
  if (pending_.empty() && pending_.capacity() > kKeptCapacityMax) pending_ = {};
  bool begun = false;
  SteadyTime deadline{};
  std::string_view fresh = pending_;
  for (;;) {
    if (!fresh.empty()) {
      const RequestParser::State state = parse_received(fresh);
      if (state == RequestParser::State::kDone) co_return Received::kHead;
      if (state == RequestParser::State::kRefused) co_return Received::kRefused;
      if (!std::exchange(begun, true)) deadline = from_now(host_.options.header_timeout);
      phase_ = Phase::kBusy;
    }
    fresh = {};
    const IoStep step = stream_->try_read(host_.received);
    if (step.state == IoState::kDone) {
      fresh = std::string_view(host_.received.data(), step.bytes);
      continue;
    }
    if (step.state == IoState::kEnd || step.state == IoState::kFailed) co_return Received::kClosed;
    if (host_.draining && phase_ == Phase::kIdle) co_return Received::kClosed;
    if (!begun && deadline == SteadyTime{}) deadline = from_now(host_.options.idle_timeout);
    const Status ready = co_await stream_->wait(step.state, deadline);
    if (ready.ok()) continue;
    if (ready.error().code != ErrorCode::kTimeout) co_return Received::kClosed;
    if (!begun) {
      host_.server.over_idle.add();
      co_return Received::kClosed;
    }
    parser_.time_out();
    co_return Received::kRefused;
  }
}

// Parses `fresh` behind what is pending. Afterwards pending_ holds all bytes that no head has
// taken; a head that came in one piece is never copied.
RequestParser::State Connection::parse_received(std::string_view fresh) {
  const bool in_place = pending_.empty();
  if (!in_place && fresh.data() != pending_.data()) pending_.append(fresh);
  const RequestParser::State state = parser_.parse(in_place ? fresh : std::string_view(pending_));
  const std::size_t taken = state == RequestParser::State::kDone ? parser_.consumed() : 0;
  if (in_place) {
    pending_.assign(fresh.substr(taken));
  } else {
    pending_.erase(0, taken);
  }
  return state;
}

Task<Response> Connection::answer(Request request) {
  try {
    co_return co_await host_.handler->handle(std::move(request));
  } catch (const std::exception& failure) {
    log_error("a request handler failed", {{"reason", failure.what()}});
  }
  framing_.keep_alive = false;
  Unreadable failed{.status = 500, .why = "internal error", .head = {}, .peer = peer_};
  co_return co_await refusal(std::move(failed));
}

Task<Response> Connection::refusal(Unreadable unreadable) {
  const int status = unreadable.status;
  try {
    co_return co_await host_.handler->refuse(std::move(unreadable));
  } catch (const std::exception& failure) {
    log_error("a refusal could not be made", {{"reason", failure.what()}});
  }
  co_return Response{.status = status};
}

Task<Connection::Next> Connection::respond(Response response, const RequestHead& head) {
  answer_pace_ = Pace(host_.options.write_timeout, host_.options.transfer_bytes_per_second_min);
  if (!body_.is_viewed()) body_.discard();
  const BodyPlan plan = plan_response(response, head.method, head.minor_version);
  // A body that the handler still reads decides after the answer.
  const bool keep = framing_.keep_alive && !host_.draining && !body_.broken() &&
                    (body_.complete() || body_.is_viewed()) &&
                    plan.framing != BodyFraming::kUntilClose;
  ConnectionHeader connection = keep ? ConnectionHeader::kNone : ConnectionHeader::kClose;
  if (keep && head.minor_version == 0) connection = ConnectionHeader::kKeepAlive;

  std::string& out = host_.to_send;
  out.clear();
  append_response_head(out, response, head.method, plan, connection, host_.date());
  Next sent = Next::kRequest;
  if (response.stream && plan.framing != BodyFraming::kNone) {
    sent = co_await respond_with_stream(std::move(response), plan, std::string(out));
  } else {
    std::string_view rest;
    if (plan.framing == BodyFraming::kLength) {
      const std::string_view content = response.content;
      out.append(content.substr(0, kJoinBytesMax));
      rest = content.substr(std::min(kJoinBytesMax, content.size()));
    }
    const IoStep step = stream_->try_write(out);
    const bool whole = step.state == IoState::kDone && step.bytes == out.size() && rest.empty();
    if (!whole) {
      const std::string unsent = out.substr(step.bytes);
      Status status = co_await send(unsent);
      if (status.ok()) status = co_await send(rest);
      if (!status.ok()) sent = Next::kAbort;
    }
  }
  if (sent == Next::kAbort) co_return sent;
  if (!body_.complete() || body_.broken()) co_return Next::kLinger;
  co_return keep ? Next::kRequest : Next::kClose;
}

// Copies the stream to the client block by block. The head leaves with the first block.
Task<Connection::Next> Connection::respond_with_stream(Response response, BodyPlan plan,
                                                       std::string head) {
  if (plan.framing == BodyFraming::kLength && plan.length == 0) {
    const Status sent = co_await send(head);
    co_return sent.ok() ? Next::kRequest : Next::kAbort;
  }
  BodyBlock block(head, plan);
  std::uint64_t left = plan.length;
  for (;;) {
    const Result<std::size_t> read = co_await response.stream->read(block.room());
    // Cut short in a way that the client must notice: half an answer is not an answer.
    if (!read.ok()) co_return Next::kAbort;
    const bool known = plan.framing == BodyFraming::kLength;
    if (known && (*read == 0 || *read > left)) co_return Next::kAbort;
    left -= known ? *read : 0;
    const bool last = known ? left == 0 : *read == 0 || response.stream->remaining() == 0;
    const auto more = last ? BodyBlock::More::kNo : BodyBlock::More::kMaybe;
    const Status sent = co_await send(block.frame(*read, more));
    if (!sent.ok()) co_return Next::kAbort;
    if (last) co_return Next::kRequest;
  }
}

Task<Status> Connection::send(std::string_view bytes) {
  for (;;) {
    const IoStep step = stream_->write_now(bytes, answer_pace_);
    if (step.state == IoState::kDone) co_return Status();
    if (step.state == IoState::kFailed || step.state == IoState::kEnd) {
      co_return Error{ErrorCode::kUnavailable, stream_->failure()};
    }
    host_.server.answer_waits.add();
    const Counted queued(host_.server.queued_bytes, stream_->unsent_bytes());
    Status ready = co_await stream_->wait(step.state, answer_pace_);
    if (ready.ok()) continue;
    if (ready.error().code == ErrorCode::kTimeout) {
      (answer_pace_.too_slow_on_average() ? host_.server.over_rate : host_.server.over_write).add();
    }
    co_return ready;
  }
}

// Reads on for a while after the last answer, so that what the client is still sending does not
// make the kernel reset the connection and take the answer with it. However much that is: a client
// may send all of a body before it reads. A drain does not wait for it.
Task<void> Connection::linger() {
  const SteadyTime deadline = from_now(host_.options.linger_timeout);
  std::size_t at_a_stretch = 0;
  while (steady_now() < deadline) {
    const IoStep step = stream_->try_read(host_.received);
    if (step.state == IoState::kEnd || step.state == IoState::kFailed) co_return;
    at_a_stretch += step.bytes;
    if (step.state == IoState::kDone && at_a_stretch < kDiscardBytesMax) continue;
    if (host_.draining) co_return;
    at_a_stretch = 0;
    if (step.state == IoState::kDone) {
      // A client that sends on and on must not keep the worker from the others.
      co_await boost::asio::post(boost::asio::use_awaitable);
      continue;
    }
    const SteadyTime silent_until = from_now(host_.options.linger_silence_max);
    const Status ready = co_await stream_->wait(step.state, std::min(deadline, silent_until));
    if (!ready.ok()) co_return;
  }
}

}  // namespace holdfast::http
