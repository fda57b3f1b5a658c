#include "proxy/held_body.h"

namespace holdfast::proxy {

Refusal unreadable_body(const Error& error) {
  const int status = error.code == ErrorCode::kLimit     ? 413
                     : error.code == ErrorCode::kTimeout ? 408
                                                         : 400;
  return bad_request("The request's body could not be read: " + error.message + ".", status);
}

Task<Result<std::size_t>> WatchedBody::read(std::span<char> buffer) {
  Result<std::size_t> count = co_await body_.read(buffer);
  if (!count.ok()) failure_ = count.error();
  co_return count;
}

Task<Result<std::size_t>> MeteredBody::read(std::span<char> buffer) {
  Result<std::size_t> count = co_await body_.read(buffer);
  if (!count.ok()) co_return count;
  memory_answer_ = memory_.take(*count);
  if (memory_answer_ != SharedBudget::Answer::kTaken) {
    count = Error{ErrorCode::kLimit, "too much is being read at once"};
  }
  co_return count;
}

}  // namespace holdfast::proxy
