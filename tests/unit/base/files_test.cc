#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;

class FilesTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  const std::string file_ = folder_.path() + "/file";
};

TEST_F(FilesTest, what_is_published_is_whole_dated_and_for_the_group) {
  const WallTime as_of = *parse_rfc3339("2026-10-05T08:00:00.123456Z");
  ASSERT_TRUE(publish_file(file_, "one\n", as_of - 1h).ok());
  ASSERT_TRUE(publish_file(file_, "two\n", as_of).ok());
  EXPECT_EQ(*read_file(file_, 100, Readers::kAnyone), "two\n");
  struct stat status{};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  EXPECT_EQ(status.st_mtim.tv_sec,
            std::chrono::floor<std::chrono::seconds>(as_of).time_since_epoch().count());
  EXPECT_EQ(status.st_mtim.tv_nsec, 123'456'000);
  EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(FilesTest, fault_what_cannot_be_published_leaves_the_file) {
  ASSERT_TRUE(publish_file(file_, "one\n", WallTime()).ok());
  std::filesystem::create_directory(file_ + ".new");
  EXPECT_FALSE(publish_file(file_, "two\n", WallTime()).ok());
  EXPECT_EQ(*read_file(file_, 100, Readers::kAnyone), "one\n");
  EXPECT_FALSE(publish_file(folder_.path() + "/none/file", "", WallTime()).ok());
}

TEST_F(FilesTest, where_others_made_it_only_a_regular_file_is_read) {
  ASSERT_TRUE(publish_file(file_, "one\n", WallTime()).ok());
  EXPECT_EQ(*read_regular_file(file_, 4), "one\n");
  EXPECT_EQ(read_regular_file(file_, 3).error().code, ErrorCode::kLimit);
  EXPECT_EQ(read_regular_file(file_ + "s", 4).error().code, ErrorCode::kNotFound);
  const std::string fifo = folder_.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {fifo, folder_.path(), std::string("/dev/zero")}) {
    EXPECT_EQ(read_regular_file(path, 4).error().code, ErrorCode::kRefused) << path;
  }
}

TEST_F(FilesTest, a_secret_may_come_through_a_pipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "one\n", 4), 4);
  ::close(ends[1]);
  const std::string path = "/proc/self/fd/" + std::to_string(ends[0]);
  EXPECT_EQ(*read_file(path, 100, Readers::kOwnerOnly), "one\n");
  ::close(ends[0]);
}

TEST_F(FilesTest, a_lock_is_for_one_and_ends_with_it) {
  {
    const Result<FileLock> mine = FileLock::take(file_);
    ASSERT_TRUE(mine.ok());
    const Result<FileLock> other = FileLock::take(file_);
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  }
  EXPECT_TRUE(FileLock::take(file_).ok());
  EXPECT_EQ(FileLock::take(folder_.path() + "/none/lock").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace holdfast
