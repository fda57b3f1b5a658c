// Task<T>: the coroutine type of everything that waits. Code that does not wait is a plain
// function.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace holdfast {

template <class T>
using Task = boost::asio::awaitable<T, boost::asio::any_io_executor>;

}  // namespace holdfast
