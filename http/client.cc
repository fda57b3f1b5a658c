#include "http/client.h"

#include <algorithm>
#include <utility>

#include "http/client_pool.h"
#include "http/deadline.h"
#include "http/message_writer.h"
#include "http/response_parser_beast.h"

namespace holdfast::http {
namespace {

// An answer whose body came with its head, up to this size, needs no stream.
constexpr std::size_t kWholeBytesMax = 64 * 1024;
constexpr int kInterimMax = 16;  // Answers of 1xx before the real one.

BodyPlan plan_request(const Outgoing& outgoing) {
  const std::string& method = outgoing.head.method;
  const auto length = outgoing.body != nullptr ? outgoing.body->remaining() : 0;
  if (!length) return {BodyFraming::kChunked, 0};
  const bool expected = method == "POST" || method == "PUT" || method == "PATCH";
  if (*length == 0 && !expected) return {};
  return {BodyFraming::kLength, *length};
}

// After a read of `read` bytes that makes `taken` in all.
Status check_length(const BodyPlan& plan, std::size_t read, std::uint64_t taken) {
  if (plan.framing != BodyFraming::kLength || (read > 0 && taken <= plan.length)) return {};
  return Error{ErrorCode::kInternal, "a request body is not as long as announced"};
}

bool is_last(const BodyPlan& plan, std::size_t read, std::uint64_t taken) {
  return plan.framing == BodyFraming::kLength ? taken == plan.length : read == 0;
}

Error closed_early() {
  return {ErrorCode::kUnavailable, "the upstream closed before its answer ended"};
}

void count_timeout(const Status& ended, Counter& timeouts) {
  if (ended.error().code == ErrorCode::kTimeout) timeouts.add();
}

// The body of an answer, as it comes. Gives the connection back with the last byte.
class ResponseBody : public Body {
 public:
  ResponseBody(Lease lease, std::unique_ptr<ResponseParser> parser, bool reusable,
               SteadyTime deadline)
      : lease_(std::move(lease)),
        parser_(std::move(parser)),
        left_(parser_->content_length()),
        reusable_(reusable),
        deadline_(deadline) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    if (failed_) co_return closed_early();
    if (!lease_ || buffer.empty()) co_return std::size_t{0};
    Result<std::size_t> read = co_await read_more(buffer);
    if (!read.ok()) {
      failed_ = true;
      lease_.reset();
      co_return read;
    }
    if (left_) *left_ -= *read;
    if (parser_->done()) {
      left_ = 0;
      end();
    }
    co_return read;
  }

  std::optional<std::uint64_t> remaining() const override { return left_; }

 private:
  Task<Result<std::size_t>> read_more(std::span<char> buffer) {
    UpstreamConnection& connection = **lease_;
    std::string& pending = connection.pending;
    std::vector<char>& received = lease_->pool().received();
    for (;;) {
      if (!pending.empty()) {
        const Result<ResponseParser::Content> content = parser_->parse_content(pending, buffer);
        if (!content.ok()) co_return content.error();
        pending.erase(0, content->taken);
        if (content->produced > 0 || parser_->done()) co_return content->produced;
      }
      const IoStep step = connection.stream->try_read(received);
      if (step.state == IoState::kDone) {
        pending.append(received.data(), step.bytes);
      } else if (step.state == IoState::kEnd) {
        // Without a length, the end of the connection is the end of the body.
        if (!parser_->finish().ok()) co_return closed_early();
        reusable_ = false;
        co_return std::size_t{0};
      } else if (step.state == IoState::kFailed) {
        co_return Error{ErrorCode::kUnavailable, connection.stream->failure()};
      } else {
        const auto idle = from_now(lease_->pool().options().idle_timeout);
        const SteadyTime deadline = std::min(idle, deadline_);
        const Status ready = co_await connection.stream->wait(step.state, deadline);
        if (ready.ok()) continue;
        const ClientMetrics& metrics = lease_->pool().metrics();
        count_timeout(ready, idle < deadline_ ? metrics.over_idle : metrics.over_answer);
        co_return ready.error();
      }
    }
  }

  void end() {
    if (reusable_ && (*lease_)->pending.empty()) lease_->give_back();
    lease_.reset();
  }

  std::optional<Lease> lease_;  // Empty after the end.
  const std::unique_ptr<ResponseParser> parser_;
  std::optional<std::uint64_t> left_;
  bool reusable_;
  const SteadyTime deadline_;  // Of the whole body.
  bool failed_ = false;
};

// Reads a body until `room` is full or the body has ended, which takes no connection yet.
Task<Result<std::size_t>> read_start(Body& body, const BodyPlan& plan, std::span<char> room) {
  std::size_t taken = 0;
  for (bool last = false; !last && taken < room.size();) {
    const std::span<char> rest = room.subspan(taken);
    const Result<std::size_t> read = co_await body.read(rest);
    if (!read.ok()) co_return read.error();
    taken += *read;
    const Status fits = check_length(plan, *read, taken);
    if (!fits.ok()) co_return fits.error();
    last = is_last(plan, *read, taken);
  }
  co_return taken;
}

// The head of a request and the start of its body, to leave in one write.
struct Opening {
  BodyBlock& block;
  std::string_view bytes;
  std::uint64_t taken;  // Of the body.
  bool is_whole;        // No more of it comes.
};

// One request on one connection.
class Exchange {
 public:
  Exchange(Lease lease, const Outgoing& outgoing, BodyPlan plan)
      : lease_(std::move(lease)), outgoing_(outgoing), plan_(plan) {
    expect_head();
  }

  Progress progress() const { return progress_; }
  // After a failed run: whether no byte of an answer had come.
  bool is_unanswered() const { return !heard_; }

  Task<Result<Response>> run(Opening opening) {
    Status sent = co_await write(opening.bytes);
    if (sent.ok() && !is_turned_away() && !opening.is_whole) {
      sent = co_await write_body(opening.block, opening.taken);
    }
    if (!sent.ok()) {
      // The answer may have come before the upstream closed, and then it counts.
      const Status polled = poll_answer();
      if (!polled.ok() || !answered_) co_return sent.error();
      request_complete_ = false;
    }
    const Status received = co_await read_head();
    if (!received.ok()) co_return received.error();
    co_return finish();
  }

 private:
  Stream& stream() { return *lease_->stream; }

  void expect_head() {
    parser_ = std::make_unique<ResponseParser>(outgoing_.head.method == "HEAD",
                                               lease_.pool().options().header_bytes_max);
  }

  // Ends early when the upstream turns the rest of the request away.
  Task<Status> write(std::string_view bytes) {
    while (!bytes.empty()) {
      // What TLS has begun to write may leave later, whatever it returns now.
      if (lease_.pool().origin().tls) progress_ = Progress::kSomeSent;
      const IoStep step = stream().try_write(bytes);
      if (step.state == IoState::kDone) {
        progress_ = Progress::kSomeSent;
        bytes.remove_prefix(step.bytes);
        continue;
      }
      if (step.state == IoState::kFailed || step.state == IoState::kEnd) {
        co_return Error{ErrorCode::kUnavailable, stream().failure()};
      }
      const auto deadline = from_now(lease_.pool().options().idle_timeout);
      // Bytes of an answer that is known already would only wake it for nothing.
      Status ready;
      if (answered_) {
        ready = co_await stream().wait(IoState::kWantWrite, deadline);
      } else {
        ready = co_await stream().wait_for_any(deadline);
      }
      if (!ready.ok()) {
        count_timeout(ready, lease_.pool().metrics().over_idle);
        co_return ready.error();
      }
      if (!answered_) {
        const Status polled = poll_answer();
        if (!polled.ok()) co_return polled.error();
      }
      if (is_turned_away()) {
        request_complete_ = false;
        co_return Status();
      }
    }
    co_return Status();
  }

  Task<Status> write_body(BodyBlock& block, std::uint64_t taken) {
    for (bool last = false; !last;) {
      const Result<std::size_t> read = co_await outgoing_.body->read(block.room());
      if (!read.ok()) co_return read.error();
      taken += *read;
      const Status fits = check_length(plan_, *read, taken);
      if (!fits.ok()) co_return fits;
      last = is_last(plan_, *read, taken);
      Status sent = co_await write(block.frame(*read));
      if (sent.ok() && !answered_) sent = poll_answer();
      if (!sent.ok()) co_return sent;
      if (is_turned_away()) {
        request_complete_ = request_complete_ && last;
        co_return Status();
      }
    }
    co_return Status();
  }

  // The upstream answered early and does not want the rest. After an early success it does.
  bool is_turned_away() const {
    return answered_ && (response_.status >= 300 || !parser_->keep_alive());
  }

  // Takes what has come without waiting.
  Status poll_answer() {
    std::vector<char>& received = lease_.pool().received();
    while (!answered_) {
      const IoStep step = stream().try_read(received);
      if (step.state == IoState::kWantRead || step.state == IoState::kWantWrite) return {};
      if (step.state == IoState::kEnd) return closed_early();
      if (step.state == IoState::kFailed) return Error{ErrorCode::kUnavailable, stream().failure()};
      heard_ = true;
      lease_->pending.append(received.data(), step.bytes);
      const Status parsed = parse_pending();
      if (!parsed.ok()) return parsed;
    }
    return {};
  }

  Task<Status> read_head() {
    const SteadyTime deadline =
        from_now(outgoing_.response_timeout.value_or(lease_.pool().options().response_timeout));
    for (;;) {
      const Status polled = poll_answer();
      if (answered_) co_return Status();
      if (!polled.ok()) co_return polled;
      const Status ready = co_await stream().wait(IoState::kWantRead, deadline);
      if (ready.ok()) continue;
      count_timeout(ready, lease_.pool().metrics().over_response);
      co_return ready;
    }
  }

  // Sets answered_ once the head of the final answer is complete.
  Status parse_pending() {
    std::string& pending = lease_->pending;
    while (!answered_ && !pending.empty()) {
      const Result<std::size_t> taken = parser_->parse_head(pending);
      if (!taken.ok()) return taken.error();
      pending.erase(0, *taken);
      if (!parser_->has_head()) return {};
      response_ = parser_->take_head();
      if (response_.status >= 200) {
        answered_ = true;
        return {};
      }
      if (response_.status == 101 || ++interim_ > kInterimMax) {
        return Error{ErrorCode::kInvalid, "the upstream answered with 1xx where none is expected"};
      }
      expect_head();
    }
    return {};
  }

  Result<Response> finish() {
    const bool reusable = request_complete_ && parser_->keep_alive();
    std::string& pending = lease_->pending;
    if (!parser_->done() &&
        parser_->content_length().value_or(kWholeBytesMax + 1) <= pending.size() &&
        pending.size() <= kWholeBytesMax) {
      response_.content.resize(static_cast<std::size_t>(*parser_->content_length()));
      const auto content = parser_->parse_content(pending, response_.content);
      if (!content.ok()) return content.error();
      pending.erase(0, content->taken);
    }
    if (parser_->done()) {
      if (reusable && pending.empty()) lease_.give_back();
      return std::move(response_);
    }
    const bool hurried = outgoing_.answer_timeout.count() > 0;
    const SteadyTime deadline = hurried ? from_now(outgoing_.answer_timeout) : SteadyTime::max();
    response_.stream =
        std::make_unique<ResponseBody>(std::move(lease_), std::move(parser_), reusable, deadline);
    return std::move(response_);
  }

  Lease lease_;
  const Outgoing& outgoing_;
  const BodyPlan plan_;
  std::unique_ptr<ResponseParser> parser_;
  Response response_;
  Progress progress_ = Progress::kNothingSent;
  bool heard_ = false;
  bool answered_ = false;
  bool request_complete_ = true;
  int interim_ = 0;
};

struct Attempt {
  SendResult sent;
  // A connection used before ended without a byte of an answer.
  bool died_kept = false;
};

Task<Attempt> try_once(ClientPool& pool, const Outgoing& outgoing, BodyPlan plan, Opening opening,
                       Pick pick) {
  Result<Lease> lease = co_await pool.lease(outgoing.traffic, pick, outgoing.address);
  if (!lease.ok()) co_return Attempt{{Progress::kNothingSent, lease.error()}};
  // As late as can be: connecting takes time, and a process may be stopped meanwhile.
  if (outgoing.send_before && steady_now() >= *outgoing.send_before) {
    lease->give_back();
    co_return Attempt{
        {Progress::kNothingSent, Error{ErrorCode::kTimeout, "it was too late to send"}}};
  }
  const bool kept = lease->is_reused();
  const SteadyTime::duration idle = lease->idle();
  Exchange exchange(std::move(*lease), outgoing, plan);
  Result<Response> response = co_await exchange.run(opening);
  const bool died = !response.ok() && response.error().code == ErrorCode::kUnavailable;
  const bool died_kept = kept && died && exchange.is_unanswered();
  if (died_kept) pool.distrust(idle);
  co_return Attempt{{exchange.progress(), std::move(response)}, died_kept};
}

}  // namespace

Client::Client(boost::asio::any_io_executor executor, ClientOptions options)
    : pool_(std::make_shared<ClientPool>(std::move(executor), std::move(options))) {}

Client::~Client() {
  pool_->close();
}

Task<SendResult> Client::send(Outgoing outgoing) {
  const std::shared_ptr<ClientPool> pool = pool_;
  if (!pool->usable().ok()) {
    co_return SendResult{Progress::kNothingSent, pool->usable().error()};
  }
  const BodyPlan plan = plan_request(outgoing);
  std::string head;
  if (!append_request_head(head, outgoing.head, pool->origin().authority, plan)) {
    co_return SendResult{Progress::kNothingSent,
                         Error{ErrorCode::kInvalid, "the request holds bytes that HTTP cannot"}};
  }
  // The start of the body is fetched before a connection is taken: a small request then leaves in
  // one write, and who sends it slowly holds no connection.
  BodyBlock block(head, plan);
  std::size_t read = 0;
  const bool has_body = plan.framing == BodyFraming::kChunked || plan.length > 0;
  if (has_body) {
    const Result<std::size_t> first = co_await read_start(*outgoing.body, plan, block.room());
    if (!first.ok()) co_return SendResult{Progress::kNothingSent, first.error()};
    read = *first;
  }
  Opening opening{block, block.frame(read), read, !has_body || is_last(plan, read, read)};
  Attempt attempt = co_await try_once(*pool, outgoing, plan, opening, Pick::kKept);
  const bool may_resend = outgoing.traffic == Traffic::kOrdinary && outgoing.head.method == "GET" &&
                          !has_body && attempt.died_kept;
  if (!may_resend) co_return std::move(attempt.sent);
  // The upstream had closed the connection that was kept, or was about to: once more, on a new one.
  Attempt again = co_await try_once(*pool, outgoing, plan, opening, Pick::kNew);
  again.sent.progress = std::max(attempt.sent.progress, again.sent.progress);
  co_return std::move(again.sent);
}

void Client::abandon() {
  pool_->abandon();
}

}  // namespace holdfast::http
