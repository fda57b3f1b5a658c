// Hours and days of rules where clocks are put forward or back. Every minute of two days is tried.
#include <gtest/gtest.h>

#include "approval/decide.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::approval {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct DaylightCase {
  const char* name;
  const char* zone;
  const char* rule;  // What the rule has besides its effect.
  struct Span {
    const char* from;
    const char* to;
  };
  std::vector<Span> allowed;  // When it allows, of the day before to the day after.
};

void PrintTo(const DaylightCase& c, std::ostream* out) {
  *out << c.name;
}

std::string daylight_case_name(const testing::TestParamInfo<DaylightCase>& info) {
  return info.param.name;
}

class DaylightSaving : public testing::TestWithParam<DaylightCase> {};

TEST_P(DaylightSaving, HoursAndDaysAreThoseOfTheClockOnTheWall) {
  const DaylightCase& c = GetParam();
  const RuleFiles files;
  const Result<RuleSet> rules =
      files.load(std::string("schema: 1\nrevision: a\ntimezone: ") + c.zone +
                 "\nrules:\n  - { id: r, effect: allow, " + c.rule + " }\n");
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  const auto allows = [&](WallTime now) {
    Facts facts;
    facts.now = now;
    return decide(*rules, facts).effect == Effect::kAllow;
  };
  const auto expected = [&](WallTime now) {
    return std::any_of(c.allowed.begin(), c.allowed.end(), [&](const DaylightCase::Span& span) {
      return now >= at(span.from) && now < at(span.to);
    });
  };
  const WallTime begin = at(c.allowed.empty() ? "2026-03-28T00:00:00Z" : c.allowed.front().from);
  for (WallTime now = begin - hours(20); now < begin + hours(28); now += minutes(1)) {
    EXPECT_EQ(allows(now), expected(now)) << (now - begin) / minutes(1) << " minutes after";
    const WallTime before = now - seconds(1);
    EXPECT_EQ(allows(before), expected(before)) << "a second before that";
  }
}

// Berlin's clocks go from two to three on 29 March 2026 and from three to two on 25 October.
constexpr const char* kInBerlin = "Europe/Berlin";
constexpr const char* kHourItself = "when: { time: { days: [sun], from: '02:00', to: '03:00' } }";
constexpr const char* kFromWithin = "when: { time: { days: [sun], from: '02:30', to: '04:00' } }";
constexpr const char* kToWithin = "when: { time: { days: [sun], from: '01:00', to: '02:30' } }";
constexpr const char* kOverNight = "when: { time: { days: [sat], from: '22:00', to: '02:30' } }";

INSTANTIATE_TEST_SUITE_P(
    Spring, DaylightSaving,
    testing::Values(DaylightCase{"the_hour_that_is_skipped", kInBerlin, kHourItself, {}},
                    DaylightCase{"from_within_it",
                                 kInBerlin,
                                 kFromWithin,
                                 {{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}}},
                    DaylightCase{"to_within_it",
                                 kInBerlin,
                                 kToWithin,
                                 {{"2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"}}},
                    DaylightCase{"over_night_to_within_it",
                                 kInBerlin,
                                 kOverNight,
                                 {{"2026-03-28T21:00:00Z", "2026-03-29T01:00:00Z"}}},
                    DaylightCase{"a_day_of_23_hours",
                                 kInBerlin,
                                 "valid_from: 2026-03-29, valid_to: 2026-03-29",
                                 {{"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}}},
                    // From midnight to one on 10 March 2024.
                    DaylightCase{"from_within_the_first_hour",
                                 "America/Havana",
                                 "when: { time: { days: [sun], from: '00:30', to: '02:00' } }",
                                 {{"2024-03-10T05:00:00Z", "2024-03-10T06:00:00Z"}}},
                    DaylightCase{"a_day_that_begins_at_one",
                                 "America/Havana",
                                 "valid_from: 2024-03-10, valid_to: 2024-03-10",
                                 {{"2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"}}}),
    daylight_case_name);

INSTANTIATE_TEST_SUITE_P(
    Autumn, DaylightSaving,
    testing::Values(DaylightCase{"the_hour_that_comes_twice",
                                 kInBerlin,
                                 kHourItself,
                                 {{"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"}}},
                    DaylightCase{"from_within_it",
                                 kInBerlin,
                                 kFromWithin,
                                 {{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
                                  {"2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"}}},
                    DaylightCase{"to_within_it",
                                 kInBerlin,
                                 kToWithin,
                                 {{"2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"},
                                  {"2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"}}},
                    DaylightCase{"over_night_to_within_it",
                                 kInBerlin,
                                 kOverNight,
                                 {{"2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z"},
                                  {"2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"}}},
                    DaylightCase{"a_day_of_25_hours",
                                 kInBerlin,
                                 "valid_from: 2026-10-25, valid_to: 2026-10-25",
                                 {{"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}}},
                    // From midnight to eleven in the evening of 29 October 2022.
                    DaylightCase{"the_last_hour_of_a_day_twice",
                                 "Asia/Beirut",
                                 "when: { time: { days: [sat], from: '23:00', to: '24:00' } }",
                                 {{"2022-10-29T20:00:00Z", "2022-10-29T22:00:00Z"}}},
                    DaylightCase{"a_day_that_ends_twice",
                                 "Asia/Beirut",
                                 "valid_from: 2022-10-29, valid_to: 2022-10-29",
                                 {{"2022-10-28T21:00:00Z", "2022-10-29T22:00:00Z"}}},
                    // From one to midnight on 3 November 2024.
                    DaylightCase{"a_day_that_begins_twice",
                                 "America/Havana",
                                 "valid_from: 2024-11-03, valid_to: 2024-11-03",
                                 {{"2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"}}}),
    daylight_case_name);

}  // namespace
}  // namespace holdfast::approval
