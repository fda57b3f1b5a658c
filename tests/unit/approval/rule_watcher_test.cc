#include "approval/rule_watcher.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/fake_audit_log.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

std::string rules(const std::string& revision, const std::string& more = "rules: []\n") {
  return "schema: 1\nrevision: " + revision + "\n" + more;
}

class RuleWatcherTest : public ::testing::Test {
 protected:
  std::string revision() const { return store_.current().revision(); }
  void write(const std::string& text) { files_.write("rules.yaml", text); }
  void list(const std::string& text) {
    files_.write("hold.csv", text);
    files_.set_modified("hold.csv", clock_.now());  // Not in the future of the clock here.
  }

  static constexpr const char* kListed =
      "lists: { hold: { file: hold.csv, max_age: 24h } }\n"
      "rules: [ { id: hold, effect: deny, when: { mailbox: { in: hold } } } ]\n";

  RuleSet first() {
    list("held@contoso.com\n");
    return files_.load(rules("one", kListed)).value();
  }

  RuleFiles files_;
  holdfast::testing::FakeClock clock_;
  RuleStore store_{files_.path("rules.yaml"), first()};
  audit::FakeAuditLog log_;
  RuleWatcher watcher_{store_, log_, clock_, std::chrono::milliseconds(0)};
};

TEST_F(RuleWatcherTest, ReadsWhatHasChangedAndNothingElse) {
  EXPECT_FALSE(watcher_.look());
  write(rules("number-two"));
  EXPECT_TRUE(watcher_.look());
  EXPECT_EQ(revision(), "number-two");
  EXPECT_FALSE(watcher_.look());
}

TEST_F(RuleWatcherTest, AListIsAChangeToo) {
  const std::string before = store_.current().sha256();
  list("held@contoso.com\nother@contoso.com\n");
  EXPECT_TRUE(watcher_.look());
  EXPECT_NE(store_.current().sha256(), before);
}

TEST_F(RuleWatcherTest, WhatDoesNotLoadChangesNothingAndIsTriedAgain) {
  write(rules("two", "lists: { l: { file: late.csv } }\nrules: []\n"));
  EXPECT_FALSE(watcher_.look());
  EXPECT_FALSE(watcher_.reload().ok());
  EXPECT_EQ(revision(), "one");
  // The list that was missing arrives, and the rule file is as it was.
  files_.write("late.csv", "a@contoso.com\n");
  EXPECT_TRUE(watcher_.look());
  EXPECT_EQ(revision(), "two");
}

TEST_F(RuleWatcherTest, OtherRulesAreRecordedOnce) {
  const std::string before = store_.current().sha256();
  EXPECT_TRUE(watcher_.reload().ok());
  EXPECT_TRUE(log_.entries().empty());
  write(rules("two"));
  EXPECT_TRUE(watcher_.look());
  EXPECT_TRUE(watcher_.reload().ok());
  ASSERT_EQ(log_.entries().size(), 1U);
  const audit::Record record = log_.entries()[0].record;
  EXPECT_EQ(record.kind, audit::Kind::kRules);
  EXPECT_EQ(record.content["rules"],
            nlohmann::json({{"revision", "two"},
                            {"sha256", store_.current().sha256()},
                            {"before", {{"revision", "one"}, {"sha256", before}}}}));
}

TEST_F(RuleWatcherTest, WhatCannotBeRecordedIsNotInForce) {
  const RuleSet held = store_.current();
  write(rules("two"));
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_FALSE(watcher_.look());
  EXPECT_EQ(revision(), "one");
  EXPECT_TRUE(watcher_.look());
  EXPECT_EQ(revision(), "two");
  EXPECT_EQ(held.revision(), "one");
}

TEST_F(RuleWatcherTest, WhoeverAsksGetsThemReadAgain) {
  EXPECT_TRUE(watcher_.reload().ok());
  write(rules("two"));
  EXPECT_TRUE(watcher_.reload().ok());
  EXPECT_EQ(revision(), "two");
}

TEST_F(RuleWatcherTest, LooksByItself) {
  RuleWatcher watcher(store_, log_, clock_, std::chrono::milliseconds(1));
  write(rules("number-two"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (revision() != "number-two" && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(revision(), "number-two");
}

}  // namespace
}  // namespace holdfast::approval
