#include "http/stream.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "http/await.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

class PlainStream : public Stream {
 public:
  using Stream::Stream;

  IoStep try_handshake() override { return {IoState::kDone, 0}; }

  IoStep try_read(std::span<char> buffer) override {
    // A short read emptied the socket: another one would only say so.
    if (std::exchange(drained_, false)) return {IoState::kWantRead, 0};
    const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
    if (got < 0) return fail_or_want(IoState::kWantRead);
    if (got == 0) return {IoState::kEnd, 0};
    drained_ = static_cast<std::size_t>(got) < buffer.size();
    return {IoState::kDone, static_cast<std::size_t>(got)};
  }

  IoStep try_write(std::string_view bytes) override {
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return fail_or_want(IoState::kWantWrite);
    return {IoState::kDone, static_cast<std::size_t>(sent)};
  }

  void finish_writing() override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  bool is_quiet() override {
    char byte = 0;
    const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK);
    return got < 0 && errno == EAGAIN;
  }

 private:
  IoStep fail_or_want(IoState want) {
    if (errno == EAGAIN || errno == EINTR) return {want, 0};
    return fail(std::generic_category().message(errno));
  }

  bool drained_ = false;
};

}  // namespace

Stream::Stream(tcp::socket socket, Watchdog& watchdog)
    : socket_(std::move(socket)), watchdog_(watchdog), watch_([this] {
        boost::system::error_code ignored;
        socket_.cancel(ignored);
      }) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);
  // Every message is handed over in as few writes as possible already.
  socket_.set_option(tcp::no_delay(true), ignored);
}

IoStep Stream::fail(std::string why) {
  failure_ = std::move(why);
  return {IoState::kFailed, 0};
}

Status Stream::waited(boost::system::error_code error) {
  watch_.disarm();
  if (interrupted_) return Error{ErrorCode::kUnavailable, "the connection was closed here"};
  if (watch_.expired()) return Error{ErrorCode::kTimeout, "the peer was too slow"};
  if (std::exchange(woken_, false)) return {};
  if (error) return Error{ErrorCode::kUnavailable, error.message()};
  return {};
}

Task<Status> Stream::wait(IoState want, SteadyTime deadline) {
  if (interrupted_) co_return Error{ErrorCode::kUnavailable, "the connection was closed here"};
  watchdog_.arm(watch_, deadline);
  const auto [error] = co_await socket_.async_wait(
      want == IoState::kWantRead ? tcp::socket::wait_read : tcp::socket::wait_write, kAwait);
  co_return waited(error);
}

Task<Status> Stream::wait(IoState want, Pace& pace) {
  const SteadyTime begun = std::chrono::steady_clock::now();
  const SteadyTime deadline = begun + pace.allowance();
  Status ready = co_await wait(want, deadline);
  pace.waited(std::chrono::steady_clock::now() - begun);
  co_return ready;
}

Task<Status> Stream::wait_for_any(SteadyTime deadline) {
  using namespace boost::asio::experimental::awaitable_operators;
  if (interrupted_) co_return Error{ErrorCode::kUnavailable, "the connection was closed here"};
  watchdog_.arm(watch_, deadline);
  const auto ready = co_await (socket_.async_wait(tcp::socket::wait_read, kAwait) ||
                               socket_.async_wait(tcp::socket::wait_write, kAwait));
  co_return waited(std::visit([](const auto& result) { return std::get<0>(result); }, ready));
}

Task<Status> Stream::handshake(const SteadyTime& deadline) {
  for (;;) {
    const IoStep step = try_handshake();
    if (step.state == IoState::kDone) co_return Status();
    if (step.state == IoState::kFailed) co_return Error{ErrorCode::kUnavailable, failure_};
    if (step.state == IoState::kEnd) {
      co_return Error{ErrorCode::kUnavailable, "closed by the peer during the TLS handshake"};
    }
    Status ready = co_await wait(step.state, deadline);
    if (!ready.ok()) co_return ready;
  }
}

Task<Result<std::size_t>> Stream::read_some(std::span<char> buffer, SteadyTime deadline) {
  for (;;) {
    const IoStep step = try_read(buffer);
    if (step.state == IoState::kDone) co_return step.bytes;
    if (step.state == IoState::kEnd) co_return std::size_t{0};
    if (step.state == IoState::kFailed) co_return Error{ErrorCode::kUnavailable, failure_};
    const Status ready = co_await wait(step.state, deadline);
    if (!ready.ok()) co_return ready.error();
  }
}

Task<Status> Stream::read_in_front(std::span<char> buffer, const SteadyTime& deadline) {
  while (!buffer.empty()) {
    const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      buffer = buffer.subspan(static_cast<std::size_t>(got));
      continue;
    }
    if (got == 0) co_return Error{ErrorCode::kUnavailable, "closed by the peer"};
    if (errno != EAGAIN && errno != EINTR) {
      co_return Error{ErrorCode::kUnavailable, std::generic_category().message(errno)};
    }
    const Status ready = co_await wait(IoState::kWantRead, deadline);
    if (!ready.ok()) co_return ready;
  }
  co_return Status();
}

Task<Result<std::size_t>> Stream::read_some(std::span<char> buffer, Pace& pace) {
  for (;;) {
    const IoStep step = try_read(buffer);
    pace.moved(step.bytes);
    if (step.state == IoState::kDone) co_return step.bytes;
    if (step.state == IoState::kEnd) co_return std::size_t{0};
    if (step.state == IoState::kFailed) co_return Error{ErrorCode::kUnavailable, failure_};
    const Status ready = co_await wait(step.state, pace);
    if (!ready.ok()) co_return ready.error();
  }
}

Task<Status> Stream::write_all(std::string_view bytes, Pace& pace) {
  for (;;) {
    const IoStep step = write_now(bytes, pace);
    if (step.state == IoState::kDone) co_return Status();
    if (step.state == IoState::kFailed || step.state == IoState::kEnd) {
      co_return Error{ErrorCode::kUnavailable, failure_};
    }
    Status ready = co_await wait(step.state, pace);
    if (!ready.ok()) co_return ready;
  }
}

IoStep Stream::write_now(std::string_view& bytes, Pace& pace) {
  while (!bytes.empty()) {
    const IoStep step = try_write(bytes);
    pace.moved(step.bytes);
    if (step.state != IoState::kDone) return step;
    bytes.remove_prefix(step.bytes);
  }
  return {IoState::kDone, 0};
}

std::size_t Stream::unsent_bytes() {
  int bytes = 0;
  if (::ioctl(socket_.native_handle(), SIOCOUTQNSD, &bytes) != 0) return 0;
  return static_cast<std::size_t>(bytes);
}

void Stream::wake() {
  woken_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Stream::interrupt() {
  interrupted_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Stream::abort() {
  boost::system::error_code ignored;
  socket_.set_option(tcp::socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

std::unique_ptr<Stream> make_plain_stream(tcp::socket socket, Watchdog& watchdog) {
  return std::make_unique<PlainStream>(std::move(socket), watchdog);
}

}  // namespace holdfast::http
