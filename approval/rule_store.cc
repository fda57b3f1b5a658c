#include "approval/rule_store.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace holdfast::approval {
namespace {

constexpr std::chrono::milliseconds kLookedAtEvery{10};

}  // namespace

std::optional<Generation> RuleStore::current() const {
  MutexLock lock(mutex_);
  return generation_;
}

void RuleStore::replace(Generation generation) {
  std::optional<Generation> next(std::move(generation));
  MutexLock lock(mutex_);
  // The old rules end with `next`, after the lock.
  std::swap(generation_, next);
}

std::string RuleStore::problem() const {
  MutexLock lock(mutex_);
  return problem_;
}

void RuleStore::set_problem(std::string problem) {
  MutexLock lock(mutex_);
  problem_ = std::move(problem);
}

Task<bool> RuleStore::wait_beyond(std::int64_t number, std::chrono::milliseconds patience) {
  want_newer();
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const std::optional<Generation> now = current();
    if (now && now->number != number) co_return true;
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    timer.expires_after(kLookedAtEvery);
    boost::system::error_code ignored;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
}

void RuleStore::wait_until_wanted(std::chrono::milliseconds patience) {
  MutexLock lock(mutex_);
  if (!is_wanted_) wanted_.wait_for(mutex_, patience);
  is_wanted_ = false;
}

void RuleStore::want_newer() {
  {
    MutexLock lock(mutex_);
    is_wanted_ = true;
  }
  wanted_.notify_all();
}

}  // namespace holdfast::approval
