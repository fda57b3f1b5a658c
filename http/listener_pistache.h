// Accepts TCP connections through Pistache and takes them away from it.
//
// Pistache's worker sees each connection once, as new. Its descriptor is duplicated for us, and its
// own number is made to stand for a closed socket pair, so that it forgets the connection without
// having read a byte of it. From there on nothing of Pistache can touch what clients send.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace holdfast::http {

class Listener {
 public:
  // Takes over a connected, non-blocking, close-on-exec descriptor. Called on Pistache's thread;
  // must not throw. -1: a connection was closed because no descriptor was left to take it over.
  using Accepted = std::function<void(int descriptor)>;

  // Port 0: any free one. kUnavailable names the address.
  static Result<std::unique_ptr<Listener>> start(const std::string& address, std::uint16_t port,
                                                 Accepted accepted);

  // Stops accepting and closes the listening socket; `accepted` is not called any more.
  virtual ~Listener() = default;

  virtual std::uint16_t port() const = 0;
};

}  // namespace holdfast::http
