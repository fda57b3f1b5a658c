#include "http/incoming_body.h"

#include <algorithm>
#include <utility>

#include "http/connection.h"

namespace holdfast::http {
namespace {

constexpr std::size_t kChunkedReadMax = 16 * 1024;

}  // namespace

// Both sides may go first.
class IncomingBody::View : public Body {
 public:
  explicit View(IncomingBody& body) : body_(&body) {}
  ~View() override {
    if (body_ != nullptr) body_->view_ = nullptr;
  }

  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    if (body_ == nullptr) co_return Error{ErrorCode::kUnavailable, "the request is over"};
    co_return co_await body_->read(buffer);
  }

  std::optional<std::uint64_t> remaining() const override {
    if (body_ == nullptr || body_->chunked_) return std::nullopt;
    return body_->left_;
  }

  void detach() { body_ = nullptr; }

 private:
  IncomingBody* body_;
};

IncomingBody::IncomingBody(Stream& stream, std::string& pending, ConnectionHost& host)
    : stream_(stream), pending_(pending), host_(host), pace_(host.options.body_timeout) {}

void IncomingBody::begin(const Framing& framing) {
  chunked_ = framing.chunked;
  left_ = framing.content_length;
  taken_ = 0;
  decoder_ = {};
  may_continue_ = framing.expects_continue;
  broken_ = false;
  pace_ = Pace(host_.options.body_timeout, host_.options.transfer_bytes_per_second_min);
}

std::unique_ptr<Body> IncomingBody::view() {
  auto view = std::make_unique<View>(*this);
  view_ = view.get();
  return view;
}

void IncomingBody::detach() {
  if (view_ != nullptr) std::exchange(view_, nullptr)->detach();
}

bool IncomingBody::complete() const {
  if (chunked_) return decoder_.state() == ChunkedDecoder::State::kDone;
  return left_ == 0;
}

void IncomingBody::discard() {
  // A client that waits for 100 may or may not send its body now: only closing is clear.
  if (may_continue_ && pending_.empty()) return;
  std::size_t discarded = 0;
  while (!complete() && !broken_ && discarded < kDiscardBytesMax) {
    if (pending_.empty()) {
      const IoStep step = stream_.try_read(host_.received);
      if (step.state != IoState::kDone) return;
      pending_.assign(host_.received.data(), step.bytes);
    }
    if (chunked_) {
      const ChunkedDecoder::Step step = decoder_.decode(pending_, host_.received);
      broken_ = decoder_.state() == ChunkedDecoder::State::kInvalid;
      pending_.erase(0, step.consumed);
      discarded += step.consumed;
    } else {
      const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, pending_.size()));
      pending_.erase(0, taken);
      left_ -= taken;
      discarded += taken;
    }
  }
}

Task<Result<std::size_t>> IncomingBody::read(std::span<char> buffer) {
  if (broken_) co_return Error{ErrorCode::kInvalid, "the request's body is broken"};
  if (complete() || buffer.empty()) co_return std::size_t{0};
  // Not as one conditional expression: g++ 12 destroys the result of a co_await in it twice.
  Result<std::size_t> read = std::size_t{0};
  if (chunked_) {
    read = co_await read_chunked(buffer);
  } else {
    read = co_await read_length(buffer);
  }
  if (read.ok() && (taken_ += *read) > host_.options.body_bytes_max) {
    read = Error{ErrorCode::kLimit, "the body is too large"};
  }
  if (!read.ok()) count_failure(read.error());
  broken_ = !read.ok();
  co_return read;
}

Task<Result<std::size_t>> IncomingBody::read_length(std::span<char> buffer) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
  if (!pending_.empty()) {
    const std::size_t copied = pending_.copy(buffer.data(), wanted);
    pending_.erase(0, copied);
    left_ -= copied;
    co_return copied;
  }
  const Status asked = co_await ask_to_continue();
  if (!asked.ok()) co_return asked.error();
  Result<std::size_t> read = co_await stream_.read_some(buffer.first(wanted), pace_);
  if (!read.ok()) co_return read;
  if (*read == 0) co_return Error{ErrorCode::kUnavailable, "the client closed within the body"};
  left_ -= *read;
  co_return read;
}

Task<Result<std::size_t>> IncomingBody::read_chunked(std::span<char> buffer) {
  for (;;) {
    const ChunkedDecoder::Step step = decoder_.decode(pending_, buffer);
    pending_.erase(0, step.consumed);
    if (decoder_.state() == ChunkedDecoder::State::kInvalid) {
      co_return Error{ErrorCode::kInvalid, "the chunked body is not valid"};
    }
    if (step.produced > 0 || complete()) co_return step.produced;
    const Status asked = co_await ask_to_continue();
    if (!asked.ok()) co_return asked.error();
    pending_.resize(kChunkedReadMax);
    const Result<std::size_t> read = co_await stream_.read_some(pending_, pace_);
    pending_.resize(read.ok() ? *read : 0);
    if (!read.ok()) co_return read.error();
    if (*read == 0) co_return Error{ErrorCode::kUnavailable, "the client closed within the body"};
  }
}

Task<Status> IncomingBody::ask_to_continue() {
  if (!std::exchange(may_continue_, false) || !pending_.empty()) co_return Status();
  co_return co_await stream_.write_all("HTTP/1.1 100 Continue\r\n\r\n", pace_);
}

void IncomingBody::count_failure(const Error& error) {
  if (error.code == ErrorCode::kLimit) host_.server.over_body_bytes.add();
  if (error.code != ErrorCode::kTimeout) return;
  (pace_.too_slow_on_average() ? host_.server.over_rate : host_.server.over_body).add();
}

}  // namespace holdfast::http
