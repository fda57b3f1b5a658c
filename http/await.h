// How the coroutines of this folder wait on the network.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace holdfast::http {

// An operation's error comes beside its result instead of being thrown.
inline constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable_t<>());

}  // namespace holdfast::http
