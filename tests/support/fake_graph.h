// Graph as identity/ asks it, answered from a table; and a way to run what waits for it.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "identity/graph_lookup.h"

namespace holdfast::testing {

// Answers each target as told and anything else 404. Not safe to share between threads.
class FakeGraph final : public identity::GraphLookup {
 public:
  struct Asked {
    std::string target;
    std::string token;
    std::string prefer{};
  };

  void answer(std::string target, int status, std::string body,
              http::Headers headers = {{"request-id", "r1"}}) {
    answers_.insert_or_assign(std::move(target),
                              identity::GraphAnswer{status, std::move(headers), std::move(body)});
  }
  void fail(ErrorCode code) { failure_ = Error{code, "no answer"}; }

  const std::vector<Asked>& asked() const { return asked_; }

  Task<Result<identity::GraphAnswer>> get(std::string target, const std::string& bearer_token,
                                          http::Headers more = {}) override {
    asked_.push_back({target, bearer_token, std::string(more.get("Prefer"))});
    if (failure_) co_return *failure_;
    const auto it = answers_.find(target);
    if (it == answers_.end()) co_return identity::GraphAnswer{404, {}, "{}"};
    co_return it->second;
  }

 private:
  std::map<std::string, identity::GraphAnswer> answers_;
  std::optional<Error> failure_;
  std::vector<Asked> asked_;
};

// Runs one task to its end on this thread.
template <class T>
T run(Task<T> task) {
  boost::asio::io_context context;
  std::optional<T> value;
  const auto entry = [&]() -> Task<void> { value.emplace(co_await std::move(task)); };
  boost::asio::co_spawn(context, entry, [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
  });
  context.run();
  return std::move(*value);
}

}  // namespace holdfast::testing
