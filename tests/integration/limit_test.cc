// Limits are exact whatever the number of replicas. Few calls by default, many with FULL_TESTS=1.
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
    outcome.is_limited = result == CallResult::kNotSent;
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

TEST_F(LimitTest, race_of_four_writers_never_exceeds_a_limit) {
  const int count = testing::environment("FULL_TESTS") == "1" ? 1000 : 40;
  std::vector<std::unique_ptr<testing::TemporaryDirectory>> spools;
  std::vector<std::unique_ptr<LogPostgres>> writers;
  for (int i = 0; i < 4; ++i) {
    spools.push_back(std::make_unique<testing::TemporaryDirectory>());
    LogOptions options = log_options();
    options.spool_dir = spools.back()->path();
    options.batch_max = 7;
    writers.push_back(open_log(options));
  }
  std::vector<std::future<Result<Receipt>>> calls;
  for (int i = 0; i < 2 * count; ++i) {
    for (const auto& writer : writers) {
      // In either order, so that two batches would wait for each other if they locked as written.
      std::vector<json> both = {limit("a", count), limit("b", 4 * count, std::to_string(i % 9), 5)};
      if (i % 2 == 0) std::swap(both[0], both[1]);
      calls.push_back(runner_.start(writer->append_intent(intent(both), request(""))));
    }
  }
  int taken = 0;
  for (auto& call : calls) taken += verdict(call.get()) == "taken" ? 1 : 0;
  EXPECT_EQ(taken, count);
  EXPECT_EQ(uses("a"), std::to_string(count));
  EXPECT_LE(std::stoi(value("SELECT count(DISTINCT mailbox) FROM holdfast.limit_uses "
                            "WHERE key = 'b|k'")),
            5);
}

}  // namespace
}  // namespace holdfast::audit
