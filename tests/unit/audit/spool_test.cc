#include "audit/spool.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "audit/entry.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::audit {
namespace {

using Entries = std::vector<std::string>;

class SpoolTest : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> open() const {
    auto spool = Spool::open(directory());
    EXPECT_TRUE(spool.ok()) << spool.error().message;
    return spool.ok() ? *std::move(spool) : nullptr;
  }
  std::string directory() const { return directory_.path() + "/spool"; }
  std::string file() const { return directory() + "/outcomes"; }
  void append_two() const {
    const auto spool = open();
    ASSERT_TRUE(spool->append("first").ok());
    ASSERT_TRUE(spool->append("second").ok());
  }
  void flip_byte(std::streamoff at) const {
    std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(at);
    bytes.put('X');
  }

 private:
  testing::TemporaryDirectory directory_;
};

TEST_F(SpoolTest, finds_entries_and_writer_again) {
  const Uuid writer = open()->writer();
  append_two();
  const auto again = open();
  EXPECT_EQ(again->writer(), writer);
  EXPECT_EQ(again->take_found(), (Entries{"first", "second"}));
}

TEST_F(SpoolTest, takes_what_an_entry_and_its_documents_may_need) {
  const std::string large(kSpooledBytesMax, 'x');
  ASSERT_TRUE(open()->append(large).ok());
  EXPECT_EQ(open()->take_found(), (Entries{large}));
}

TEST_F(SpoolTest, clear_forgets_entries_and_keeps_the_writer) {
  append_two();
  const Uuid writer = open()->writer();
  ASSERT_TRUE(open()->clear().ok());
  const auto again = open();
  EXPECT_TRUE(again->take_found().empty());
  EXPECT_EQ(again->writer(), writer);
}

TEST_F(SpoolTest, is_for_one_process_at_a_time) {
  const auto first = open();
  const auto second = Spool::open(directory());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
}

// Whatever part of the last entry reached the disk, the ones before it are there.
TEST_F(SpoolTest, torn_last_entry_is_dropped_at_every_length) {
  append_two();
  const std::uintmax_t whole = std::filesystem::file_size(file());
  const std::uintmax_t first = 36 + 5;
  for (std::uintmax_t size = whole - 1; size > first; --size) {
    std::filesystem::resize_file(file(), size);
    const auto spool = open();
    ASSERT_NE(spool, nullptr);
    EXPECT_EQ(spool->take_found(), Entries{"first"}) << size;
    EXPECT_EQ(std::filesystem::file_size(file()), first);
    ASSERT_TRUE(spool->append("second").ok());
  }
}

TEST_F(SpoolTest, damaged_last_entry_is_dropped) {
  append_two();
  flip_byte(36 + 5 + 36 + 1);
  EXPECT_EQ(open()->take_found(), Entries{"first"});
}

TEST_F(SpoolTest, damage_before_the_last_entry_stops_the_process) {
  append_two();
  flip_byte(36 + 1);
  const auto damaged = Spool::open(directory());
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().message, file() + ": damaged at byte 0");
}

TEST_F(SpoolTest, unusable_directory_is_a_clear_error) {
  std::ofstream(directory()) << "a file";
  const auto spool = Spool::open(directory());
  ASSERT_FALSE(spool.ok());
  EXPECT_NE(spool.error().message.find(directory()), std::string::npos);
}

TEST_F(SpoolTest, writer_file_without_an_id_is_refused) {
  open();
  std::ofstream(directory() + "/writer") << "nobody\n";
  const auto spool = Spool::open(directory());
  ASSERT_FALSE(spool.ok());
  EXPECT_EQ(spool.error().message, directory() + "/writer: does not hold a UUID");
}

}  // namespace
}  // namespace holdfast::audit
