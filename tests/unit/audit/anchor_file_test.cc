#include "audit/anchor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "audit/checkpoint.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::audit {
namespace {

using ::testing::HasSubstr;

class AnchorFileTest : public ::testing::Test {
 protected:
  AnchoredCheckpoint checkpoint(std::uint64_t size) const {
    const TreeHead head{.size = size, .root = sha256(std::to_string(size))};
    return {.head = head,
            .note = sign_checkpoint({.origin = "audit.example/log", .head = head, .extensions = {}},
                                    std::span(&signer_, 1)),
            .signed_at = {}};
  }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_, std::ios::binary).rdbuf();
    return text.str();
  }
  std::unique_ptr<AnchorFile> open() const {
    Result<std::unique_ptr<AnchorFile>> file = AnchorFile::open(path_);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return file.ok() ? *std::move(file) : nullptr;
  }

  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/anchors.ndjson";
  NoteSigner signer_{"audit.example/log", SigningKey::generate()};
};

TEST_F(AnchorFileTest, keeps_every_checkpoint_and_knows_the_last) {
  EXPECT_EQ(open()->newest(), std::nullopt);
  ASSERT_TRUE(open()->append(std::vector{checkpoint(1), checkpoint(2)}).ok());
  auto file = open();
  EXPECT_EQ(file->newest(), checkpoint(2));
  ASSERT_TRUE(file->append(std::vector{checkpoint(3)}).ok());
  EXPECT_EQ(file->newest(), checkpoint(3));
  EXPECT_EQ(content(),
            anchor_line(checkpoint(1)) + anchor_line(checkpoint(2)) + anchor_line(checkpoint(3)));
  EXPECT_EQ(AnchorFile::open(path_).error().code, ErrorCode::kRefused);
}

TEST_F(AnchorFileTest, fault_a_last_line_that_a_crash_cut_short_is_dropped_wherever_it_was_cut) {
  const std::string first = anchor_line(checkpoint(1));
  const std::string both = first + anchor_line(checkpoint(2));
  for (std::size_t length = first.size(); length < both.size(); length += 7) {
    std::ofstream(path_, std::ios::binary) << both.substr(0, length);
    auto file = open();
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->newest(), checkpoint(1)) << length;
    EXPECT_EQ(content(), first) << length;
    ASSERT_TRUE(file->append(std::vector{checkpoint(2)}).ok());
    EXPECT_EQ(content(), both) << length;
  }
  std::ofstream(path_, std::ios::binary) << first.substr(0, 9);
  EXPECT_EQ(open()->newest(), std::nullopt);
  EXPECT_EQ(content(), "");
}

TEST_F(AnchorFileTest, fault_what_a_full_disk_left_of_a_line_is_taken_back_and_written_later) {
  auto file = open();
  ASSERT_TRUE(file->append(std::vector{checkpoint(1)}).ok());
  const std::string first = content();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit full{.rlim_cur = first.size() + 20, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  std::vector<Status> appended;
  for (int i = 0; i < 2; ++i) appended.push_back(file->append(std::vector{checkpoint(2)}));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  for (const Status& status : appended) {
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.error().message, HasSubstr(path_ + ": cannot write: File too large"));
  }
  EXPECT_EQ(content(), first);
  EXPECT_EQ(file->newest(), checkpoint(1));
  const Status later = file->append(std::vector{checkpoint(2)});
  ASSERT_TRUE(later.ok()) << later.error().message;
  EXPECT_EQ(content(), first + anchor_line(checkpoint(2)));
  EXPECT_EQ(file->newest(), checkpoint(2));
}

TEST_F(AnchorFileTest, what_is_no_anchor_file_is_left_alone) {
  for (const std::string text : {"something else\n", "{}\n", "\n"}) {
    std::ofstream(path_, std::ios::binary) << text;
    const auto file = AnchorFile::open(path_);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_THAT(file.error().message, HasSubstr(path_));
    EXPECT_EQ(content(), text);
  }
  EXPECT_EQ(AnchorFile::open(directory_.path() + "/none/file").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace holdfast::audit
