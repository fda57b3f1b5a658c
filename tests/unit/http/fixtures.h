// What the HTTP tests share: an event loop to run tasks on, raw sockets that send what no library
// would, and certificates.
#pragma once

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/task.h"

namespace holdfast::http::test {

// Runs one task at a time on an io_context, from the test's own thread.
class Loop {
 public:
  boost::asio::any_io_executor executor() { return context_.get_executor(); }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> value;
    std::exception_ptr thrown;
    boost::asio::co_spawn(context_, store(std::move(task), value), [&](std::exception_ptr failure) {
      thrown = failure;
      context_.stop();
    });
    context_.restart();
    context_.run();
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*value);
  }

  // Lets `span` pass on the loop, with everything else on it going on.
  void pass(std::chrono::milliseconds span);

 private:
  template <class T>
  static Task<void> store(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }

  boost::asio::io_context context_;
};

// One end of a TCP connection, blocking. Reads give up after a minute.
class Raw {
 public:
  explicit Raw(int descriptor) : descriptor_(descriptor) {}
  Raw(Raw&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Raw& operator=(Raw&&) = delete;
  ~Raw();

  static Raw connect(std::uint16_t port);

  // Whether the other end let us send all of them.
  bool send(std::string_view bytes);
  // Everything up to the end of the connection; "<reset>" or "<timeout>" stands for other ends.
  std::string read_all();
  // Up to and including `end`, or what came before the end of the connection.
  std::string read_until(std::string_view end);
  // What has come by now, waiting for something; empty at the end of the connection.
  std::string read_some();
  // How much it can have received without having read it.
  std::size_t receive_room() const;
  void finish();  // No more will be sent.
  void reset();   // Closes with RST.

 private:
  int descriptor_;
  std::string buffer_;
};

// Accepts connections and runs a script for each: one after the other, or all at the same time.
class RawServer {
 public:
  using Script = std::function<void(Raw&, int connection)>;
  enum class Serving { kInTurn, kAtOnce };
  explicit RawServer(Script script, Serving serving = Serving::kInTurn);
  ~RawServer();

  std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  const Script script_;
  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::vector<std::thread> at_once_;  // The thread's own, until that has ended.
  std::thread thread_;
};

// A port that nobody listens on.
std::uint16_t unused_port();

// Self-signed, so each is its own authority. Made once a process.
struct Certificate {
  std::string certificate_file;
  std::string key_file;
};
const Certificate& certificate_for_loopback();  // 127.0.0.1 and localhost.
const Certificate& certificate_for_others();    // other.example.
const Certificate& certificate_for_clients();   // Names of every kind.
const Certificate& certificate_of_many();       // host0.example to host39.example.
const Certificate& expired_certificate();       // 127.0.0.1 and localhost, until yesterday.

}  // namespace holdfast::http::test
