#include "audit/entry_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

namespace holdfast::audit {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kOutcome =
    R"({"approval":{"code":"0b0e7a52-9f51-4b6e-8f0c-3f6d0d7c2a11","state":"APPROVED"},)"
    R"("id":"01890000-0000-7000-8000-000000000001","kind":"outcome",)"
    R"("operation_id":"01890000-0000-7000-8000-000000000002",)"
    R"("outcome":{"result":"refused","status":429},"time":"2026-10-05T08:00:00.000001Z","v":1,)"
    R"("writer":{"id":"01890000-0000-4000-8000-000000000003","role":"proxy"}})";

TEST(EntryFacts, reads_what_grammar_needs) {
  const Result<EntryFacts> facts = read_facts(kOutcome);
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_EQ(facts->kind, Kind::kOutcome);
  EXPECT_EQ(facts->role, WriterRole::kProxy);
  EXPECT_EQ(to_string(facts->id), "01890000-0000-7000-8000-000000000001");
  EXPECT_EQ(to_string(facts->operation_id), "01890000-0000-7000-8000-000000000002");
  EXPECT_EQ(to_string(facts->writer), "01890000-0000-4000-8000-000000000003");
  EXPECT_EQ(to_rfc3339(facts->time), "2026-10-05T08:00:00.000001Z");
  EXPECT_EQ(facts->result, CallResult::kRefused);
  EXPECT_EQ(facts->status, 429);
  EXPECT_EQ(to_string(facts->approval), "0b0e7a52-9f51-4b6e-8f0c-3f6d0d7c2a11");
  EXPECT_EQ(facts->approval_state, ApprovalState::kApproved);
}

TEST(EntryFacts, reads_what_make_entry_writes) {
  for (const Kind kind : {Kind::kIntent, Kind::kDecision, Kind::kAccess, Kind::kRules}) {
    const Uuid operation = make_uuid_v7(WallTime());
    Result<Entry> entry = make_entry({.kind = kind, .operation_id = operation}, make_uuid_v7({}),
                                     {.id = make_uuid_v4(), .role = WriterRole::kAudit});
    ASSERT_TRUE(entry.ok());
    entry->set_time(WallTime(std::chrono::microseconds(1'759'651'200'123'456)));
    const Result<EntryFacts> facts = read_facts(entry->bytes);
    ASSERT_TRUE(facts.ok()) << facts.error().message;
    EXPECT_EQ(facts->kind, kind);
    EXPECT_EQ(facts->operation_id, operation);
    EXPECT_EQ(facts->id, entry->id);
    EXPECT_EQ(facts->time, WallTime(std::chrono::microseconds(1'759'651'200'123'456)));
  }
}

TEST(EntryFacts, reads_which_approval_a_call_goes_past) {
  const auto facts_with = [](const std::string& overrides) {
    return read_facts(R"({"id":"01890000-0000-7000-8000-000000000001","kind":"intent",)"
                      R"("operation_id":"01890000-0000-7000-8000-000000000002",)"
                      R"("review":{"code":"0b0e7a52-9f51-4b6e-8f0c-3f6d0d7c2a11")" +
                      overrides +
                      R"(},"time":"2026-10-05T08:00:00.000001Z","v":1,)"
                      R"("writer":{"id":"01890000-0000-4000-8000-000000000003","role":"proxy"}})");
  };
  const Result<EntryFacts> past =
      facts_with(R"(,"overrides":{"code":"01890000-0000-4000-8000-000000000004","step":2})");
  ASSERT_TRUE(past.ok()) << past.error().message;
  EXPECT_EQ(to_string(past->overrides), "01890000-0000-4000-8000-000000000004");
  EXPECT_EQ(to_string(past->step_of), "0b0e7a52-9f51-4b6e-8f0c-3f6d0d7c2a11");
  const Result<EntryFacts> none = facts_with("");
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_EQ(none->overrides, Uuid{});
  for (const char* unclear : {R"(,"overrides":{"step":2})", R"(,"overrides":{"code":"x"})",
                              R"(,"overrides":"01890000-0000-4000-8000-000000000004")"}) {
    const Result<EntryFacts> facts = facts_with(unclear);
    ASSERT_FALSE(facts.ok()) << unclear;
    EXPECT_THAT(facts.error().message, HasSubstr("no review.overrides.code"));
  }
}

TEST(EntryFacts, what_has_members_by_the_format_is_an_object) {
  for (const std::string name : {"access", "actor", "approval", "decision", "operation", "outcome",
                                 "preimage", "request", "review", "rules", "system"}) {
    const auto facts_with = [&](const std::string& value) {
      const std::string member = "\"" + name + "\":" + value + ",";
      const bool first = name < "id";
      const bool last = name > "kind";
      return read_facts(
          "{" + (first ? member : "") + R"("id":"01890000-0000-7000-8000-000000000001",)" +
          R"("kind":"system",)" + (last && name < "time" ? member : "") +
          R"("time":"2026-10-05T08:00:00.000001Z","v":1,)" +
          R"("writer":{"id":"01890000-0000-4000-8000-000000000003","role":"retention"}})");
    };
    EXPECT_TRUE(facts_with("{}").ok()) << name;
    for (const char* other : {"\"x\"", "[]", "1", "null", "true"}) {
      const Result<EntryFacts> facts = facts_with(other);
      ASSERT_FALSE(facts.ok()) << name << " " << other;
      EXPECT_THAT(facts.error().message, HasSubstr("has no " + name + ", or not as it must be"));
    }
  }
}

// Which approval or review a record takes a step of, if any.
struct Step {
  const char* name;
  std::string kind;
  std::string members;
  std::string of;
};

void PrintTo(const Step& row, std::ostream* out) {
  *out << row.name;
}

class StepTable : public ::testing::TestWithParam<Step> {};

constexpr const char* kCode = "0b0e7a52-9f51-4b6e-8f0c-3f6d0d7c2a11";
constexpr const char* kNone = "00000000-0000-0000-0000-000000000000";

TEST_P(StepTable, is_told_from_what_only_says_where_it_stands) {
  const Step& step = GetParam();
  std::string members = step.members;
  for (std::size_t at = 0; (at = members.find("CODE")) != std::string::npos;) {
    members.replace(at, 4, "\"" + std::string(kCode) + "\"");
  }
  const auto part = [&](const std::string& name) {
    return members.starts_with("\"" + name) ? members + "," : std::string();
  };
  const std::string entry =
      "{" + part("approval") + R"("id":"01890000-0000-7000-8000-000000000001","kind":")" +
      step.kind + R"(","operation_id":"01890000-0000-7000-8000-000000000002",)" +
      (step.kind == "outcome" ? R"("outcome":{"result":"executed"},)" : "") + part("review") +
      R"("time":"2026-10-05T08:00:00.000001Z","v":1,)"
      R"("writer":{"id":"01890000-0000-4000-8000-000000000003","role":"proxy"}})";
  const Result<EntryFacts> facts = read_facts(entry);
  ASSERT_TRUE(facts.ok()) << facts.error().message << entry;
  EXPECT_EQ(to_string(facts->step_of), step.of);
}

INSTANTIATE_TEST_SUITE_P(
    EntryFacts, StepTable,
    ::testing::Values(
        Step{"files", "decision", R"("approval":{"code":CODE,"stages":[],"state":"PENDING"})",
             kCode},
        Step{"invalidates", "decision", R"("approval":{"code":CODE,"reason":"x"})", kCode},
        Step{"cancels", "decision", R"("approval":{"code":CODE,"step":2})", kCode},
        Step{"mentions", "decision", R"("approval":{"code":CODE,"state":"CANCELLED"})", kNone},
        Step{"mentions_nothing", "decision", R"("approval":{"reason":"x"})", kNone},
        Step{"claims", "intent", R"("approval":{"code":CODE,"state":"CLAIMED"})", kCode},
        Step{"opens_a_review", "intent", R"("review":{"code":CODE})", kCode},
        Step{"is_an_officers", "approval", R"("approval":{"code":CODE,"state":"EXPIRED"})", kCode},
        Step{"closes_a_review", "approval", R"("review":{"code":CODE})", kCode},
        Step{"ends_a_claim", "outcome", R"("approval":{"code":CODE,"stages":[]})", kNone},
        Step{"says_nothing", "intent", "", kNone}),
    [](const auto& row) { return std::string(row.param.name); });

struct Change {
  const char* name;
  std::string from;
  std::string to;
  std::string why;
};

void PrintTo(const Change& row, std::ostream* out) {
  *out << row.name;
}

class EntryFactsTable : public ::testing::TestWithParam<Change> {};

TEST_P(EntryFactsTable, is_refused) {
  const Change& change = GetParam();
  std::string entry(kOutcome);
  const std::size_t at = entry.find(change.from);
  ASSERT_NE(at, std::string::npos);
  entry.replace(at, change.from.size(), change.to);
  const Result<EntryFacts> facts = read_facts(entry);
  ASSERT_FALSE(facts.ok());
  EXPECT_THAT(facts.error().message, HasSubstr(change.why));
}

INSTANTIATE_TEST_SUITE_P(
    EntryFacts, EntryFactsTable,
    ::testing::Values(
        Change{"not_canonical", "\"v\":1", "\"v\": 1", "canonical"},
        Change{"other_version", "\"v\":1", "\"v\":2", "no v,"},
        Change{"no_version", ",\"v\":1", "", "no v,"},
        Change{"unknown_kind", "\"outcome\",", "\"outcame\",", "no kind,"},
        Change{"id_in_capitals", "01890000-0000-7000-8000-000000000001",
               "01890000-0000-7000-8000-00000000000A", "no id,"},
        Change{"short_id", "01890000-0000-7000-8000-000000000001", "01890000", "no id,"},
        Change{"id_without_hyphens", "01890000-0000-7000-8000-000000000001",
               "018900000000070000800000000000000001", "no id,"},
        Change{"time_with_offset", "08:00:00.000001Z", "08:00:00.00+00:0", "no time,"},
        Change{"no_such_day", "2026-10-05", "2026-02-30", "no time,"},
        Change{"no_such_hour", "T08", "T24", "no time,"},
        Change{"writer_of_no_role", "\"proxy\"", "\"owner\"", "writer.role"},
        Change{"writer_without_id", "\"writer\":{\"id\"", "\"writer\":{\"ie\"", "writer.id"},
        Change{"member_behind_writer", "\"role\":\"proxy\"}}", "\"role\":\"proxy\"},\"x\":1}",
               "writer as its last"},
        Change{"operation_that_is_none", "\"operation_id\":\"0", "\"operation_id\":\"x",
               "operation_id"},
        Change{"call_without_operation",
               "\"operation_id\":\"01890000-0000-7000-8000-000000000002\",", "", "operation_id"},
        Change{"outcome_without_result", "\"result\":\"refused\"", "\"result\":\"gone\"",
               "outcome.result"}),
    [](const auto& row) { return row.param.name; });

TEST(EntryFacts, a_decision_may_quote_any_code) {
  std::string decision(kOutcome);
  decision.replace(decision.find("\"outcome\","), 10, "\"decision\",");
  decision.replace(decision.find("0b0e7a52"), 8, "whatever");
  EXPECT_TRUE(read_facts(decision).ok());
  decision.replace(decision.find("\"decision\","), 11, "\"approval\",");
  ASSERT_FALSE(read_facts(decision).ok());
  EXPECT_THAT(read_facts(decision).error().message, HasSubstr("approval.code"));
}

}  // namespace
}  // namespace holdfast::audit
