// What the HTTP tests share: an event loop to run tasks on, raw sockets that send what no library
// would, and certificates.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/task.h"
#include "http/server.h"

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

 private:
  template <class T>
  static Task<void> store(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }

  boost::asio::io_context context_;
};

}  // namespace holdfast::http::test
