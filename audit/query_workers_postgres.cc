#include "audit/query_workers_postgres.h"

#include <utility>

namespace holdfast::audit {

QueryWorkers::QueryWorkers(const RecordSourceOptions& options)
    : waiting_max_(options.waiting_max), answer_timeout_(options.answer_timeout) {
  for (int i = 0; i < options.connections; ++i) {
    sessions_.push_back(std::make_unique<DatabaseSession>(options.access));
  }
  for (const auto& session : sessions_) {
    threads_.emplace_back([this, &session] { work(*session); });
  }
}

QueryWorkers::~QueryWorkers() {
  stop();
}

void QueryWorkers::stop() {
  std::deque<Question> abandoned;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    abandoned.swap(waiting_);
  }
  changed_.notify_all();
  for (const auto& session : sessions_) session->interrupt();
  for (std::thread& thread : threads_) thread.join();
  for (const Question& question : abandoned) question(nullptr);
}

Status QueryWorkers::submit(Question question) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return Error{ErrorCode::kUnavailable, "database: stopping"};
    if (waiting_.size() >= waiting_max_) {
      return Error{ErrorCode::kLimit, "too many questions at once"};
    }
    waiting_.push_back(std::move(question));
  }
  changed_.notify_one();
  return {};
}

void QueryWorkers::work(DatabaseSession& session) {
  while (true) {
    Question question;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      if (stopping_) return;
      question = std::move(waiting_.front());
      waiting_.pop_front();
    }
    question(&session);
  }
}

}  // namespace holdfast::audit
