// Who may approve and when an approval is complete: each person counts for one stage, the one where
// they are needed, in whatever order they come.
#include "approval/approval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "tests/support/fake_approvals.h"

namespace holdfast::approval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Seats = std::vector<std::optional<std::size_t>>;

ApprovalStage stage(const std::string& from, int count = 1) {
  return {.from = from, .group = "group-of-" + from, .count = count};
}

// An approval and the people who decide on it, each step judged on what those before have made of
// it.
class Filed {
 public:
  explicit Filed(std::vector<ApprovalStage> stages)
      : now_(approvals_.add(
            filing(make_uuid_v4(), Binding(), {.name = "app", .accounts = {"t/app"}, .names = {}},
                   {.stages = std::move(stages)}),
            ApprovalState::kPending)) {}

  // What the person's record says; it is appended.
  Result<nlohmann::json> approve(const std::string& name, std::vector<std::string> groups) {
    const Approver approver{.person = {.name = name, .accounts = {"t/" + name}, .names = {}},
                            .groups = std::move(groups),
                            .may_approve = true};
    Result<nlohmann::json> content =
        approval::approve(now_, approver, TokenApprovals::kRefused, "");
    if (content.ok()) take(*content);
    return content;
  }
  std::string why_not(const std::string& name, std::vector<std::string> groups) {
    const Result<nlohmann::json> content = approve(name, std::move(groups));
    return content.ok() ? "" : content.error().message;
  }

  // As if that record were in the log.
  void take(const nlohmann::json& content) {
    nlohmann::json document = now_.document;
    const int step = document.at("step").get<int>() + 1;
    document["step"] = step;
    document["state"] = content.at("state");
    document["history"].push_back({{"step", step},
                                   {"name", "approve"},
                                   {"state", content.at("state")},
                                   {"at", "2026-10-05T09:00:00.000000Z"},
                                   {"record", to_string(make_uuid_v4())},
                                   {"content", content}});
    now_ = *read_approval(std::move(document));
  }

  const Approval& now() const { return now_; }
  std::string state() const { return std::string(to_string(now_.state)); }
  // How many count for each stage.
  std::vector<std::size_t> counts() const {
    std::vector<std::size_t> counts;
    for (std::size_t i = 0; i < now_.stages.size(); ++i) counts.push_back(consents_of(now_, i));
    return counts;
  }

 private:
  FakeApprovals approvals_;
  Approval now_;
};

TEST(Approve, who_belongs_to_two_stages_counts_for_the_one_that_lacks_somebody) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> people = {
      {"x", {"compliance", "legal"}}, {"y", {"compliance"}}};
  for (const bool both_first : {true, false}) {
    SCOPED_TRACE(both_first);
    Filed filed({stage("compliance"), stage("legal")});
    const auto& [first, its_groups] = people[both_first ? 0 : 1];
    const auto& [last, other_groups] = people[both_first ? 1 : 0];
    ASSERT_TRUE(filed.approve(first, its_groups).ok());
    EXPECT_EQ(filed.state(), "PENDING");
    EXPECT_THAT(filed.counts(), ElementsAre(1, 0));
    const Result<nlohmann::json> record = filed.approve(last, other_groups);
    ASSERT_TRUE(record.ok()) << record.error().message;
    EXPECT_EQ(filed.state(), "APPROVED");
    EXPECT_THAT(filed.counts(), ElementsAre(1, 1));
    for (const Consent& consent : filed.now().consents) {
      EXPECT_EQ(consent.stage, consent.person.name == "x" ? 1U : 0U);
    }
  }
}

TEST(Approve, a_record_says_all_stages_that_the_person_may_count_for_and_the_one_they_do) {
  Filed filed({stage("compliance"), stage("finance"), stage("legal", 2)});
  const nlohmann::json first = *filed.approve("x", {"legal", "compliance"});
  EXPECT_EQ(first["stage"], 0);
  EXPECT_EQ(first["stages"], nlohmann::json::array({0, 2}));
  // By object id, in whatever case.
  const nlohmann::json second = *filed.approve("y", {"GROUP-OF-legal"});
  EXPECT_EQ(second["stage"], 2);
  EXPECT_EQ(second["stages"], nlohmann::json::array({2}));
}

TEST(Approve, several_people_move_to_make_room_for_one) {
  Filed filed({stage("a"), stage("b"), stage("c")});
  ASSERT_TRUE(filed.approve("x", {"a", "b"}).ok());
  ASSERT_TRUE(filed.approve("y", {"b", "c"}).ok());
  EXPECT_THAT(filed.counts(), ElementsAre(1, 1, 0));
  const nlohmann::json last = *filed.approve("z", {"a"});
  EXPECT_EQ(last["state"], "APPROVED");
  EXPECT_EQ(last["stage"], 0);
  EXPECT_THAT(filed.counts(), ElementsAre(1, 1, 1));
  EXPECT_EQ(filed.now().consents[0].stage, 1U);
  EXPECT_EQ(filed.now().consents[1].stage, 2U);
}

TEST(Approve, who_fills_no_place_is_told_whose_are_left) {
  Filed filed({stage("compliance"), stage("finance"), stage("legal")});
  ASSERT_TRUE(filed.approve("w", {"finance"}).ok());
  EXPECT_EQ(filed.why_not("v", {"finance", "sales"}),
            "You can't approve this because it still needs compliance or legal to approve, and you "
            "are not one of them.");
  // Of either of them: then x counts for the other.
  ASSERT_TRUE(filed.approve("x", {"compliance", "legal"}).ok());
  EXPECT_THAT(filed.why_not("v", {"finance"}), HasSubstr("it still needs compliance or legal to"));
  ASSERT_TRUE(filed.approve("y", {"compliance"}).ok());
  EXPECT_EQ(filed.state(), "APPROVED");
}

TEST(Approve, a_full_stage_takes_nobody_whom_no_move_lets_in) {
  Filed filed({stage("compliance"), stage("legal", 2)});
  ASSERT_TRUE(filed.approve("x", {"compliance", "legal"}).ok());
  ASSERT_TRUE(filed.approve("y", {"compliance"}).ok());
  EXPECT_THAT(filed.why_not("z", {"compliance"}), HasSubstr("it still needs legal to approve"));
  EXPECT_THAT(filed.why_not("x", {"legal"}), HasSubstr("you have approved it already"));
  EXPECT_THAT(filed.why_not("app", {"legal"}), HasSubstr("you asked for it yourself"));
  EXPECT_EQ(filed.state(), "PENDING");
  ASSERT_TRUE(filed.approve("w", {"legal"}).ok());
  EXPECT_EQ(filed.state(), "APPROVED");
  EXPECT_THAT(filed.counts(), ElementsAre(1, 2));
}

TEST(Approve, anybody_fills_the_place_of_a_rule_that_names_nobody) {
  Filed filed(std::vector{ApprovalStage()});
  const nlohmann::json content = *filed.approve("x", {});
  EXPECT_EQ(content["state"], "APPROVED");
  EXPECT_EQ(content["stages"], nlohmann::json::array({0}));
}

TEST(Approve, records_without_stages_count_for_the_one_they_name) {
  Filed filed({stage("compliance"), stage("legal")});
  nlohmann::json old = *filed.approve("x", {"compliance", "legal"});
  old.erase("stages");
  Filed older({stage("compliance"), stage("legal")});
  older.take(old);
  EXPECT_THAT(older.counts(), ElementsAre(1, 0));
  EXPECT_THAT(older.why_not("y", {"compliance"}), HasSubstr("it still needs legal to approve"));
  ASSERT_TRUE(older.approve("z", {"legal"}).ok());
  EXPECT_EQ(older.state(), "APPROVED");
}

// Nobody is counted who fills no place, whatever the log has of them.
TEST(Approve, who_is_not_needed_is_counted_for_no_stage) {
  Filed filed({stage("compliance"), stage("legal")});
  nlohmann::json one = *filed.approve("x", {"compliance"});
  one["by"]["accounts"] = nlohmann::json::array({"t/w"});
  one["stages"] = nlohmann::json::array({0, 7});
  filed.take(one);
  EXPECT_THAT(filed.counts(), ElementsAre(1, 0));
  EXPECT_FALSE(filed.now().consents[1].stage.has_value());
}

TEST(StagePlaces, the_first_free_place_is_taken_before_anybody_moves) {
  EXPECT_EQ(fill_places({1, 1, 1}, {{1, 2}, {1, 2}}), (Seats{1, 2}));
  EXPECT_EQ(fill_places({1, 1}, {{0}, {0}, {0, 1}}), (Seats{0, std::nullopt, 1}));
  EXPECT_EQ(fill_places({}, {{0}}), Seats(1));
}

// By König, the most places that can be filled are the fewest of: places outside of some stages,
// and people who may count for one of them.
std::size_t fillable(const std::vector<std::size_t>& places,
                     const std::vector<StageIndexes>& people) {
  std::size_t fewest = people.size();
  for (std::size_t some = 0; some < std::size_t{1} << places.size(); ++some) {
    const auto among = [some](std::size_t stage) { return (some >> stage & 1U) != 0; };
    std::size_t most = 0;
    for (std::size_t i = 0; i < places.size(); ++i) most += among(i) ? 0 : places[i];
    for (const StageIndexes& stages : people) most += std::ranges::any_of(stages, among) ? 1 : 0;
    fewest = std::min(fewest, most);
  }
  return fewest;
}

RC_GTEST_PROP(StagePlaces, AsManyAreFilledAsCanBe, ()) {
  std::vector<std::size_t> places;
  for (int i = *rc::gen::inRange(1, 6); i > 0; --i) {
    places.push_back(*rc::gen::inRange<std::size_t>(1, 4));
  }
  std::vector<StageIndexes> people;
  for (int i = *rc::gen::inRange(0, 9); i > 0; --i) {
    StageIndexes& stages = people.emplace_back();
    for (std::size_t index = 0; index < places.size(); ++index) {
      if (*rc::gen::inRange(0, 3) == 0) stages.push_back(index);
    }
  }
  const Seats seats = fill_places(places, people);
  RC_ASSERT(seats.size() == people.size());
  std::vector<std::size_t> left = places;
  std::size_t filled = 0;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    // With each person as many places are filled as can be, so who changes nothing is left out.
    const std::vector<StageIndexes> until(people.begin(),
                                          people.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    filled += seats[i] ? 1 : 0;
    RC_ASSERT(filled == fillable(places, until));
    if (!seats[i]) continue;
    RC_ASSERT(std::ranges::count(people[i], *seats[i]) == 1);
    RC_ASSERT(left[*seats[i]] > 0);
    --left[*seats[i]];
  }
}

}  // namespace
}  // namespace holdfast::approval
