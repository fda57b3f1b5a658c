// Bodies that flow: a pull source of bytes, so that nothing is read before someone wants it and
// back-pressure needs no further machinery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/task.h"

namespace holdfast::http {

// One reader, used on the executor of the connection that it came from.
class Body {
 public:
  virtual ~Body() = default;

  // Fills the front of `buffer` and returns how many bytes; 0 means the end, and only a complete
  // body ends so. kTimeout: too slow. kUnavailable: the peer closed early. kInvalid: broken
  // framing.
  virtual Task<Result<std::size_t>> read(std::span<char> buffer) = 0;

  // How many bytes are still to come, where that is known before the end.
  virtual std::optional<std::uint64_t> remaining() const = 0;
};

std::unique_ptr<Body> empty_body();
std::unique_ptr<Body> string_body(std::string content);

// Reads to the end, into no more memory than the content needs. kLimit when it is longer than
// `bytes_max`, as soon as that is known.
Task<Result<std::string>> read_all(Body& body, std::size_t bytes_max);

}  // namespace holdfast::http
