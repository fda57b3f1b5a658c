#include "approval/approved_calls.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast::approval {
namespace {

ApprovedCall call(std::uint8_t number) {
  ApprovedCall made{.code = make_uuid_v4()};
  made.binding[0] = number;
  return made;
}

Sha256 binding(std::uint8_t number) {
  return call(number).binding;
}

TEST(ApprovedCalls, are_handed_out_once_and_by_their_binding) {
  const testing::FakeClock clock;
  ApprovedCalls calls(clock);
  const ApprovedCall one = call(1);
  calls.add(one);
  EXPECT_FALSE(calls.take(binding(2)));
  const std::optional<ApprovedCall> taken = calls.take(binding(1));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->code, one.code);
  EXPECT_FALSE(calls.take(binding(1)));
}

TEST(ApprovedCalls, are_replaced_by_newer_ones_of_the_same_binding) {
  const testing::FakeClock clock;
  ApprovedCalls calls(clock, 1);
  calls.add(call(1));
  const ApprovedCall newer = call(1);
  calls.add(newer);
  EXPECT_EQ(calls.take(binding(1))->code, newer.code);
  EXPECT_TRUE(calls.make_room(1));
}

TEST(ApprovedCalls, are_bounded_and_the_oldest_give_way_after_a_time) {
  testing::FakeClock clock;
  ApprovedCalls calls(clock, 3);
  calls.add(call(1));
  clock.advance(ApprovedCalls::kKeptFor);
  calls.add(call(2));
  EXPECT_TRUE(calls.make_room(1));
  calls.add(call(3));
  calls.add(call(4));
  EXPECT_FALSE(calls.take(binding(4))) << "there was no room";
  EXPECT_FALSE(calls.make_room(1)) << "nothing is old enough";
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_TRUE(calls.make_room(1));
  EXPECT_FALSE(calls.make_room(2));
  EXPECT_FALSE(calls.take(binding(1)));
  EXPECT_TRUE(calls.take(binding(2)));
  EXPECT_TRUE(calls.make_room(2));
}

}  // namespace
}  // namespace holdfast::approval
