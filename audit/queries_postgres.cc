#include "audit/queries_postgres.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <thread>
#include <vector>

#include "audit/queries_session_postgres.h"
#include "audit/queries_sql.h"

namespace holdfast::audit {
namespace {

// What a worker does with its session; also called without one, when there is none to be had.
using Question = std::function<void(DatabaseSession*)>;

pqxx::result ask(pqxx::connection& connection, const SqlQuestion& question) {
  pqxx::nontransaction transaction(connection);
  return transaction.exec_params(question.text,
                                 pqxx::prepare::make_dynamic_params(question.values));
}

FoundRecord found_record(const pqxx::row& row) {
  return {.index = row["index"].as<std::int64_t>(),
          .entry = pqxx::binarystring(row["entry"]).str(),
          .malformed = row["malformed"].as<bool>()};
}

RecordPage page_of(const pqxx::result& rows) {
  RecordPage page;
  const pqxx::row first = rows.front();
  page.log_size = first["next_index"].as<std::int64_t>();
  page.complete_to = first["complete_to"].as<std::int64_t>();
  for (const pqxx::row& row : rows) {
    if (!row["index"].is_null()) page.records.push_back(found_record(row));
  }
  if (first["more"].as<bool>()) {
    page.next = Cursor{.after = page.records.back().index, .complete_to = page.complete_to};
  }
  return page;
}

Result<RecordPage> search_in(DatabaseSession& session, const SqlQuestion& question) {
  RecordPage page;
  const Status status =
      session.run([&](pqxx::connection& connection) { page = page_of(ask(connection, question)); });
  if (!status.ok()) return status.error();
  return page;
}

Result<FoundRecord> get_in(DatabaseSession& session, const SqlQuestion& question) {
  std::optional<FoundRecord> found;
  const Status status = session.run([&](pqxx::connection& connection) {
    const pqxx::result rows = ask(connection, question);
    if (!rows.empty()) found = found_record(rows.front());
  });
  if (!status.ok()) return status.error();
  if (!found) return Error{ErrorCode::kNotFound, "no such record"};
  return *std::move(found);
}

Result<LogState> state_in(DatabaseSession& session, const SqlQuestion& question) {
  LogState state;
  const Status status = session.run([&](pqxx::connection& connection) {
    const pqxx::result rows = ask(connection, question);
    const pqxx::row row = rows.front();
    state = {.log_size = row[0].as<std::int64_t>(),
             .derived = row[1].as<std::int64_t>(),
             .partitions = row[2].as<std::int64_t>()};
  });
  if (!status.ok()) return status.error();
  return state;
}

}  // namespace

class PostgresRecordSource::Workers {
 public:
  explicit Workers(const RecordSourceOptions& options) : waiting_max_(options.waiting_max) {
    for (int i = 0; i < options.connections; ++i) {
      sessions_.push_back(std::make_unique<DatabaseSession>(options.access));
    }
    for (const auto& session : sessions_) {
      threads_.emplace_back([this, &session] { work(*session); });
    }
  }

  // Runs the question on a worker and waits for its answer on the caller's executor.
  template <class T>
  Task<Result<T>> answer(std::function<Result<T>(DatabaseSession&)> question,
                         std::chrono::milliseconds timeout) {
    // Touched on the caller's executor only, by this coroutine and by what a worker posts there.
    struct Wait {
      boost::asio::steady_timer answered;
      std::optional<Result<T>> answer;
    };
    const auto executor = co_await boost::asio::this_coro::executor;
    auto wait =
        std::make_shared<Wait>(Wait{boost::asio::steady_timer(executor, timeout), std::nullopt});
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

  void stop() {
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

 private:
  Status submit(Question question) {
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

  void work(DatabaseSession& session) {
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

  const std::size_t waiting_max_;
  std::vector<std::unique_ptr<DatabaseSession>> sessions_;  // Constant; one for each thread.
  Mutex mutex_;
  Condition changed_;
  std::deque<Question> waiting_ HOLDFAST_GUARDED_BY(mutex_);
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // Last: they use all the above.
};

PostgresRecordSource::PostgresRecordSource(RecordSourceOptions options)
    : options_(std::move(options)), workers_(std::make_unique<Workers>(options_)) {}

PostgresRecordSource::~PostgresRecordSource() {
  stop();
}

void PostgresRecordSource::stop() {
  workers_->stop();
}

Task<Result<RecordPage>> PostgresRecordSource::search(RecordQuery query) {
  std::function<Result<RecordPage>(DatabaseSession&)> question =
      [sql = search_question(query)](DatabaseSession& session) { return search_in(session, sql); };
  co_return co_await workers_->answer(std::move(question), options_.answer_timeout);
}

Task<Result<FoundRecord>> PostgresRecordSource::get(std::variant<std::int64_t, Uuid> which) {
  const std::int64_t* index = std::get_if<std::int64_t>(&which);
  std::function<Result<FoundRecord>(DatabaseSession&)> question =
      [sql = index != nullptr ? index_question(*index) : id_question(std::get<Uuid>(which))](
          DatabaseSession& session) { return get_in(session, sql); };
  co_return co_await workers_->answer(std::move(question), options_.answer_timeout);
}

Task<Result<LogState>> PostgresRecordSource::state() {
  std::function<Result<LogState>(DatabaseSession&)> question =
      [sql = state_question()](DatabaseSession& session) { return state_in(session, sql); };
  co_return co_await workers_->answer(std::move(question), options_.answer_timeout);
}

class DatabaseCall::State {
 public:
  State(DatabaseAccess access, std::string statement)
      : session(std::move(access)), question{.text = std::move(statement), .values = {}} {}

  DatabaseSession session;
  const SqlQuestion question;
};

DatabaseCall::DatabaseCall(DatabaseAccess access, std::string statement)
    : state_(std::make_unique<State>(std::move(access), std::move(statement))) {}

DatabaseCall::~DatabaseCall() = default;

Result<std::int64_t> DatabaseCall::run() {
  std::int64_t number = 0;
  const Status status = state_->session.run([&](pqxx::connection& connection) {
    number = ask(connection, state_->question).front()[0].as<std::int64_t>(0);
  });
  if (!status.ok()) return status.error();
  return number;
}

void DatabaseCall::interrupt() {
  state_->session.interrupt();
}

}  // namespace holdfast::audit
