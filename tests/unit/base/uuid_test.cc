#include "base/uuid.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

using namespace std::chrono;

TEST(Uuid, Version4HasItsVersionAndVariant) {
  const std::string text = to_string(make_uuid_v4());
  ASSERT_EQ(text.size(), 36U);
  EXPECT_EQ(text[14], '4');
  EXPECT_NE(std::string("89ab").find(text[19]), std::string::npos);
  EXPECT_NE(make_uuid_v4(), make_uuid_v4());
}

TEST(Uuid, Version7BeginsWithItsTimeAndSortsByIt) {
  const WallTime time = sys_days(2026y / October / 5);
  const Uuid earlier = make_uuid_v7(time);
  const Uuid later = make_uuid_v7(time + 1ms);
  EXPECT_EQ(to_string(earlier).substr(0, 15), "01a1095c-3400-7");
  EXPECT_LT(earlier, later);
}

TEST(Uuid, NoTwoAreAlikeOnAnyThread) {
  constexpr std::size_t kEach = 1'000;
  std::vector<Uuid> made(4 * kEach);
  {
    std::vector<std::jthread> threads;
    for (std::size_t first = 0; first < made.size(); first += kEach) {
      threads.emplace_back([&made, first] {
        for (std::size_t i = 0; i < kEach; ++i) made[first + i] = make_uuid_v4();
      });
    }
  }
  const std::set<Uuid> distinct(made.begin(), made.end());
  EXPECT_EQ(distinct.size(), made.size());
}

TEST(Uuid, ReadsItsOwnTextInAnyCase) {
  const Uuid uuid = make_uuid_v4();
  EXPECT_EQ(parse_uuid(to_string(uuid)), uuid);
  EXPECT_EQ(to_string(*parse_uuid("019D98B6-B000-7000-8000-00000000000A")),
            "019d98b6-b000-7000-8000-00000000000a");
}

TEST(Uuid, RefusesOtherText) {
  for (const char* text :
       {"", "019d98b6b00070008000000000000000", "019d98b6-b000-7000-8000-00000000000",
        "019d98b6-b000-7000-8000-00000000000g", "{019d98b6-b000-7000-8000-00000000000a}",
        "019d98b6xb000-7000-8000-00000000000a"}) {
    EXPECT_EQ(parse_uuid(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace holdfast
