// Threads with a PostgreSQL session each that answer questions of event loops, which must not
// block.
//
// Must outlive the coroutines that wait for it; stop() ends their wait. Safe from any thread.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "audit/queries_postgres.h"
#include "audit/queries_session_postgres.h"
#include "base/mutex.h"
#include "base/task.h"

namespace holdfast::audit {

class QueryWorkers {
 public:
  explicit QueryWorkers(const RecordSourceOptions& options);
  ~QueryWorkers();  // Stops.

  // Runs the question on a worker and waits for its answer on the caller's executor. kUnavailable:
  // no answer in time, or stopping; kLimit: too many wait.
  template <class T>
  Task<Result<T>> answer(std::function<Result<T>(DatabaseSession&)> question) {
    // Touched on the caller's executor only, by this coroutine and by what a worker posts there.
    struct Wait {
      boost::asio::steady_timer answered;
      std::optional<Result<T>> answer;
    };
    const auto executor = co_await boost::asio::this_coro::executor;
    auto wait = std::make_shared<Wait>(
        Wait{boost::asio::steady_timer(executor, answer_timeout_), std::nullopt});
    Question job = [wait, executor, question = std::move(question)](DatabaseSession* session) {
      auto answer = std::make_shared<Result<T>>(
          session != nullptr ? question(*session)
                             : Error{ErrorCode::kUnavailable, "database: stopping"});
      boost::asio::post(executor, [wait, answer] {
        wait->answer = std::move(*answer);
        wait->answered.cancel();
      });
    };
    if (Status accepted = submit(std::move(job)); !accepted.ok()) co_return accepted.error();
    boost::system::error_code expired;
    co_await wait->answered.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, expired));
    if (wait->answer) co_return std::move(*wait->answer);
    co_return Error{ErrorCode::kUnavailable, "database: no answer in time"};
  }

  // Breaks off what runs, answers all that waits with kUnavailable, and joins the threads. The
  // executors that questions came from must still exist.
  void stop();

 private:
  // What a worker does with its session; also called without one, when there is none to be had.
  using Question = std::function<void(DatabaseSession*)>;

  Status submit(Question question);
  void work(DatabaseSession& session);

  const std::size_t waiting_max_;
  const std::chrono::milliseconds answer_timeout_;
  std::vector<std::unique_ptr<DatabaseSession>> sessions_;  // Constant; one for each thread.
  Mutex mutex_;
  Condition changed_;
  std::deque<Question> waiting_ HOLDFAST_GUARDED_BY(mutex_);
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // Last: they use all the above.
};

}  // namespace holdfast::audit
