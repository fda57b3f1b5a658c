// A std::mutex that clang's -Wthread-safety understands, so that "guarded by mutex_" is checked by
// the compiler and not by a comment.
//
//   Mutex mutex_;
//   int count_ HOLDFAST_GUARDED_BY(mutex_) = 0;
//   { MutexLock lock(mutex_); ++count_; }
//
// Never hold a Mutex over I/O, over co_await or while calling back into another component.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define HOLDFAST_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define HOLDFAST_THREAD_ANNOTATION(x)
#endif
#define HOLDFAST_GUARDED_BY(mutex) HOLDFAST_THREAD_ANNOTATION(guarded_by(mutex))
#define HOLDFAST_REQUIRES(mutex) HOLDFAST_THREAD_ANNOTATION(requires_capability(mutex))
#define HOLDFAST_EXCLUDES(mutex) HOLDFAST_THREAD_ANNOTATION(locks_excluded(mutex))

namespace holdfast {

class HOLDFAST_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() HOLDFAST_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() HOLDFAST_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class HOLDFAST_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) HOLDFAST_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() HOLDFAST_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition over state that a Mutex guards. Every wait may wake without cause: loop on the state.
class Condition {
 public:
  void wait(Mutex& mutex) HOLDFAST_REQUIRES(mutex) { condition_.wait(mutex); }
  // Returns false when `timeout` passed first.
  bool wait_for(Mutex& mutex, std::chrono::nanoseconds timeout) HOLDFAST_REQUIRES(mutex) {
    return condition_.wait_for(mutex, timeout) == std::cv_status::no_timeout;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace holdfast
