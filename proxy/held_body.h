// Bodies of requests on their way: watched while they stream, or held in memory within a budget.
#pragma once

#include <optional>
#include <string>

#include "base/shared_budget.h"
#include "http/message.h"
#include "proxy/refusal.h"

namespace holdfast::proxy {

// For a body that did not come whole.
Refusal unreadable_body(const Error& error);

// Passes a body on and remembers why it broke off, so that this is not blamed on Graph.
class WatchedBody final : public http::Body {
 public:
  explicit WatchedBody(http::Body& body) : body_(body) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const override { return body_.remaining(); }

  const std::optional<Error>& failure() const { return failure_; }

 private:
  http::Body& body_;
  std::optional<Error> failure_;
};

// Takes what it passes on from a budget of memory.
class MeteredBody final : public http::Body {
 public:
  MeteredBody(http::Body& body, SharedBudget::Share& memory) : body_(body), memory_(memory) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const override { return body_.remaining(); }

  // Whether there was memory for what came, and if not, why.
  SharedBudget::Answer memory_answer() const { return memory_answer_; }

 private:
  http::Body& body_;
  SharedBudget::Share& memory_;
  SharedBudget::Answer memory_answer_ = SharedBudget::Answer::kTaken;
};

}  // namespace holdfast::proxy
