#include "audit/flush_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "tests/support/fake_clock.h"

namespace holdfast::audit {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

// A disk whose flushes end when the test says so.
class Disk {
 public:
  class OneFlush final : public Flush {
   public:
    explicit OneFlush(Disk& disk) : disk_(disk) {}
    Status flush() override { return disk_.flush(); }
    bool is_lost() const override { return disk_.lost; }

   private:
    Disk& disk_;
  };

  std::unique_ptr<Flush> open() { return std::make_unique<OneFlush>(*this); }

  // The next flushes take so long.
  void takes(FakeClock& clock, std::chrono::milliseconds time) {
    MutexLock lock(mutex_);
    passes_ = [&clock, time] { clock.advance(time); };
  }
  void wait_for_flush(int number) {
    MutexLock lock(mutex_);
    while (begun_ < number) changed_.wait(mutex_);
  }
  // Lets the next flush end like this.
  void end(Status status) {
    MutexLock lock(mutex_);
    ends_.push_back(std::move(status));
    changed_.notify_all();
  }
  int begun() {
    MutexLock lock(mutex_);
    return begun_;
  }

  bool lost = false;

 private:
  Status flush() {
    MutexLock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    while (ends_.empty()) changed_.wait(mutex_);
    if (passes_) passes_();
    Status end = std::move(ends_.front());
    ends_.pop_front();
    return end;
  }

  Mutex mutex_;
  Condition changed_;
  int begun_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::deque<Status> ends_ HOLDFAST_GUARDED_BY(mutex_);
  std::function<void()> passes_ HOLDFAST_GUARDED_BY(mutex_);
};

class FlushQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { queue_.open(disk_.open()); }
  void TearDown() override { queue_.close(); }

  AppendedEntry entry(std::int64_t index) {
    return {.pending = {.entry = {.id = {}, .bytes = std::to_string(index)},
                        .deadline = {},
                        .done =
                            [this](const Result<RecordRef>& result) {
                              MutexLock lock(mutex_);
                              told_.push_back(result.ok() ? result->index : -1);
                              changed_.notify_all();
                            }},
            .index = index};
  }
  void push(std::vector<std::int64_t> indexes) {
    std::vector<AppendedEntry> entries;
    for (const std::int64_t index : indexes) entries.push_back(entry(index));
    queue_.push(std::move(entries));
  }
  std::vector<std::int64_t> told() {
    MutexLock lock(mutex_);
    return told_;
  }
  void wait_for_told(std::size_t count) {
    MutexLock lock(mutex_);
    while (told_.size() < count) changed_.wait(mutex_);
  }
  void wait_for_end(int number) {
    MutexLock lock(mutex_);
    while (ended_ < number) changed_.wait(mutex_);
  }
  static std::vector<std::string> names(const FlushQueue::InDoubt& in_doubt) {
    std::vector<std::string> names;
    for (const PendingEntry& each : in_doubt.entries) names.push_back(each.entry.bytes);
    return names;
  }
  static Error failure() { return {ErrorCode::kInDoubt, "the disk is gone"}; }

  Mutex mutex_;
  Condition changed_;
  int ended_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::vector<std::int64_t> told_ HOLDFAST_GUARDED_BY(mutex_);
  FakeClock clock_;
  Disk disk_;
  FlushQueue queue_{[this] {
                      MutexLock lock(mutex_);
                      ++ended_;
                      changed_.notify_all();
                    },
                    clock_};
};

TEST_F(FlushQueueTest, NobodyIsToldBeforeTheFlushHasEnded) {
  push({7, 8});
  disk_.wait_for_flush(1);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(queue_.size(), 2U);
  disk_.end({});
  wait_for_told(2);
  EXPECT_THAT(told(), ElementsAre(7, 8));
}

TEST_F(FlushQueueTest, WhatComesDuringAFlushIsInTheNextOne) {
  push({1});
  disk_.wait_for_flush(1);
  push({2});
  push({3, 4});
  disk_.end({});
  disk_.wait_for_flush(2);
  EXPECT_THAT(told(), ElementsAre(1)) << "the flush had begun before the others were committed";
  disk_.end({});
  wait_for_told(4);
  EXPECT_THAT(told(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(disk_.begun(), 2);
}

TEST_F(FlushQueueTest, AfterAFailureEverythingIsInDoubtInOrder) {
  push({1, 2});
  disk_.wait_for_flush(1);
  push({3});
  disk_.end(failure());
  wait_for_end(1);
  EXPECT_TRUE(queue_.has_failed());
  push({4});
  const FlushQueue::InDoubt in_doubt = queue_.close();
  EXPECT_THAT(names(in_doubt), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(in_doubt.error.code, ErrorCode::kInDoubt);
  EXPECT_EQ(in_doubt.error.message, "the disk is gone");
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(disk_.begun(), 1) << "a flush that failed is not tried again";
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_FALSE(queue_.has_failed());
}

TEST_F(FlushQueueTest, ServesAgainAfterAFailure) {
  push({1});
  disk_.end(failure());
  wait_for_end(1);
  EXPECT_THAT(names(queue_.close()), ElementsAre("1"));
  queue_.open(disk_.open());
  push({2});
  disk_.end({});
  wait_for_told(1);
  EXPECT_THAT(told(), ElementsAre(2));
}

TEST_F(FlushQueueTest, CloseWaitsForWhatIsBeingFlushed) {
  push({1});
  disk_.wait_for_flush(1);
  push({2});
  auto closed = std::async(std::launch::async, [this] { return queue_.close(); });
  disk_.end({});
  disk_.end({});
  EXPECT_THAT(names(closed.get()), IsEmpty());
  EXPECT_THAT(told(), ElementsAre(1, 2));
}

TEST_F(FlushQueueTest, WhoIsToldOfTheEndSeesThatItIsEmpty) {
  push({1, 2});
  disk_.end({});
  wait_for_end(1);
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_THAT(told(), ElementsAre(1, 2));
}

TEST_F(FlushQueueTest, WhereTheDiskIsSlowerAsManyAsAreFlushedMustHaveCome) {
  disk_.takes(clock_, 5ms);
  push({0, 1});
  EXPECT_EQ(queue_.worth_appending(1h), 2U) << "nothing is known of the disk yet";
  disk_.end({});
  wait_for_end(1);
  push({2, 3, 4, 5, 6});
  EXPECT_EQ(queue_.worth_appending(4ms), 5U);
  EXPECT_EQ(queue_.worth_appending(5ms), 5U);
  disk_.end({});
}

TEST_F(FlushQueueTest, WhereTheDiskIsQuickerHalfAsManyAreEnough) {
  disk_.takes(clock_, 5ms);
  push({1});
  disk_.end({});
  wait_for_end(1);
  EXPECT_EQ(queue_.worth_appending(6ms), 0U) << "there is nobody to wait for";
  push({2, 3, 4, 5, 6});
  EXPECT_EQ(queue_.worth_appending(6ms), 3U);
  disk_.end({});
  wait_for_end(2);
  push({7, 8});
  disk_.wait_for_flush(3);
  EXPECT_EQ(queue_.worth_appending(6ms), 1U);
  clock_.advance(6ms);
  EXPECT_EQ(queue_.worth_appending(6ms), 2U) << "this flush already takes as long";
  disk_.end({});
}

TEST_F(FlushQueueTest, WhatTheLastFlushHasLetGoIsSentTogetherBehindAStatement) {
  EXPECT_EQ(queue_.worth_sending_behind(1), 8U) << "fewer are not worth a statement";
  EXPECT_EQ(queue_.worth_sending_behind(30), 15U) << "of two statements one is not much smaller";
  push({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  disk_.wait_for_flush(1);
  EXPECT_EQ(queue_.worth_sending_behind(1), std::nullopt);
  disk_.end({});
  wait_for_end(1);
  EXPECT_EQ(queue_.worth_sending_behind(1), 10U) << "all of them are on their way back";
  EXPECT_EQ(queue_.worth_sending_behind(30), 15U);
}

TEST_F(FlushQueueTest, SeesAConnectionThatIsLostWhileIdle) {
  EXPECT_FALSE(queue_.is_lost());
  disk_.lost = true;
  EXPECT_TRUE(queue_.is_lost());
  queue_.close();
  EXPECT_FALSE(queue_.is_lost()) << "there is none";
}

}  // namespace
}  // namespace holdfast::audit
