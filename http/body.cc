#include "http/body.h"

#include <algorithm>
#include <utility>

namespace holdfast::http {
namespace {

class StringBody : public Body {
 public:
  explicit StringBody(std::string content) : content_(std::move(content)) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    const std::size_t copied = content_.copy(buffer.data(), buffer.size(), position_);
    position_ += copied;
    co_return copied;
  }

  std::optional<std::uint64_t> remaining() const override { return content_.size() - position_; }

 private:
  const std::string content_;
  std::size_t position_ = 0;
};

Error too_long(std::size_t bytes_max) {
  return {ErrorCode::kLimit, "body is longer than " + std::to_string(bytes_max) + " bytes"};
}

}  // namespace

std::unique_ptr<Body> empty_body() {
  return string_body({});
}

std::unique_ptr<Body> string_body(std::string content) {
  return std::make_unique<StringBody>(std::move(content));
}

Task<Result<std::string>> read_all(Body& body, std::size_t bytes_max) {
  constexpr std::size_t kStep = 16 * 1024;
  std::string content;
  const std::optional<std::uint64_t> length = body.remaining();
  // Growing step by step would end with up to twice the memory.
  if (length && *length <= bytes_max) content.reserve(static_cast<std::size_t>(*length) + 1);
  std::size_t used = 0;
  for (;;) {
    const std::optional<std::uint64_t> remaining = body.remaining();
    if (remaining && *remaining > bytes_max - used) co_return too_long(bytes_max);
    // One byte of room beyond a known length lets the read after the last byte see the end.
    const std::size_t expected = remaining ? static_cast<std::size_t>(*remaining) : kStep;
    content.resize(used + std::min(std::max<std::size_t>(expected, 1), kStep));
    const Result<std::size_t> read = co_await body.read(std::span(content).subspan(used));
    if (!read.ok()) co_return read.error();
    if (*read == 0) break;
    used += *read;
    if (used > bytes_max) co_return too_long(bytes_max);
  }
  content.resize(used);
  if (!length) content.shrink_to_fit();
  co_return std::move(content);
}

}  // namespace holdfast::http
