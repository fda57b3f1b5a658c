#include "audit/entry.h"

#include <gtest/gtest.h>

#include <ostream>

#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

const Writer kWriter{.id = *parse_uuid("10000000-0000-4000-8000-000000000001"),
                     .role = WriterRole::kProxy};
const Uuid kId = *parse_uuid("0192f0c1-0000-7000-8000-000000000001");
const Uuid kOperation = *parse_uuid("0192f0c1-0000-7000-8000-000000000002");

WallTime at(std::string_view text) {
  return *parse_rfc3339(text);
}

TEST(Entry, is_canonical_json_with_the_writers_role_last) {
  Result<Entry> entry = make_entry(
      {.kind = Kind::kIntent, .operation_id = kOperation, .content = {{"request", {{"b", 1}}}}},
      kId, kWriter);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  entry->set_time(at("2026-10-05T08:00:00.25Z"));
  EXPECT_EQ(entry->bytes,
            R"({"id":"0192f0c1-0000-7000-8000-000000000001","kind":"intent",)"
            R"("operation_id":"0192f0c1-0000-7000-8000-000000000002","request":{"b":1},)"
            R"("time":"2026-10-05T08:00:00.250000Z","v":1,)"
            R"("writer":{"id":"10000000-0000-4000-8000-000000000001","role":"proxy"}})");
  EXPECT_EQ(*canonical_json(*parse_json(entry->bytes)), entry->bytes);
}

TEST(Entry, time_inside_the_content_is_left_alone) {
  const json content = {{"system", {{"time", "0000-00-00T00:00:00.000000Z"}}}};
  Result<Entry> entry = make_entry({.kind = Kind::kSystem, .content = content}, kId, kWriter);
  ASSERT_TRUE(entry.ok());
  entry->set_time(at("2026-10-05T08:00:00Z"));
  const json parsed = *parse_json(entry->bytes);
  EXPECT_EQ(parsed["system"], content["system"]);
  EXPECT_EQ(parsed["time"], "2026-10-05T08:00:00.000000Z");
  EXPECT_FALSE(parsed.contains("operation_id"));
}

TEST(Entry, size_is_limited) {
  Record record{.kind = Kind::kSystem, .content = {{"system", ""}}};
  const std::size_t rest = make_entry(record, kId, kWriter)->bytes.size();
  record.content["system"] = std::string(kEntryBytesMax - rest, 'x');
  EXPECT_TRUE(make_entry(record, kId, kWriter).ok());
  record.content["system"] = std::string(kEntryBytesMax - rest + 1, 'x');
  EXPECT_EQ(make_entry(record, kId, kWriter).error().code, ErrorCode::kLimit);
}

struct BadContent {
  const char* name;
  json content;
};

void PrintTo(const BadContent& row, std::ostream* out) {
  *out << row.name;
}

class BadContentTest : public ::testing::TestWithParam<BadContent> {};

TEST_P(BadContentTest, is_refused) {
  const Result<Entry> entry = make_entry({.content = GetParam().content}, kId, kWriter);
  ASSERT_FALSE(entry.ok());
  EXPECT_EQ(entry.error().code, ErrorCode::kInvalid);
}

INSTANTIATE_TEST_SUITE_P(All, BadContentTest,
                         ::testing::Values(BadContent{"array", json::array()},
                                           BadContent{"kind", {{"kind", "approval"}}},
                                           BadContent{"time", {{"time", "now"}}},
                                           BadContent{"after_writer", {{"zzz", 1}}},
                                           BadContent{"float", {{"system", 1.5}}},
                                           BadContent{"not_utf8", {{"system", "\xff"}}}),
                         [](const auto& row) { return row.param.name; });

TEST(Entry, reads_back_what_it_wrote) {
  const Record record{.kind = Kind::kOutcome,
                      .operation_id = kOperation,
                      .content = {{"outcome", {{"result", "executed"}}}}};
  const Entry made = *make_entry(record, kId, kWriter);
  const Result<Entry> read = read_spooled(made.bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, kId);
  EXPECT_EQ(read->kind, Kind::kOutcome);
  EXPECT_EQ(read->operation_id, kOperation);
  EXPECT_EQ(content_of(*read), record.content);
  EXPECT_FALSE(read_spooled("{}").ok());
  EXPECT_FALSE(read_spooled("[").ok());
}

TEST(Entry, late_results_become_what_reconciliation_can_say) {
  const auto result_for = [](const char* reported) {
    const Record late = late_outcome(kOperation, {{"outcome", {{"result", reported}}}});
    EXPECT_EQ(late.kind, Kind::kReconciliation);
    EXPECT_EQ(late.content["outcome"]["reported"], reported);
    return late.content["outcome"]["result"].get<std::string>();
  };
  EXPECT_EQ(result_for("executed"), "executed");
  EXPECT_EQ(result_for("refused"), "not_executed");
  EXPECT_EQ(result_for("not_sent"), "not_executed");
  EXPECT_EQ(result_for("unknown"), "indeterminate");
}

TEST(Entry, settled_outcome_ends_the_claim_that_its_intent_names) {
  const std::string code = to_string(make_uuid_v4());
  const Record settled = settled_outcome(
      Uuid{}, {{"approval", {{"code", code}, {"state", "CLAIMED"}}}}, CallResult::kUnknown, "why");
  EXPECT_EQ(settled.approval_step, ApprovalStep::kEnd);
  EXPECT_EQ(settled.content["approval"], json({{"code", code}, {"state", "UNKNOWN"}}));
  for (const json& approval :
       {json("x"), json({{"code", "}"}}), json({{"code", 1}}), json({{"a", "b"}})}) {
    const Record other =
        settled_outcome(Uuid{}, {{"approval", approval}}, CallResult::kUnknown, "why");
    EXPECT_EQ(other.approval_step, ApprovalStep::kNone);
    EXPECT_FALSE(other.content.contains("approval"));
  }
}

TEST(Entry, settled_outcome_repeats_the_call_and_nothing_else) {
  const Record settled = settled_outcome(
      kOperation, {{"actor", 1}, {"decision", 2}, {"request", 3}}, CallResult::kUnknown, "why");
  EXPECT_EQ(settled.content, json({{"actor", 1},
                                   {"request", 3},
                                   {"outcome", {{"result", "unknown"}, {"reason", "why"}}}}));
}

TEST(Entry, an_intent_that_cannot_be_repeated_is_ended_all_the_same) {
  const std::string large(kEntryBytesMax, 'x');
  for (const std::string& bytes :
       {std::string("no JSON"), std::string(R"({"request":{"a":"\u0000"}})"),
        R"({"request":")" + large + R"("})", std::string(R"({"sealed":1,"request":2})"),
        std::string(R"({"approval":"x"})"), std::string(R"({"approval":{"code":1}})")}) {
    const Entry intent{.operation_id = kOperation, .bytes = bytes};
    const Result<Entry> ended = make_settled(intent, CallResult::kUnknown, "why", Uuid{}, Writer{});
    ASSERT_TRUE(ended.ok()) << bytes.substr(0, 40) << ": " << ended.error().message;
    EXPECT_EQ(ended->operation_id, kOperation);
    EXPECT_EQ(ended->approval_step, ApprovalStep::kNone);
    EXPECT_EQ(content_of(*ended)["outcome"], json({{"result", "unknown"}, {"reason", "why"}}));
    EXPECT_EQ(ended->bytes.find("u0000"), std::string::npos);
  }
}

TEST(WriterRole, each_writes_its_own_kinds) {
  EXPECT_TRUE(may_write(WriterRole::kProxy, Kind::kIntent));
  EXPECT_FALSE(may_write(WriterRole::kProxy, Kind::kApproval));
  EXPECT_FALSE(may_write(WriterRole::kProxy, Kind::kAccess));
  EXPECT_FALSE(may_write(WriterRole::kAudit, Kind::kIntent));
  EXPECT_FALSE(may_write(WriterRole::kAudit, Kind::kDecision));
  EXPECT_TRUE(may_write(WriterRole::kAudit, Kind::kAccess));
}

}  // namespace
}  // namespace holdfast::audit
