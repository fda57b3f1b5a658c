// A connected byte stream, plain or TLS, for one coroutine at a time.
//
// The try_ functions do what is possible without waiting; the tasks wait between tries. So bytes
// that are there cost no coroutine switch, and a connection that waits holds no buffer.
//
// One thread: the socket's executor.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/watchdog.h"

namespace holdfast::http {

enum class IoState {
  kDone,
  kWantRead,   // Try again when the socket is readable,
  kWantWrite,  // or writable.
  kEnd,        // The peer ended its side in order: FIN, and with TLS close_notify before it.
  kFailed,     // Stream::failure() says why.
};

struct IoStep {
  IoState state = IoState::kFailed;
  std::size_t bytes = 0;
};

class Stream {
 public:
  // The watchdog outlives the stream.
  Stream(boost::asio::ip::tcp::socket socket, Watchdog& watchdog);
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  virtual IoStep try_handshake() = 0;
  virtual IoStep try_read(std::span<char> buffer) = 0;
  virtual IoStep try_write(std::string_view bytes) = 0;
  // Says that nothing more will be written. Best effort, without waiting.
  virtual void finish_writing() = 0;
  // What the client presented in a server's handshake, verified. Null: nothing.
  virtual std::shared_ptr<const ClientCertificate> client_certificate() const { return nullptr; }
  // Whether the stream is open with nothing to read: what may go on being used.
  virtual bool is_quiet() = 0;

  // kTimeout, kUnavailable. Whoever brings `deadline` forward wakes it: then it tries once more.
  Task<Status> handshake(const SteadyTime& deadline);
  // 0 bytes: the end.
  Task<Result<std::size_t>> read_some(std::span<char> buffer, SteadyTime deadline);
  // The same, as long as `pace` allows.
  Task<Result<std::size_t>> read_some(std::span<char> buffer, Pace& pace);
  Task<Status> write_all(std::string_view bytes, Pace& pace);
  // Writes what can be written without waiting, and leaves the rest in `bytes`: none with kDone.
  IoStep write_now(std::string_view& bytes, Pace& pace);
  // Of what was written, the bytes that the system holds and has not sent.
  std::size_t unsent_bytes();
  // As many bytes from below TLS, where it has not begun: what a load balancer put in front of it.
  // `deadline` as above.
  Task<Status> read_in_front(std::span<char> buffer, const SteadyTime& deadline);
  // Until the socket is ready as `want` says. Errors as above.
  Task<Status> wait(IoState want, SteadyTime deadline);
  Task<Status> wait(IoState want, Pace& pace);
  // Until it is readable or writable.
  Task<Status> wait_for_any(SteadyTime deadline);

  // Makes what waits now try again.
  void wake();
  // Ends what waits, now and from now on, with kUnavailable.
  void interrupt();
  // Closes so that the peer sees an error and takes nothing for complete.
  void abort();

  boost::asio::ip::tcp::socket& socket() { return socket_; }
  const std::string& failure() const { return failure_; }

 protected:
  IoStep fail(std::string why);

  boost::asio::ip::tcp::socket socket_;

 private:
  Status waited(boost::system::error_code error);

  Watchdog& watchdog_;
  Watch watch_;
  std::string failure_;
  bool woken_ = false;
  bool interrupted_ = false;
};

// The socket is connected; it becomes non-blocking.
std::unique_ptr<Stream> make_plain_stream(boost::asio::ip::tcp::socket socket, Watchdog& watchdog);

}  // namespace holdfast::http
