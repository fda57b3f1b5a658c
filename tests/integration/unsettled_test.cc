// What the database says of operations whose outcome is unknown.
#include "audit/unsettled_postgres.h"

#include "tests/integration/log_fixture.h"

namespace holdfast::audit {
namespace {

using testing::LogTest;
using testing::new_operation;
using testing::record;
using namespace std::chrono_literals;

class UnsettledTest : public LogTest {
 protected:
  Uuid unknown(LogPostgres& log) {
    const Uuid operation = begin(log);
    const auto ended =
        runner_.run(log.append_outcome(record(Kind::kOutcome, operation, "unknown")));
    EXPECT_TRUE(ended.ok());
    return operation;
  }
  void reconcile(LogPostgres& log, const Uuid& operation, const std::string& result) {
    Record made = record(Kind::kReconciliation, operation);
    made.content["outcome"] = {{"result", result}};
    EXPECT_TRUE(runner_.run(log.append(std::move(made))).ok());
  }
  std::vector<Uuid> shown(UnsettledRange range = {}) {
    sql("holdfast_audit", "SELECT holdfast.derive_search(1000)");
    std::vector<Uuid> found;
    PostgresUnsettled source({.database = database("holdfast_audit")});
    const auto count = source.visit(range, [&](const std::vector<Unsettled>& all) {
      for (const Unsettled& one : all) {
        found.push_back(one.operation_id);
        EXPECT_EQ(one.content.at("request").at("method"), "POST");
        EXPECT_FALSE(one.content.contains("id"));
      }
    });
    EXPECT_TRUE(count.ok());
    return found;
  }
  using Operations = std::vector<Uuid>;
};

TEST_F(UnsettledTest, lists_what_is_unknown_until_something_certain_is_recorded) {
  auto log = open_log();
  const Uuid executed = begin(*log);
  ASSERT_TRUE(runner_.run(log->append_outcome(record(Kind::kOutcome, executed))).ok());
  const Uuid first = unknown(*log);
  const Uuid second = unknown(*log);
  EXPECT_EQ(shown(), (Operations{first, second}));
  EXPECT_EQ(shown({.from = 4}), (Operations{second}));
  EXPECT_EQ(shown({.at_most = 1}), (Operations{first}));
  reconcile(*log, first, "indeterminate");
  EXPECT_EQ(shown(), (Operations{first, second}));
  reconcile(*log, first, "executed");
  EXPECT_EQ(shown(), (Operations{second}));
  // The same from the log alone.
  sql("postgres", "SELECT holdfast.rebuild_search()");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.unsettled"), "0");
  EXPECT_EQ(shown(), (Operations{second}));
  reconcile(*log, second, "not_executed");
  EXPECT_EQ(shown(), Operations{});
  EXPECT_EQ(refusal("holdfast_audit", "DELETE FROM holdfast.unsettled"),
            "permission denied for table unsettled");
}

TEST_F(UnsettledTest, leaves_alone_what_may_still_be_on_its_way) {
  auto log = open_log();
  const Uuid operation = unknown(*log);
  EXPECT_EQ(shown({.age = 1h}), Operations{});
  sql("postgres", "UPDATE holdfast.unsettled SET seen = seen - interval '1 hour'");
  EXPECT_EQ(shown({.age = 1h}), (Operations{operation}));
}

TEST_F(UnsettledTest, race_one_process_at_a_time_works_on_them) {
  auto log = open_log();
  unknown(*log);
  sql("holdfast_audit", "SELECT holdfast.derive_search(1000)");
  PostgresUnsettled one({.database = database("holdfast_audit")});
  PostgresUnsettled other({.database = database("holdfast_audit")});
  std::size_t meanwhile = 1;
  const UnsettledSource::Work nothing = [](const auto&) {};
  const auto count = one.visit({}, [&](const auto&) { meanwhile = *other.visit({}, nothing); });
  EXPECT_EQ(*count, 1U);
  EXPECT_EQ(meanwhile, 0U);
  EXPECT_EQ(*other.visit({}, nothing), 1U);
}

}  // namespace
}  // namespace holdfast::audit
