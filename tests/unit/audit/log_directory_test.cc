#include "audit/log_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "audit/verify.h"
#include "base/files.h"
#include "tests/support/fake_log.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::audit {
namespace {

using testing::FakeLog;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;

class LogDirectory : public ::testing::Test {
 protected:
  // A copy of the log, made by verifying it.
  void save(const FakeLog& log) {
    VerifyPlan plan = log.plan();
    plan.open = [this, open = plan.open,
                 size = plan.tree_size]() -> Result<std::unique_ptr<LogSource>> {
      return std::unique_ptr<LogSource>(
          std::make_unique<SavingSource>(*open(), copy_.path(), size));
    };
    const Result<LogReport> report = verify_log(plan);
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_EQ(report->faults.count(), 0U);
    ASSERT_TRUE(save_checkpoint_note(copy_.path(), log.note()).ok());
  }
  Faults verify(const FakeLog& log) {
    VerifyPlan plan = log.plan();
    plan.open = [this]() -> Result<std::unique_ptr<LogSource>> {
      return std::unique_ptr<LogSource>(std::make_unique<DirectorySource>(copy_.path()));
    };
    const Result<LogReport> report = verify_log(plan);
    EXPECT_TRUE(report.ok()) << report.error().message;
    return report.ok() ? report->faults : Faults();
  }
  std::filesystem::path file(const std::string& name) const {
    return std::filesystem::path(copy_.path()) / name;
  }

  TemporaryDirectory copy_;
};

TEST_F(LogDirectory, a_directory_holds_a_log_where_anything_of_one_is_there) {
  EXPECT_FALSE(holds_log(copy_.path()));
  EXPECT_FALSE(holds_log(file("missing").string()));
  std::ofstream(file("other")) << "x";
  EXPECT_FALSE(holds_log(copy_.path()));
  for (const char* name : {"checkpoint", "tile", "evidence"}) {
    std::filesystem::create_directory(file(name));
    EXPECT_TRUE(holds_log(copy_.path())) << name;
    std::filesystem::remove(file(name));
  }
}

TEST_F(LogDirectory, a_copy_is_laid_out_as_tlog_tiles_and_verifies) {
  FakeLog log;
  log.add_calls(300);
  save(log);
  std::vector<std::string> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(copy_.path())) {
    if (item.is_regular_file()) {
      files.push_back(std::filesystem::relative(item.path(), copy_.path()).string());
    }
  }
  EXPECT_THAT(files, ::testing::UnorderedElementsAre("checkpoint", "tile/0/000", "tile/0/001",
                                                     "tile/0/002.p/88", "tile/1/000.p/2",
                                                     "tile/entries/000", "tile/entries/001",
                                                     "tile/entries/002.p/88"));
  EXPECT_EQ(*read_checkpoint_note(copy_.path()), log.note());
  EXPECT_EQ(std::filesystem::file_size(file("tile/0/002.p/88")), 88 * 32);
  struct stat about{};
  ASSERT_EQ(::stat(file("tile/entries/000").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0077U, 0U);
  EXPECT_EQ(verify(log).count(), 0U);
}

TEST_F(LogDirectory, a_full_tile_does_for_a_partial_one) {
  FakeLog log;
  log.add_calls(256);
  save(log);
  VerifyPlan plan = log.plan();
  plan.entries = plan.tree_size = 300;
  plan.roots.clear();
  plan.open = [this]() -> Result<std::unique_ptr<LogSource>> {
    return std::unique_ptr<LogSource>(std::make_unique<DirectorySource>(copy_.path()));
  };
  const Result<LogReport> report = verify_log(plan);
  ASSERT_TRUE(report.ok());
  // The partial tile of level 1, with one hash, is not there, and the full one has no file either.
  EXPECT_EQ(report->entries, 300U);
  EXPECT_EQ(report->faults.count(), 1U);
  EXPECT_THAT(report->faults.list().front().what, HasSubstr("tile 1/000"));
}

TEST_F(LogDirectory, what_is_missing_or_cut_is_named) {
  FakeLog log;
  log.add_calls(300);
  save(log);
  std::filesystem::remove(file("tile/entries/001"));
  Faults faults = verify(log);
  EXPECT_EQ(faults.list().front().index, 256U);
  EXPECT_THAT(faults.list().front().what, HasSubstr("tile/entries/001"));

  save(log);
  std::filesystem::resize_file(file("tile/entries/001"), 1000);
  faults = verify(log);
  EXPECT_GT(faults.list().front().index, 256U);
  EXPECT_THAT(faults.list().front().what, HasSubstr("does not hold this record"));

  save(log);
  std::ofstream(file("tile/entries/001"), std::ios::app) << "x";
  EXPECT_THAT(verify(log).list().front().what, HasSubstr("more in the bundle"));

  save(log);
  std::ofstream(file("tile/0/001"), std::ios::app) << "x";
  faults = verify(log);
  EXPECT_EQ(faults.list().front().index, 256U);
  EXPECT_THAT(faults.list().front().what, HasSubstr("over 8192 bytes"));
}

// Whoever made the copy may have put a pipe there, into which nobody writes.
TEST_F(LogDirectory, fault_what_is_no_file_is_named_and_not_waited_for) {
  FakeLog log;
  log.add_calls(300);
  for (const char* name : {"tile/0/001", "tile/entries/001"}) {
    save(log);
    std::filesystem::remove(file(name));
    ASSERT_EQ(::mkfifo(file(name).c_str(), 0600), 0);
    const Faults faults = verify(log);
    EXPECT_EQ(faults.list().front().index, 256U);
    EXPECT_THAT(faults.list().front().what, HasSubstr(std::string(name) + ": not a regular file"));
  }
  std::filesystem::remove(file("checkpoint"));
  ASSERT_EQ(::mkfifo(file("checkpoint").c_str(), 0600), 0);
  EXPECT_EQ(read_checkpoint_note(copy_.path()).error().code, ErrorCode::kRefused);
  std::filesystem::create_directories(file("evidence/000"));
  EXPECT_EQ(read_evidence_file(copy_.path(), 0).error().code, ErrorCode::kRefused);
  EXPECT_EQ(read_evidence_file(copy_.path(), 1).error().code, ErrorCode::kNotFound);
}

TEST_F(LogDirectory, what_cannot_be_written_is_no_finding) {
  FakeLog log;
  log.add_calls(1);
  std::ofstream(file("tile")) << "in the way";
  VerifyPlan plan = log.plan();
  plan.open = [this, open = plan.open]() -> Result<std::unique_ptr<LogSource>> {
    return std::unique_ptr<LogSource>(std::make_unique<SavingSource>(*open(), copy_.path(), 2));
  };
  const Result<LogReport> report = verify_log(plan);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kUnavailable);
}

TEST(EntryBundle, round_trips_and_says_what_is_missing) {
  EntryBatch batch;
  batch.add("a");
  batch.add("");
  batch.add(std::string(65'535, 'x'));
  const std::string bundle = batch.bundle();
  EXPECT_EQ(bundle.substr(0, 5), std::string("\0\1a\0\0", 5));
  const Result<EntryBatch> parsed = parse_bundle(bundle, 3);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->entry(0), "a");
  EXPECT_EQ(parsed->entry(1), "");
  EXPECT_EQ(parsed->entry(2)->size(), 65'535U);
  EXPECT_FALSE(parse_bundle(bundle, 2).ok());
  EXPECT_EQ(parse_bundle(bundle, 4)->entry(3), std::nullopt);
  EXPECT_EQ(parse_bundle(bundle.substr(0, bundle.size() - 1), 3)->entry(2), std::nullopt);
}

}  // namespace
}  // namespace holdfast::audit
