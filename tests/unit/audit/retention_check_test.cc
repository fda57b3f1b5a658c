#include "audit/retention_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "base/encoding.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kPart = 256;  // Records in a partition.
constexpr const char* kHold = "01890000-0000-7000-8000-0000000000aa";

WallTime time_at(const std::string& text) {
  return *parse_rfc3339(text);
}

EntryFacts record(const json& system, const std::string& time = "2040-01-01T12:00:00Z",
                  WriterRole role = WriterRole::kRetention) {
  return {.kind = Kind::kSystem, .role = role, .time = time_at(time), .system = system.dump()};
}

json policy(const json& floor_s) {
  return {{"event", "retention_policy"}, {"floor_s", floor_s}, {"anchored", true}};
}

// Of the first partition, at the age of a day; with those members changed.
json drop(const std::string& changes = "{}") {
  json document = json::parse(R"({"event":"partition_dropped","first":0,"until":256,
      "ranges":[[0,256]],"newest":"2039-12-31T12:00:00Z","age_s":86400,
      "checkpoint":{"size":600,"root":")" +
                              to_base64(std::string(32, 'r')) + R"("}})");
  document.merge_patch(json::parse(changes));
  return document;
}

constexpr const char* kSecond = R"({"first":256,"until":512,"ranges":[[0,512]]})";

// What the tests add to is a log whose first partition cannot be read.
class RetentionCheckTest : public ::testing::Test {
 protected:
  RetentionCheckTest() { lose(0, kPart); }

  void lose(std::uint64_t first, std::uint64_t until) {
    for (std::uint64_t index = first; index < until; ++index) check_.add_unreadable(index);
  }
  void set_floor(const json& floor_s) { check_.add(300, record(policy(floor_s))); }
  std::vector<std::string> wrong(std::uint64_t index, const EntryFacts& facts) {
    return check_.add(index, facts).wrong;
  }
  void hold_step(std::uint64_t index, const std::string& event, const std::string& time,
                 WriterRole role = WriterRole::kAudit) {
    check_.add(index, record({{"event", event}, {"hold", {{"id", kHold}}}}, time, role));
  }

  RetentionCheck check_{{.partition_records = kPart}};
};

struct Drop {
  const char* name;
  const char* changes;
  const char* what;  // Is wrong; empty: nothing.
};

void PrintTo(const Drop& row, std::ostream* out) {
  *out << row.name;
}

class DropTable : public RetentionCheckTest, public ::testing::WithParamInterface<Drop> {};

TEST_P(DropTable, is_held_against_what_retention_does) {
  set_floor(86'400);
  const Drop& row = GetParam();
  const std::vector<std::string> found = wrong(1'000, record(drop(row.changes)));
  if (*row.what == '\0') {
    EXPECT_THAT(found, IsEmpty());
  } else {
    EXPECT_THAT(found, Contains(HasSubstr(row.what)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    RetentionCheck, DropTable,
    ::testing::Values(
        Drop{"as_retention_writes_it", "{}", ""},
        Drop{"part_of_a_partition", R"({"first":9,"until":11,"ranges":[[9,11]]})",
             "the records 9 to 10 are gone, which are no whole partitions of 256 records"},
        Drop{"from_within_one", R"({"first":1,"ranges":[[1,256]]})", "no whole partitions"},
        Drop{"what_is_yet_to_come", R"({"until":1024,"ranges":[[0,1024]]})",
             "do not all come before it"},
        Drop{"another_than_its_ranges_say", R"({"first":256,"until":512})",
             "its ranges do not add them"},
        Drop{"more_than_it_drops", R"({"ranges":[[0,512]]})",
             "the records 256 to 511 are gone, which no record drops"},
        Drop{"under_the_floor", R"({"age_s":86399})", "86399 s, is under the floor"},
        Drop{"above_the_floor", R"({"age_s":86401})", ""},
        Drop{"as_new_as_clocks_are_apart", R"({"newest":"2039-12-31T13:00:00Z"})", ""},
        Drop{"newer_than_that", R"({"newest":"2039-12-31T13:00:01Z"})", "younger than 86400 s"},
        Drop{"as_new_as_never", R"({"newest":"2099-01-01T00:00:00Z"})", "was younger"},
        Drop{"checkpoint_below", R"({"checkpoint":{"size":255}})", "does not cover them"},
        Drop{"checkpoint_beyond", R"({"checkpoint":{"size":1001}})", "what comes after it"},
        Drop{"no_age", R"({"age_s":null})", "lacks"},
        Drop{"age_of_nothing", R"({"age_s":0})", "lacks"},
        Drop{"age_below_nothing", R"({"age_s":-1})", "lacks"},
        Drop{"age_beyond_reckoning", R"({"age_s":9007199254740991})", "lacks"},
        Drop{"no_newest", R"({"newest":null})", "lacks"},
        Drop{"newest_that_is_none", R"({"newest":"never"})", "lacks"},
        Drop{"no_first", R"({"first":null})", "lacks"},
        Drop{"no_until", R"({"until":null})", "lacks"},
        Drop{"no_ranges", R"({"ranges":null})", "lacks"},
        Drop{"no_checkpoint", R"({"checkpoint":null})", "lacks"},
        Drop{"checkpoint_without_root", R"({"checkpoint":{"root":"AAAA"}})", "lacks"},
        Drop{"checkpoint_without_size", R"({"checkpoint":{"size":null}})", "lacks"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_F(RetentionCheckTest, names_what_went_and_the_checkpoint) {
  const RetentionCheck::Finding finding = check_.add(1'000, record(drop()));
  EXPECT_THAT(finding.wrong, IsEmpty());
  EXPECT_THAT(finding.gone, ElementsAre(IndexRange{.first = 0, .until = kPart}));
  ASSERT_TRUE(finding.checkpoint);
  EXPECT_EQ(finding.checkpoint->size, 600U);
  EXPECT_EQ(bytes_of(finding.checkpoint->root), std::string(32, 'r'));
  // Of what it cannot have dropped, nothing.
  const json part = drop(R"({"first":256,"until":300,"ranges":[[0,300]]})");
  EXPECT_THAT(check_.add(1'001, record(part)).gone, IsEmpty());
  // And nobody else drops.
  for (const WriterRole role : {WriterRole::kProxy, WriterRole::kAudit}) {
    EXPECT_THAT(check_.add(1'002, record(drop(), "2040-01-01T12:00:00Z", role)).gone, IsEmpty());
  }
}

TEST_F(RetentionCheckTest, each_tells_of_all_that_is_gone) {
  set_floor(1);
  ASSERT_THAT(wrong(1'000, record(drop())), IsEmpty());
  const auto next = [&](const std::string& ranges) {
    RetentionCheck copy = check_;
    const json second =
        drop(R"({"first":512,"until":768,"checkpoint":{"size":900},"ranges":)" + ranges + "}");
    return copy.add(2'000, record(second)).wrong;
  };
  EXPECT_THAT(next("[[0,256],[512,768]]"), IsEmpty());
  EXPECT_THAT(next("[[512,768]]"),
              ElementsAre(HasSubstr("no longer says that the records 0 to 255 are gone")));
  EXPECT_THAT(next("[[0,256],[512,1024]]"),
              ElementsAre(HasSubstr("768 to 1023 are gone, which no record drops")));
  EXPECT_THAT(next("[[0,256]]"),
              ElementsAre(HasSubstr("drops the records 512 to 767, but its ranges")));
  // The record that dropped another may be gone itself, where it can have stood.
  lose(1'001, 1'024);
  EXPECT_THAT(next("[[0,256],[512,1024]]"),
              ElementsAre(HasSubstr("768 to 1023 are gone, which no record drops")));
  lose(1'024, 1'025);
  EXPECT_THAT(next("[[0,256],[512,1024]]"), IsEmpty());
}

TEST_F(RetentionCheckTest, a_policy_before_it_allows_it) {
  const auto dropped = [](const json& floor_s, bool readable) {
    RetentionCheck check({.partition_records = kPart});
    if (!readable) check.add_unreadable(400);
    if (!floor_s.is_string()) check.add(300, record(policy(floor_s)));
    return check.add(1'000, record(drop())).wrong;
  };
  const auto none = ElementsAre(HasSubstr("no retention_policy before it sets a floor"));
  EXPECT_THAT(dropped("none", true), none);
  EXPECT_THAT(dropped(nullptr, true), none);
  EXPECT_THAT(dropped(86'401, true), ElementsAre(HasSubstr("is under the floor")));
  EXPECT_THAT(dropped(86'400, true), IsEmpty());
  // What cannot be read may have been a newer one.
  for (const json& floor_s : {json("none"), json(), json(86'401)}) {
    EXPECT_THAT(dropped(floor_s, false), IsEmpty());
  }
}

TEST_F(RetentionCheckTest, of_two_policies_the_newer_one_counts) {
  set_floor(86'401);
  check_.add(301, record(policy(86'400)));
  EXPECT_THAT(wrong(1'000, record(drop())), IsEmpty());
  check_.add(1'001, record(policy(nullptr)));
  EXPECT_THAT(wrong(1'002, record(drop(kSecond))), ElementsAre(HasSubstr("sets a floor")));
}

TEST_F(RetentionCheckTest, nobody_elses_record_is_a_policy) {
  set_floor(86'401);
  check_.add(301, record(policy(1), "2040-01-01T12:00:00Z", WriterRole::kAudit));
  EXPECT_THAT(wrong(1'000, record(drop())), ElementsAre(HasSubstr("is under the floor")));
}

TEST_F(RetentionCheckTest, no_time_is_later_than_the_verifiers) {
  RetentionCheck check({.partition_records = kPart, .now = time_at("2030-01-01T00:00:00Z")});
  check.add_unreadable(0);
  EXPECT_THAT(check.add(1'000, record(drop())).wrong, ElementsAre(HasSubstr("was younger")));
}

TEST_F(RetentionCheckTest, a_hold_that_stands_keeps_the_record_that_placed_it) {
  const auto stands = ElementsAre(HasSubstr("although the legal hold " + std::string(kHold)));
  // Its first record cannot be read, and what follows shows that it was not over with that.
  hold_step(700, "hold_confirmed", "2039-12-31T13:00:01Z");
  EXPECT_THAT(wrong(1'000, record(drop())), stands);
  // Told once.
  EXPECT_THAT(wrong(1'001, record(drop(kSecond))), IsEmpty());
}

TEST_F(RetentionCheckTest, a_hold_that_is_there_keeps_its_partition_only) {
  hold_step(700, "hold_placed", "2039-12-31T13:00:01Z");
  EXPECT_THAT(wrong(1'000, record(drop())), IsEmpty());
  const json its_own = drop(R"({"first":512,"until":768,"ranges":[[0,256],[512,768]],
                                "checkpoint":{"size":900}})");
  EXPECT_THAT(wrong(1'001, record(its_own)), ElementsAre(HasSubstr("the legal hold")));
}

TEST_F(RetentionCheckTest, a_hold_that_may_be_over_keeps_nothing) {
  const auto after = [](auto steps) {
    RetentionCheck check({.partition_records = kPart});
    check.add_unreadable(kPart - 1);
    const auto step = [&check](std::uint64_t index, const std::string& event,
                               const std::string& time, WriterRole role = WriterRole::kAudit) {
      check.add(index, record({{"event", event}, {"hold", {{"id", kHold}}}}, time, role));
    };
    steps(check, step);
    return check.add(1'000, record(drop())).wrong;
  };
  const std::string late = "2040-01-01T00:00:00Z";
  EXPECT_THAT(after([&](auto&, auto step) {
                step(700, "hold_lift_asked", late);
                step(701, "hold_lifted", late);
              }),
              IsEmpty());
  // Its end may be among what cannot be read: after the step,
  EXPECT_THAT(after([&](auto& check, auto step) {
                step(700, "hold_lift_asked", late);
                check.add_unreadable(702);
              }),
              IsEmpty());
  // or just before one that came too late.
  EXPECT_THAT(after([&](auto&, auto step) { step(700, "hold_confirmed", "2039-12-31T13:00:00Z"); }),
              IsEmpty());
  EXPECT_THAT(
      after([&](auto&, auto step) { step(700, "hold_confirmed", late, WriterRole::kProxy); }),
      IsEmpty());
}

}  // namespace
}  // namespace holdfast::audit
