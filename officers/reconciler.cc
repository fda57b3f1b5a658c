#include "officers/reconciler.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/log.h"

namespace holdfast::officers {
namespace {

constexpr std::size_t kOperationsAtOnce = 20;
constexpr int kUnauthorized = 401;

}  // namespace

Reconciler::Reconciler(ReconcileOptions options, std::unique_ptr<audit::UnsettledSource> source,
                       std::unique_ptr<identity::GraphCredential> credential, audit::AuditLog& log,
                       const Clock& clock)
    : options_(std::move(options)),
      log_(log),
      clock_(clock),
      source_(std::move(source)),
      credential_(std::move(credential)) {}

Result<bool> Reconciler::step() {
  std::int64_t last = 0;
  const Result<std::size_t> visited =
      source_->visit({.from = next_, .at_most = kOperationsAtOnce, .age = options_.after},
                     [&](const std::vector<audit::Unsettled>& found) {
                       last = found.back().outcome_index;
                       settle(found);
                     });
  if (!visited.ok()) return visited.error();
  const bool more = *visited == kOperationsAtOnce;
  next_ = more ? last + 1 : 0;
  if (!more) {
    // Operations that are settled are never put off again.
    const SteadyTime now = clock_.steady_now();
    std::erase_if(retries_,
                  [&](const auto& entry) { return entry.second.at + options_.retry_max < now; });
  }
  return more;
}

void Reconciler::settle(const std::vector<audit::Unsettled>& found) {
  const SteadyTime now = clock_.steady_now();
  std::vector<Due> due;
  for (const audit::Unsettled& operation : found) {
    if (!is_due(operation, now)) continue;
    std::optional<Question> question = question_about(operation.content);
    if (!question) continue;
    put_off(operation, now);
    due.push_back(
        {.operation = &operation, .question = *std::move(question), .finding = {}, .asked_at = {}});
  }
  if (due.empty()) return;
  runner_.run(ask(due));
  for (const Due& asked : due) {
    if (asked.finding && asked.finding->fate != Fate::kUnclear) record(asked);
  }
}

bool Reconciler::is_due(const audit::Unsettled& operation, SteadyTime now) const {
  const auto retry = retries_.find(operation.operation_id);
  return retry == retries_.end() || now >= retry->second.at;
}

void Reconciler::put_off(const audit::Unsettled& operation, SteadyTime now) {
  const auto [retry, first] =
      retries_.try_emplace(operation.operation_id, Retry{.at = now, .pause = options_.retry_min});
  if (!first) retry->second.pause = std::min(2 * retry->second.pause, options_.retry_max);
  retry->second.at = now + retry->second.pause;
}

Task<void> Reconciler::ask(std::vector<Due>& due) {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  const Result<identity::BearerToken> token = co_await credential_->token();
  if (!token.ok()) {
    note_problem(token.error().message);
    co_return;
  }
  http::Client client(executor, options_.graph);
  identity::HttpGraphLookup graph(client, options_.question_timeout);
  for (Due& one : due) {
    one.asked_at = clock_.now();
    const Result<identity::GraphAnswer> answer =
        co_await graph.get(one.question.target, token->text, one.question.headers);
    if (!answer.ok()) {
      note_problem("Graph does not answer: " + answer.error().message);
      co_return;
    }
    if (answer->status == kUnauthorized) {
      note_problem("Graph refuses the credential of audit.reconcile");
      co_return;
    }
    one.finding = judge(*answer);
  }
  note_problem("");
}

void Reconciler::record(const Due& due) {
  const audit::Unsettled& operation = *due.operation;
  audit::Record made = reconciliation_record(operation.operation_id, operation.content,
                                             due.question, *due.finding, due.asked_at);
  // Runs to its end: the log answers at the executor that asked.
  boost::asio::io_context context;
  const auto append = [&]() -> Task<void> {
    const Result<audit::RecordRef> recorded = co_await log_.append(std::move(made));
    const bool gone = due.finding->fate == Fate::kGone;
    if (recorded.ok()) {
      log_info("an unknown outcome is settled",
               {{"operation_id", to_string(operation.operation_id)},
                {"result", gone ? "executed" : "not_executed"}});
    } else {
      note_problem("a finding could not be recorded: " + recorded.error().message);
    }
  };
  boost::asio::co_spawn(context, append, boost::asio::detached);
  context.run();
}

void Reconciler::interrupt() {
  source_->interrupt();
  runner_.interrupt();
}

std::string Reconciler::problem() const {
  MutexLock lock(mutex_);
  return problem_;
}

void Reconciler::note_problem(std::string why) {
  bool changed = false;
  {
    MutexLock lock(mutex_);
    changed = why != problem_;
    problem_ = why;
  }
  if (changed && !why.empty()) log_warning("unknown outcomes cannot be settled", {{"why", why}});
}

}  // namespace holdfast::officers
