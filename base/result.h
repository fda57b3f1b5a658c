// Result<T>: the value of something that can fail in normal life, or the reason why it did.
//
//   Result<Config> config = load_config(path);
//   if (!config.ok()) return config.error();
//   use(*config);
//
// Bad input, a denial, a database that is away and a timeout are normal life. A broken invariant is
// not: that is an assert. Adapters catch what their library throws and turn it into an Error once,
// at their own border, so nothing else in the program handles exceptions.
//
// A Result is a plain value: no locking, as thread-safe as its T.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace holdfast {

// What the caller can do about it.
enum class ErrorCode {
  kInvalid,      // The input is wrong; the message names what and where. Do not repeat it.
  kNotFound,     // The named thing does not exist.
  kRefused,      // Understood and not permitted, such as a fenced writer or a closed operation.
  kUnavailable,  // Nothing happened; the other side is away. A later try may work.
  kTimeout,      // No answer in time. Whether it happened is unknown unless the header says so.
  kInDoubt,      // It was sent, and whether it happened is unknown. Never repeat it blindly.
  kLimit,        // A configured limit was reached.
  kInternal,     // A bug or a broken machine; log it and stop relying on the component.
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // One line for a person: what is wrong and where. Never holds a secret.
};

inline Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

inline Error refused(std::string message) {
  return {ErrorCode::kRefused, std::move(message)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }

  // Only when ok().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Only when not ok().
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  const Error& error() const& { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace holdfast
