#include "officers/task_runner.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

namespace holdfast::officers {

void TaskRunner::run(Task<void> task) {
  boost::asio::io_context context;
  boost::asio::co_spawn(context, std::move(task), boost::asio::detached);
  {
    MutexLock lock(mutex_);
    if (interrupted_) return;
    running_ = &context;
  }
  context.run();
  MutexLock lock(mutex_);
  running_ = nullptr;
}

void TaskRunner::interrupt() {
  MutexLock lock(mutex_);
  interrupted_ = true;
  if (running_ != nullptr) running_->stop();
}

bool TaskRunner::is_interrupted() const {
  MutexLock lock(mutex_);
  return interrupted_;
}

}  // namespace holdfast::officers
