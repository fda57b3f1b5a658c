#include "audit/flush_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace holdfast::audit {
namespace {

// What a statement takes by itself is what so many entries take in it.
constexpr std::size_t kEntriesOfAStatement = 8;

void move_to_end(std::vector<AppendedEntry>& to, std::vector<AppendedEntry>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from.clear();
}

}  // namespace

FlushQueue::FlushQueue(std::function<void()> on_end, const Clock& clock)
    : on_end_(std::move(on_end)), clock_(clock), thread_([this] { run(); }) {}

FlushQueue::~FlushQueue() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FlushQueue::open(std::unique_ptr<Flush> flush) {
  MutexLock lock(mutex_);
  flush_ = std::move(flush);
}

void FlushQueue::push(std::vector<AppendedEntry> appended) {
  {
    MutexLock lock(mutex_);
    move_to_end(waiting_, appended);
  }
  changed_.notify_all();
}

std::size_t FlushQueue::size() const {
  MutexLock lock(mutex_);
  return held();
}

bool FlushQueue::has_failed() const {
  MutexLock lock(mutex_);
  return failure_.has_value();
}

std::size_t FlushQueue::worth_appending(SteadyTime::duration statement) const {
  MutexLock lock(mutex_);
  const bool lasts = in_flush_ != 0 && clock_.steady_now() - begun_ >= statement;
  return last_flush_ < statement && !lasts ? (held() + 1) / 2 : held();
}

std::optional<std::size_t> FlushQueue::worth_sending_behind(std::size_t running) const {
  MutexLock lock(mutex_);
  if (held() != 0) return std::nullopt;
  return std::max({last_flushed_, running / 2, kEntriesOfAStatement});
}

std::size_t FlushQueue::held() const {
  return waiting_.size() + in_flush_ + in_doubt_.size();
}

FlushQueue::InDoubt FlushQueue::close() {
  MutexLock lock(mutex_);
  while (in_flush_ != 0 || (!waiting_.empty() && !failure_)) changed_.wait(mutex_);
  move_to_end(in_doubt_, waiting_);
  InDoubt result{.entries = {}, .error = std::exchange(failure_, std::nullopt).value_or(Error{})};
  for (AppendedEntry& each : in_doubt_) result.entries.push_back(std::move(each.pending));
  in_doubt_.clear();
  flush_.reset();
  return result;
}

bool FlushQueue::is_lost() const {
  MutexLock lock(mutex_);
  return in_flush_ == 0 && flush_ != nullptr && flush_->is_lost();
}

void FlushQueue::run() {
  while (true) {
    std::vector<AppendedEntry> taken;
    Flush* flush = nullptr;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && (waiting_.empty() || failure_)) changed_.wait(mutex_);
      if (stopping_) return;
      taken = std::exchange(waiting_, {});
      in_flush_ = taken.size();
      flush = flush_.get();
      begun_ = clock_.steady_now();
    }
    const Status flushed = flush->flush();
    const SteadyTime ended = clock_.steady_now();
    if (flushed.ok()) {
      for (AppendedEntry& each : taken) {
        each.pending.done(RecordRef{.id = each.pending.entry.id, .index = each.index});
      }
    }
    {
      MutexLock lock(mutex_);
      last_flushed_ = std::exchange(in_flush_, 0);
      last_flush_ = ended - begun_;
      if (!flushed.ok()) {
        failure_ = flushed.error();
        move_to_end(in_doubt_, taken);
      }
    }
    changed_.notify_all();
    on_end_();
  }
}

}  // namespace holdfast::audit
