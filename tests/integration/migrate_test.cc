// Migrations: once, in order, unchanged, one process at a time.
#include "audit/migrate_postgres.h"

#include "tests/integration/database.h"

namespace holdfast::audit {
namespace {

using testing::DatabaseTest;

class MigrateTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    empty_ = name() + "_empty";
    maintenance("CREATE DATABASE " + empty_);
  }
  void TearDown() override {
    maintenance("DROP DATABASE IF EXISTS " + empty_ + " WITH (FORCE)");
    DatabaseTest::TearDown();
  }
  Database empty_database() const {
    return {.url = database("postgres").url + "_empty", .password = {}};
  }

 private:
  std::string empty_;
};

TEST_F(MigrateTest, second_run_does_nothing) {
  const auto again = migrate(database("postgres"), migrations());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->empty());
}

TEST_F(MigrateTest, status_tells_pending_from_applied) {
  const auto before = migration_status(empty_database(), migrations());
  ASSERT_TRUE(before.ok()) << before.error().message;
  ASSERT_EQ(before->size(), migrations().size());
  EXPECT_EQ(before->front().state, MigrationState::kPending);
  const auto after = migration_status(database("postgres"), migrations());
  ASSERT_TRUE(after.ok()) << after.error().message;
  for (const MigrationStatus& status : *after) {
    EXPECT_EQ(status.state, MigrationState::kApplied) << status.name;
  }
}

TEST_F(MigrateTest, changed_migration_is_refused) {
  std::vector<Migration> changed(migrations().begin(), migrations().end());
  const std::string text = std::string(changed.front().sql) + "\n-- one more line\n";
  changed.front().sql = text;
  const auto refused = migrate(database("postgres"), changed);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_EQ(refused.error().message, "migration 0001_log was changed after it had been applied");
}

TEST_F(MigrateTest, migration_of_a_newer_version_is_refused) {
  const std::vector<Migration> older(migrations().begin(), migrations().begin() + 1);
  sql("postgres", "INSERT INTO holdfast.migrations (name, sha256) VALUES ('9999_newer', '\\x00') ");
  const auto refused = migrate(database("postgres"), migrations());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

TEST_F(MigrateTest, migration_below_an_applied_one_is_refused) {
  std::vector<Migration> known = {{.name = "0000_late", .sql = "SELECT 1"}};
  known.insert(known.end(), migrations().begin(), migrations().end());
  const auto refused = migrate(database("postgres"), known);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

TEST_F(MigrateTest, failing_migration_leaves_nothing_behind) {
  std::vector<Migration> known(migrations().begin(), migrations().end());
  known.push_back({.name = "9998_broken",
                   .sql = "CREATE TABLE holdfast.half (a integer); SELECT no_such_column"});
  const auto failed = migrate(database("postgres"), known);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalid);
  EXPECT_NE(failed.error().message.find("9998_broken"), std::string::npos);
  EXPECT_EQ(value("SELECT to_regclass('holdfast.half')"), "");
}

TEST_F(MigrateTest, concurrent_runs_apply_each_migration_once) {
  std::vector<std::future<Result<std::vector<std::string>>>> runs;
  for (int i = 0; i < 4; ++i) {
    runs.push_back(
        std::async(std::launch::async, [this] { return migrate(empty_database(), migrations()); }));
  }
  std::size_t applied = 0;
  for (auto& run : runs) {
    const auto done = run.get();
    ASSERT_TRUE(done.ok()) << done.error().message;
    applied += done->size();
  }
  EXPECT_EQ(applied, migrations().size());
}

TEST_F(MigrateTest, unreachable_database_is_a_clear_error_without_the_password) {
  const auto failed = migrate(
      {.url = "postgresql://postgres:geheim@127.0.0.1:1/x", .password = "geheim"}, migrations());
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(failed.error().message.find("geheim"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::audit
