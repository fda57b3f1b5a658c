// An AuditLog in memory for unit tests, with faults on demand.
//
//   FakeAuditLog log;
//   log.fail_nth(2, {ErrorCode::kUnavailable, "database away"});  // the second append from now
//   … run the code under test …
//   EXPECT_EQ(log.entries().size(), 1u);
//
// Keeps the rules of the real one that callers can see: dense indexes, an outcome needs its open
// intent, one outcome each. Safe from any thread.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "audit/audit_log.h"
#include "base/mutex.h"

namespace holdfast::audit {

class FakeAuditLog final : public AuditLog {
 public:
  struct Entry {
    Record record;
    RecordRef ref;
  };

  // The nth append of any kind from now on (1 is the next) fails and records nothing.
  void fail_nth(std::size_t n, Error error) {
    MutexLock lock(mutex_);
    faults_[appends_ + n] = Fault{.kind = Fault::kFail, .error = std::move(error)};
  }
  // Something that happens elsewhere just before the next append.
  void before_next_append(std::function<void()> event) {
    MutexLock lock(mutex_);
    event_ = std::move(event);
  }
  // The nth append, if an outcome, is durable in the spool only: index -1.
  void spool_nth(std::size_t n) {
    MutexLock lock(mutex_);
    faults_[appends_ + n] = Fault{.kind = Fault::kSpool, .error = {}};
  }
  // The nth append waits for release().
  void hang_nth(std::size_t n) {
    MutexLock lock(mutex_);
    faults_[appends_ + n] = Fault{.kind = Fault::kHang, .error = {}};
  }
  void release() {
    MutexLock lock(mutex_);
    for (const std::shared_ptr<Timer>& timer : hanging_) {
      boost::asio::post(timer->get_executor(), [timer] { timer->cancel(); });
    }
    hanging_.clear();
  }
  // As if the writer's lease had run out and the operation had been settled as unknown.
  void settle(const Uuid& operation_id) {
    MutexLock lock(mutex_);
    open_.erase(operation_id);
  }
  void set_health(LogHealth health) {
    MutexLock lock(mutex_);
    health_ = std::move(health);
  }

  std::vector<Entry> entries() const {
    MutexLock lock(mutex_);
    return entries_;
  }
  std::size_t open_operations() const {
    MutexLock lock(mutex_);
    return open_.size();
  }
  std::size_t hanging() const {
    MutexLock lock(mutex_);
    return hanging_.size();
  }

  Task<Result<Receipt>> append_intent(Record intent, OutboundRequest request) override {
    const Uuid operation_id = intent.operation_id;
    Result<RecordRef> ref = co_await record(std::move(intent));
    if (!ref.ok()) co_return ref.error();
    co_return issue_receipt(operation_id, *ref, std::move(request), SteadyTime::max());
  }
  Task<Result<RecordRef>> append_outcome(Record outcome) override {
    co_return co_await record(std::move(outcome));
  }
  Task<Result<RecordRef>> append(Record any) override { co_return co_await record(std::move(any)); }
  LogHealth health() const override {
    MutexLock lock(mutex_);
    return health_;
  }

 private:
  using Timer = boost::asio::steady_timer;
  struct Fault {
    enum Kind { kNone, kFail, kSpool, kHang } kind = kNone;
    Error error;
  };

  Task<Result<RecordRef>> record(Record entry) {
    const Fault fault = next_fault();
    if (fault.kind == Fault::kFail) co_return fault.error;
    if (fault.kind == Fault::kHang) {
      auto timer = std::make_shared<Timer>(co_await boost::asio::this_coro::executor);
      timer->expires_at(Timer::time_point::max());
      add_hanging(timer);
      boost::system::error_code cancelled;
      co_await timer->async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    }
    co_return commit(std::move(entry), fault.kind == Fault::kSpool);
  }

  Fault next_fault() {
    MutexLock lock(mutex_);
    if (event_) std::exchange(event_, nullptr)();
    const auto found = faults_.find(++appends_);
    return found == faults_.end() ? Fault{} : found->second;
  }

  void add_hanging(std::shared_ptr<Timer> timer) {
    MutexLock lock(mutex_);
    hanging_.push_back(std::move(timer));
  }

  Result<RecordRef> commit(Record entry, bool spool) {
    MutexLock lock(mutex_);
    if (entry.kind == Kind::kIntent && !open_.insert(entry.operation_id).second) {
      return Error{ErrorCode::kInvalid, "the operation is open already"};
    }
    if (entry.kind == Kind::kOutcome && open_.erase(entry.operation_id) == 0) {
      return Error{ErrorCode::kRefused, "the operation is not open"};
    }
    RecordRef ref{.id = make_uuid_v7(system_clock().now()), .index = -1};
    if (!spool) ref.index = next_index_++;
    entries_.push_back({.record = std::move(entry), .ref = ref});
    return ref;
  }

  mutable Mutex mutex_;
  std::function<void()> event_ HOLDFAST_GUARDED_BY(mutex_);
  std::size_t appends_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::int64_t next_index_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::map<std::size_t, Fault> faults_ HOLDFAST_GUARDED_BY(mutex_);
  std::set<Uuid> open_ HOLDFAST_GUARDED_BY(mutex_);
  std::vector<Entry> entries_ HOLDFAST_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Timer>> hanging_ HOLDFAST_GUARDED_BY(mutex_);
  LogHealth health_ HOLDFAST_GUARDED_BY(mutex_) = {.ready = true, .reason = {}, .spooled = 0};
};

}  // namespace holdfast::audit
