// How fast the audit log takes records, and how long an intent waits to be durable: calls in flight
// that each commit an intent and then its outcome, as the data plane does, without Graph between.
//
//   append_bench --database URL --spool DIR [--in-flight 64] [--seconds 5] [--calls-per-second N]
//
// As fast as it goes, or no faster than asked. Prints one JSON object. bench/append.py runs it
// beside pgbench.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/log_postgres.h"
#include "base/canonical_object.h"
#include "base/clock.h"
#include "base/json.h"
#include "bench/sample_record.h"

namespace holdfast::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kThreadsMax = 2;  // That make calls: as many as pgbench has.

struct Options {
  std::string database;
  std::string spool;
  int in_flight = 64;
  double seconds = 5;
  double calls_per_second = 0;  // 0: as many as there can be.
};

struct Measured {
  std::vector<double> intent_ms;
  std::size_t records = 0;
  std::string problem;

  void add(Measured other) {
    intent_ms.insert(intent_ms.end(), other.intent_ms.begin(), other.intent_ms.end());
    records += other.records;
    if (problem.empty()) problem = std::move(other.problem);
  }
};

int threads_of(const Options& options) {
  return std::min(kThreadsMax, options.in_flight);
}

// When each call of a thread may begin: in order, evenly spread if a rate is asked for.
class Schedule {
 public:
  Schedule(steady_clock::time_point begin, const Options& options, int thread)
      : end_(begin + as_duration(options.seconds)) {
    if (options.calls_per_second > 0) {
      step_ = as_duration(threads_of(options) / options.calls_per_second);
    }
    next_ = begin + step_ * thread / threads_of(options);
  }

  // The next call's time, or nothing when the time is over.
  std::optional<steady_clock::time_point> take() {
    const auto at = step_ == steady_clock::duration::zero() ? steady_clock::now() : next_;
    next_ += step_;
    return at < end_ && steady_clock::now() < end_ ? std::optional(at) : std::nullopt;
  }

 private:
  static steady_clock::duration as_duration(double seconds) {
    return std::chrono::duration_cast<steady_clock::duration>(
        std::chrono::duration<double>(seconds));
  }

  steady_clock::time_point end_;
  steady_clock::time_point next_;
  steady_clock::duration step_ = steady_clock::duration::zero();
};

// What calls of one app have in common.
struct Common {
  std::string actor = canonical_json(intent_content()["actor"]).value();
  std::string decision = canonical_json(intent_content()["decision"]).value();
};

// Of one of a thousand mailboxes, as an app that cleans up for all of them writes. Its parts are
// those of intent_content(), written as the proxy writes them (proxy/record_content.cc).
audit::Record make_record(const Common& common, audit::Kind kind, const Uuid& operation_id) {
  const std::string id = to_string(operation_id);
  const std::string path = "/v1.0/users/" + std::string(kId) + "/messages/AAMkAGI2TG93AAA=";
  CanonicalObject mailbox;
  mailbox.text("key", "mailbox" + id.substr(id.size() - 3))
      .text("kind", "user")
      .texts("names", kMailboxNames);
  CanonicalObject operation;
  operation.text("action", "permanentDelete")
      .text("item", id)
      .written("mailbox", std::move(mailbox).take())
      .text("path", path)
      .text("resource", "message")
      .text("version", "v1.0");
  CanonicalObject request;
  request.text("client_request_id", id)
      .text("method", "POST")
      .text("request_id", id)
      .text("source_ip", "127.0.0.1")
      .text("target", path + "/permanentDelete")
      .text("user_agent", "bench");
  audit::Record record{.kind = kind, .operation_id = operation_id};
  record.written = {{"actor", common.actor},
                    {"operation", std::move(operation).take()},
                    {"request", std::move(request).take()}};
  if (kind == audit::Kind::kIntent) {
    record.written.push_back({"decision", common.decision});
  } else {
    CanonicalObject outcome;
    outcome.text("graph_request_id", id).text("result", "executed").integer("status", 204);
    record.written.push_back({"outcome", std::move(outcome).take()});
  }
  return record;
}

Task<void> call_until_over(audit::AuditLog& log, const Common& common, Schedule& schedule,
                           Measured& measured) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (measured.problem.empty()) {
    const auto at = schedule.take();
    if (!at) co_return;
    timer.expires_at(*at);
    co_await timer.async_wait(boost::asio::use_awaitable);
    const Uuid operation = make_uuid_v7(system_clock().now());
    audit::Record intent = make_record(common, audit::Kind::kIntent, operation);
    audit::OutboundRequest unsent;  // Named: g++ 12 destroys a temporary in co_await twice.
    const auto begun = steady_clock::now();
    Result<audit::Receipt> receipt =
        co_await log.append_intent(std::move(intent), std::move(unsent));
    if (!receipt.ok()) {
      measured.problem = "intent: " + receipt.error().message;
      co_return;
    }
    const std::chrono::duration<double, std::milli> waited = steady_clock::now() - begun;
    measured.intent_ms.push_back(waited.count());
    audit::Record outcome = make_record(common, audit::Kind::kOutcome, operation);
    const Result<audit::RecordRef> ended = co_await log.append_outcome(std::move(outcome));
    if (!ended.ok() || ended->index < 0) {
      measured.problem = ended.ok() ? "an outcome went to the spool" : ended.error().message;
      co_return;
    }
    measured.records += 2;
  }
}

Task<void> wait_until_ready(audit::AuditLog& log) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  const auto give_up = steady_clock::now() + std::chrono::seconds(30);
  while (!log.health().ready && steady_clock::now() < give_up) {
    timer.expires_after(std::chrono::milliseconds(20));
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

double percentile(std::vector<double>& sorted, double part) {
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void rethrow(std::exception_ptr problem) {
  if (problem) std::rethrow_exception(problem);
}

Measured make_calls(audit::AuditLog& log, Schedule schedule, int in_flight) {
  const Common common;
  Measured measured;
  boost::asio::io_context context;
  for (int i = 0; i < in_flight; ++i) {
    boost::asio::co_spawn(context, call_until_over(log, common, schedule, measured), rethrow);
  }
  context.run();
  return measured;
}

int run(const Options& options) {
  auto log = audit::LogPostgres::open(
      {.database = {.url = options.database, .password = {}}, .spool_dir = options.spool});
  if (!log.ok()) {
    std::cerr << log.error().message << "\n";
    return 1;
  }
  boost::asio::io_context context;
  boost::asio::co_spawn(context, wait_until_ready(**log), rethrow);
  context.run();

  const auto begun = steady_clock::now();
  std::vector<std::future<Measured>> threads;
  for (int number = 0; number < threads_of(options); ++number) {
    const int in_flight = (options.in_flight + number) / threads_of(options);
    threads.push_back(std::async(std::launch::async, [&, number, in_flight] {
      return make_calls(**log, Schedule(begun, options, number), in_flight);
    }));
  }
  Measured measured;
  for (std::future<Measured>& thread : threads) measured.add(thread.get());
  const std::chrono::duration<double> took = steady_clock::now() - begun;
  (*log)->stop();
  if (!measured.problem.empty() || measured.intent_ms.empty()) {
    std::cerr << "append_bench: " << measured.problem << "\n";
    return 1;
  }
  std::ranges::sort(measured.intent_ms);
  const nlohmann::json result = {
      {"records_per_second", static_cast<double>(measured.records) / took.count()},
      {"intent_p50_ms", percentile(measured.intent_ms, 0.5)},
      {"intent_p99_ms", percentile(measured.intent_ms, 0.99)},
      {"intent_max_ms", measured.intent_ms.back()}};
  std::cout << result.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argument_count, char** arguments) {
  holdfast::bench::Options options;
  CLI::App app("How fast the audit log takes records.");
  app.add_option("--database", options.database, "As the proxy's role")->required();
  app.add_option("--spool", options.spool, "Directory; made if missing")->required();
  app.add_option("--in-flight", options.in_flight, "Calls at once")->check(CLI::Range(1, 10'000));
  app.add_option("--seconds", options.seconds, "How long")->check(CLI::PositiveNumber);
  app.add_option("--calls-per-second", options.calls_per_second, "No faster; two records each")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argument_count, arguments);
  return holdfast::bench::run(options);
}
