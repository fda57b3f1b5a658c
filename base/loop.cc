#include "base/loop.h"

#include "base/log.h"

namespace holdfast {

Loop::Loop(LoopWork work) : work_(std::move(work)), thread_([this] { run(); }) {}

Loop::~Loop() {
  stop();
}

void Loop::stop() {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stopped_.notify_all();
  work_.interrupt();
  thread_.join();
}

std::optional<std::string> Loop::problem() const {
  MutexLock lock(mutex_);
  return problem_;
}

void Loop::run() {
  while (true) {
    const Result<bool> more = work_.step();
    note(more.ok() ? Status{} : Status{more.error()});
    MutexLock lock(mutex_);
    if (!stopping_ && !(more.ok() && *more)) stopped_.wait_for(mutex_, work_.interval);
    if (stopping_) return;
  }
}

void Loop::note(const Status& status) {
  bool began = false;
  bool ended = false;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    began = !status.ok() && !problem_;
    ended = status.ok() && problem_;
    problem_.reset();
    if (!status.ok()) problem_ = work_.name + ": " + status.error().message;
  }
  if (began)
    log_error("a background task fails", {{"task", work_.name}, {"error", status.error().message}});
  if (ended) log_info("a background task works again", {{"task", work_.name}});
}

}  // namespace holdfast
