// Limits are exact whatever the number of replicas.
#include <algorithm>
#include <array>

#include "tests/integration/held_lock.h"
#include "tests/integration/log_fixture.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using testing::LogTest;

json limit(const std::string& key, int count, const std::string& mailbox = "m",
           std::optional<int> mailboxes = std::nullopt) {
  json one = {
      {"rule", key}, {"key", key + "|k"}, {"count", count}, {"per_s", 3600}, {"mailbox", mailbox}};
  if (mailboxes) one["distinct_mailboxes"] = *mailboxes;
  return one;
}

class LimitTest : public LogTest {
 protected:
  static Record intent(const std::vector<json>& limits) {
    Record made = testing::record(Kind::kIntent, testing::new_operation());
    made.content["decision"]["limits"] = limits;
    made.is_limited = true;
    return made;
  }
  // What became of an intent: "taken", or why not.
  std::string take(LogPostgres& log, const std::vector<json>& limits) {
    return verdict(runner_.run(log.append_intent(intent(limits), request(""))));
  }
  static std::string verdict(const Result<Receipt>& receipt) {
    if (receipt.ok()) return "taken";
    EXPECT_EQ(receipt.error().code, ErrorCode::kLimit) << receipt.error().message;
    return "over " + receipt.error().message;
  }
  std::string uses(const std::string& key) const {
    return value("SELECT count(*) FROM holdfast.limit_uses WHERE key = '" + key + "|k'");
  }
  void let_pass(const std::string& interval) const {
    sql("postgres", "UPDATE holdfast.limit_uses SET at = at - interval '" + interval +
                        "', until = until - interval '" + interval + "'");
  }
  void end(LogPostgres& log, const Uuid& operation, CallResult result) {
    Record outcome = testing::record(Kind::kOutcome, operation);
    outcome.content["outcome"] = {{"result", to_string(result)}};
    outcome.is_limited = true;  // Whatever the writer thinks.
    const auto ended = runner_.run(log.append_outcome(std::move(outcome)));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
  }
};

TEST_F(LimitTest, ASpentLimitRefusesOnlyWhatTakesIt) {
  const auto log = open_log();
  EXPECT_EQ(take(*log, {limit("a", 2)}), "taken");
  EXPECT_EQ(take(*log, {limit("a", 2), limit("b", 9)}), "taken");
  EXPECT_EQ(take(*log, {limit("b", 9), limit("a", 2)}), "over a");
  EXPECT_EQ(uses("b"), "1");  // What is refused takes nothing at all.
  EXPECT_EQ(take(*log, {limit("b", 9)}), "taken");
  EXPECT_EQ(kinds(), "intent,intent,intent");
  begin(*log);
}

TEST_F(LimitTest, UsesAreForgottenWithTime) {
  const auto log = open_log();
  EXPECT_EQ(take(*log, {limit("a", 1)}), "taken");
  let_pass("59 minutes");
  EXPECT_EQ(take(*log, {limit("a", 1)}), "over a");
  let_pass("61 seconds");
  EXPECT_EQ(take(*log, {limit("a", 1)}), "taken");
  EXPECT_EQ(uses("a"), "1");
}

TEST_F(LimitTest, UsesCountForAsLongAsTheRuleLooksBackNow) {
  const auto log = open_log();
  json longer = limit("a", 1);
  longer["per_s"] = 7200;
  EXPECT_EQ(take(*log, {longer}), "taken");
  let_pass("61 minutes");
  EXPECT_EQ(take(*log, {longer}), "over a");
  EXPECT_EQ(take(*log, {limit("a", 1)}), "taken");
}

TEST_F(LimitTest, AnOperationThatIsOpenKeepsWhatItTook) {
  const auto log = open_log();
  const Record made = intent({limit("a", 2)});
  EXPECT_EQ(verdict(runner_.run(log->append_intent(made, request("")))), "taken");
  const Result<Receipt> again = runner_.run(log->append_intent(made, request("")));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kInvalid) << again.error().message;
  EXPECT_EQ(uses("a"), "1");
}

TEST_F(LimitTest, DistinctMailboxesAreCountedApart) {
  const auto log = open_log();
  EXPECT_EQ(take(*log, {limit("a", 9, "m1", 2)}), "taken");
  EXPECT_EQ(take(*log, {limit("a", 9, "m2", 2)}), "taken");
  EXPECT_EQ(take(*log, {limit("a", 9, "m3", 2)}), "over a");
  EXPECT_EQ(take(*log, {limit("a", 9, "m1", 2)}), "taken");
}

TEST_F(LimitTest, OnlyWhatWasNotSentIsGivenBack) {
  const auto log = open_log();
  for (const CallResult result : {CallResult::kNotSent, CallResult::kExecuted}) {
    Record made = intent({limit("a", 1)});
    const Uuid operation = made.operation_id;
    EXPECT_EQ(verdict(runner_.run(log->append_intent(std::move(made), request("")))), "taken");
    end(*log, operation, result);
  }
  EXPECT_EQ(take(*log, {limit("a", 1)}), "over a");
}

// Four writers, whose batches are small enough to take turns.
class LimitRace : public LimitTest {
 protected:
  void SetUp() override {
    LimitTest::SetUp();
    for (const testing::TemporaryDirectory& spool : spools_) {
      LogOptions options = log_options();
      options.spool_dir = spool.path();
      options.append_timeout = testing::kPatience;
      options.batch_max = 7;
      writers_.push_back(open_log(options));
    }
  }
  void TearDown() override {
    writers_.clear();
    LimitTest::TearDown();
  }

  // A whole call: how it ended, "over" its limit, or "failed" as there was no database.
  static Task<std::string> call(LogPostgres& log, std::vector<json> limits, CallResult result) {
    Record made = intent(limits);
    Record outcome = testing::record(Kind::kOutcome, made.operation_id);
    outcome.content["outcome"] = {{"result", to_string(result)}};
    outcome.is_limited = result == CallResult::kNotSent;
    OutboundRequest sent = request("");
    const Result<Receipt> receipt = co_await log.append_intent(std::move(made), std::move(sent));
    if (!receipt.ok()) co_return receipt.error().code == ErrorCode::kLimit ? "over" : "failed";
    const Result<RecordRef> ended = co_await log.append_outcome(std::move(outcome));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
    co_return std::string(to_string(result));
  }
  // In every other round the first batches of all writers meet before they write, and then
  // `strike` is done.
  void race(int round, const std::function<void()>& start, const std::function<void()>& strike) {
    if (round % 2 == 1) {
      start();
      return strike();
    }
    testing::HeldLock head(database("postgres").url, testing::kLogHead);
    start();
    EXPECT_TRUE(head.is_met_by(4));
    strike();
    head.release();
  }

  std::array<testing::TemporaryDirectory, 4> spools_;
  std::vector<std::unique_ptr<LogPostgres>> writers_;
};

TEST_F(LimitRace, race_of_four_writers_takes_what_a_limit_gives_and_no_more) {
  for (int round = 0; round < testing::race_rounds(); ++round) {
    const std::string key = "a" + std::to_string(round);
    const std::string other = "b" + std::to_string(round);
    const int count = round % 2 == 0 ? 3 : 20;  // Three: fewer than the batches that meet.
    std::vector<std::future<Result<Receipt>>> calls;
    const auto start = [&] {
      for (int i = 0; i < 10; ++i) {
        for (const auto& writer : writers_) {
          // In either order, so that two batches would wait for each other if they locked as
          // written.
          std::vector<json> both = {limit(key, count),
                                    limit(other, 4 * count, std::to_string(i % 9), 5)};
          if (i % 2 == 0) std::swap(both[0], both[1]);
          calls.push_back(runner_.start(writer->append_intent(intent(both), request(""))));
        }
      }
    };
    race(round, start, [] {});
    int taken = 0;
    for (auto& call : calls) taken += verdict(call.get()) == "taken" ? 1 : 0;
    EXPECT_EQ(taken, count);
    EXPECT_EQ(uses(key), std::to_string(count));
    EXPECT_LE(std::stoi(value("SELECT count(DISTINCT mailbox) FROM holdfast.limit_uses "
                              "WHERE key = '" +
                              other + "|k'")),
              5);
  }
}

// A use that had to wait counts from when it was taken.
TEST_F(LimitRace, race_of_a_use_that_waits_for_its_turn) {
  testing::HeldLock key(database("postgres").url,
                        "SELECT pg_advisory_xact_lock(hashtextextended('holdfast.limit a|k', 0))");
  auto taking = runner_.start(writers_[0]->append_intent(intent({limit("a", 1)}), request("")));
  EXPECT_TRUE(key.is_met_by(1));
  const std::string before = value("SELECT clock_timestamp()");
  key.release();
  EXPECT_EQ(verdict(taking.get()), "taken");
  EXPECT_EQ(value("SELECT at > '" + before + "' FROM holdfast.limit_uses"), "t");
}

TEST_F(LimitRace, race_of_four_writers_is_short_by_no_more_than_what_failed) {
  constexpr int kCount = 12;
  for (int round = 0; round < testing::race_rounds(); ++round) {
    const std::string key = "a" + std::to_string(round);
    std::vector<std::future<std::string>> calls;
    const auto start = [&] {
      for (int i = 0; i < 6; ++i) {
        for (const auto& writer : writers_) {
          calls.push_back(
              runner_.start(call(*writer, {limit(key, kCount)},
                                 i % 3 == 1 ? CallResult::kNotSent : CallResult::kExecuted)));
        }
      }
    };
    // One of the writers loses its connection.
    race(round, start, [&] {
      sql("postgres",
          "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
          "WHERE usename = 'holdfast_proxy' AND datname = current_database() "
          "ORDER BY backend_start LIMIT 1");
    });
    int executed = 0;
    int failed = 0;
    for (auto& ended : calls) {
      const std::string how = ended.get();
      executed += how == "executed" ? 1 : 0;
      failed += how == "not_sent" || how == "failed" ? 1 : 0;
    }
    ASSERT_TRUE(testing::eventually([&] {
      return std::ranges::all_of(writers_, [](auto& writer) { return writer->health().ready; }) &&
             value("SELECT count(*) FROM holdfast.open_operations") == "0";
    }));
    EXPECT_EQ(uses(key), std::to_string(executed));
    EXPECT_LE(executed, kCount);
    EXPECT_GE(executed, kCount - failed);
    // What is left can be taken, to the last.
    for (int left = kCount - executed; left >= 0; --left) {
      LogPostgres& writer = *writers_[static_cast<std::size_t>(left) % 4];
      std::string how;
      // It fails where nobody has noticed yet that the connection is gone.
      EXPECT_TRUE(testing::eventually([&] {
        how = runner_.run(call(writer, {limit(key, kCount)}, CallResult::kExecuted));
        return how != "failed";
      }));
      EXPECT_EQ(how, left > 0 ? "executed" : "over");
    }
  }
  // Nor was it ever exceeded in between, in the order of the log.
  EXPECT_EQ(value(R"(
WITH entries AS (SELECT index, kind, convert_from(entry, 'UTF8')::json AS e FROM holdfast.log),
begun AS (SELECT e ->> 'operation_id' AS operation, e #>> '{decision,limits,0,key}' AS key
            FROM entries WHERE kind = 'intent')
SELECT max(held) FROM (
  SELECT sum(CASE kind WHEN 'intent' THEN 1 ELSE -1 END) OVER (PARTITION BY key ORDER BY index)
      AS held
    FROM entries JOIN begun ON operation = e ->> 'operation_id'
    WHERE kind = 'intent' OR e #>> '{outcome,result}' = 'not_sent') t)"),
            std::to_string(kCount));
}

}  // namespace
}  // namespace holdfast::audit
