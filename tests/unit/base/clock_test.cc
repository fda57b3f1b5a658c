#include "base/clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast {
namespace {

using namespace std::chrono;

constexpr WallTime kTime = sys_days(2026y / October / 5) + 8h + 1min + 2s + 345678us;

TEST(RisingTimes, FollowTheClockButNeverBackwards) {
  testing::FakeClock clock;
  RisingTimes times(clock);
  EXPECT_EQ(times.next(), clock.now());
  clock.advance(1s);
  const WallTime later = times.next();
  EXPECT_EQ(later, clock.now());
  clock.advance(-1min);
  EXPECT_EQ(times.next(), later);
  times.reach(later + 1s);
  EXPECT_EQ(times.next(), later + 1s);
}

TEST(Rfc3339, WritesSixDecimalsInUtc) {
  EXPECT_EQ(to_rfc3339(kTime), "2026-10-05T08:01:02.345678Z");
  EXPECT_EQ(to_rfc3339(WallTime{}), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(WallTime{} - 1us), "1969-12-31T23:59:59.999999Z");
  const WallTime last = parse_rfc3339("9999-12-31T23:59:59Z").value();
  EXPECT_EQ(to_rfc3339(last), "9999-12-31T23:59:59.000000Z");
  EXPECT_EQ(to_rfc3339(last + 1s), "10000-01-01T00:00:00.000000Z");
}

TEST(Rfc3339, ReadsWhatItWrites) {
  const Result<WallTime> read = parse_rfc3339("2026-10-05T08:01:02.345678Z");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, kTime);
}

TEST(Rfc3339, ReadsOffsetsAndShortFractions) {
  for (const char* text : {"2026-10-05T10:01:02.345678+02:00", "2026-10-05t08:01:02.345678z",
                           "2026-10-05T03:31:02.3456789-04:30"}) {
    const Result<WallTime> read = parse_rfc3339(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(*read, kTime) << text;
  }
  EXPECT_EQ(*parse_rfc3339("2026-10-05T08:01:02.3Z"), kTime - 45678us);
}

TEST(Rfc3339, RefusesWhatIsNotATime) {
  for (const char* text : {"", "2026-10-05", "2026-02-30T00:00:00Z", "2026-10-05T24:00:00Z",
                           "2026-10-05T08:60:00Z", "2026-10-05T08:00:00", "2026-10-05T08:00:00.Z",
                           "2026-10-05T08:00:00Zx", "2026-10-05T08:00:00+2:00", "yesterday"}) {
    EXPECT_FALSE(parse_rfc3339(text).ok()) << text;
  }
  EXPECT_NE(parse_rfc3339("yesterday").error().message.find("'yesterday'"), std::string::npos);
}

TEST(HttpDate, IsTheFixedForm) {
  EXPECT_EQ(to_http_date(kTime), "Mon, 05 Oct 2026 08:01:02 GMT");
}

}  // namespace
}  // namespace holdfast
