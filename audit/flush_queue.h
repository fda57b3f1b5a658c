// What is in the log and not yet durable, and whom to tell when it is.
//
// A thread of its own flushes: everything that waits at once, in one go, while the next entries are
// being appended. So the log's lock is never held over a wait for the disk, and a slow disk makes
// flushes larger instead of appends fewer.
//
// Owned and called by the thread that appends, unless a method says otherwise. `done` of what
// became durable is called on the queue's thread. A crash leaves what the database then has: nobody
// was told of anything else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "audit/entry.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"

namespace holdfast::audit {

// An entry on its way into the log, and who waits for it.
struct PendingEntry {
  Entry entry;
  SteadyTime deadline;
  std::function<void(Result<RecordRef>)> done;
};

struct AppendedEntry {
  PendingEntry pending;
  std::int64_t index;
};

// For one thread at a time.
class Flush {
 public:
  virtual ~Flush() = default;
  // On success everything whose commit was seen before the call is durable. kInDoubt: it may not
  // be, and the object is spent. Blocks, for a limited time.
  virtual Status flush() = 0;
  // Whether flush() would fail, as far as can be told at once.
  virtual bool is_lost() const = 0;
};

class FlushQueue {
 public:
  // `on_end` is called on the queue's thread after each flush. The clock must outlive the queue.
  FlushQueue(std::function<void()> on_end, const Clock& clock);
  // Nothing may be in it: close() before.
  ~FlushQueue();
  FlushQueue(const FlushQueue&) = delete;
  FlushQueue& operator=(const FlushQueue&) = delete;

  // Where to flush from here on. The queue must be closed.
  void open(std::unique_ptr<Flush> flush);

  // In the order of their commits. What comes after a failure is in doubt as well.
  void push(std::vector<AppendedEntry> appended);

  // From any thread: how many entries are in it, and whether a flush has failed: close() then.
  std::size_t size() const;
  bool has_failed() const;

  // From any thread: how many entries should have come before they are appended while others are
  // being flushed, where appending takes `statement`. Whoever comes back after a flush comes one by
  // one, and must not have a statement of his own. As long as the disk takes longer than the
  // statement, waiting costs nothing: as many as are being flushed. Otherwise nobody would be at
  // work in the end: half of that.
  std::size_t worth_appending(SteadyTime::duration statement) const;

  // From any thread: how many entries should have come before they are sent behind a statement that
  // appends `running` and is not answered yet; nullopt: however many, not while others are being
  // flushed. Those that the last flush has let go come back one by one, and should have one
  // statement; of two that take turns the smaller one leaves nobody at work after it; and a
  // statement of few costs more than the wait for an answer.
  std::optional<std::size_t> worth_sending_behind(std::size_t running) const;

  struct InDoubt {
    std::vector<PendingEntry> entries;  // In the order of their commits.
    Error error;                        // Why, when there are any.
  };
  // Waits until all has been flushed or a flush has failed, which its deadline bounds, and gives
  // back what may or may not be durable.
  InDoubt close();

  // Whether the database has closed an idle connection.
  bool is_lost() const;

 private:
  void run();
  std::size_t held() const HOLDFAST_REQUIRES(mutex_);

  const std::function<void()> on_end_;
  const Clock& clock_;

  mutable Mutex mutex_;
  Condition changed_;
  std::unique_ptr<Flush> flush_ HOLDFAST_GUARDED_BY(mutex_);  // Replaced only while idle.
  std::vector<AppendedEntry> waiting_ HOLDFAST_GUARDED_BY(mutex_);
  std::vector<AppendedEntry> in_doubt_ HOLDFAST_GUARDED_BY(mutex_);
  std::size_t last_flushed_ HOLDFAST_GUARDED_BY(mutex_) = 0;  // Entries.
  std::size_t in_flush_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  SteadyTime begun_ HOLDFAST_GUARDED_BY(mutex_);  // The flush under way, if there is one.
  SteadyTime::duration last_flush_ HOLDFAST_GUARDED_BY(mutex_) = SteadyTime::duration::max();
  std::optional<Error> failure_ HOLDFAST_GUARDED_BY(mutex_);
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::audit
