#include "audit/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/verify_checkpoints.h"
#include "base/encoding.h"
#include "tests/support/fake_log.h"

namespace holdfast::audit {

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << (fault.index ? std::to_string(*fault.index) : "-") << " to " << fault.last << ": "
       << fault.what << "\n";
}

namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeLog;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Property;

// The fault that the list begins with is at that record, or among those, and says that.
auto fault(std::uint64_t first, std::uint64_t last, const std::string& what) {
  return AllOf(Field("index", &Fault::index, first), Field("last", &Fault::last, last),
               Field("what", &Fault::what, HasSubstr(what)));
}
auto fault(std::uint64_t index, const std::string& what) {
  return fault(index, index, what);
}

std::vector<Fault> faults_of(const VerifyPlan& plan) {
  const Result<LogReport> report = verify_log(plan);
  EXPECT_TRUE(report.ok()) << report.error().message;
  return report.ok() ? report->faults.list() : std::vector<Fault>();
}
std::vector<Fault> faults_of(const FakeLog& log) {
  return faults_of(log.plan());
}

TEST(Verify, logs_of_many_sizes_are_in_order) {
  for (const int calls : {0, 1, 60, 127, 128, 129, 300, 2'048, 2'100}) {
    FakeLog log;
    log.add_calls(calls);
    log.add_intent();
    const Result<LogReport> report = verify_log(log.plan());
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_THAT(report->faults.list(), ElementsAre()) << calls;
    EXPECT_EQ(report->entries, log.size());
    EXPECT_EQ(report->roots_agreed, 1U);
    EXPECT_EQ(report->root, log.head().root);
    EXPECT_EQ(report->intents, static_cast<std::uint64_t>(calls) + 1);
    EXPECT_EQ(report->outcomes, static_cast<std::uint64_t>(calls));
    ASSERT_EQ(report->open.size(), 1U);
    EXPECT_EQ(report->open.front().intent_index, log.size() - 1);
  }
  FakeLog nothing;
  EXPECT_THAT(faults_of(nothing), ElementsAre());
}

TEST(Verify, three_levels_of_tiles) {
  FakeLog log;
  log.add_calls(33'000);
  EXPECT_THAT(faults_of(log), ElementsAre());
  log.change_tile({.level = 2, .index = 0, .width = 1}, std::string(32, 'x'));
  EXPECT_THAT(faults_of(log), ElementsAre(fault(0, 65'535, "tile 2/000 holds another hash")));
}

TEST(Verify, a_changed_entry_is_named_exactly) {
  for (const std::uint64_t index : {0U, 7U, 255U, 256U, 511U, 599U}) {
    FakeLog log;
    log.add_calls(300);
    std::string entry = log.entry(index);
    entry[entry.find("\"time\"") + 20] ^= 1;
    log.change_entry(index, entry);
    EXPECT_THAT(faults_of(log), ElementsAre(fault(index, "not the one that the tree holds")));
  }
}

TEST(Verify, an_entry_that_is_none) {
  FakeLog log;
  log.add_calls(1);
  log.add_bytes("{}");
  log.add_calls(1);
  EXPECT_THAT(faults_of(log), ElementsAre(fault(2, "the entry has no v")));
}

TEST(Verify, a_missing_entry) {
  FakeLog log;
  log.add_calls(300);
  log.lose_entry(300);
  log.lose_entry(301);
  const std::string missing = "does not hold this record";
  EXPECT_THAT(faults_of(log), ElementsAre(fault(300, missing), fault(301, missing)));
}

// A size is easily said: nobody could walk up to these.
TEST(Verify, a_log_that_is_said_to_be_endless_is_read_to_where_it_ends) {
  FakeLog log;
  log.add_calls(300);
  for (const std::uint64_t said : {std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    VerifyPlan plan = log.plan();
    plan.entries = plan.tree_size = said;
    plan.roots.push_back({.head = {.size = said, .root = {}}, .from = "the forgery"});
    const Result<LogReport> report = verify_log(plan);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->entries, 600U);
    EXPECT_EQ(report->roots_agreed, 1U);
    EXPECT_FALSE(report->root.has_value());
    EXPECT_THAT(report->faults.list(),
                AllOf(Contains(fault(600, "neither records nor hashes")),
                      Contains(fault(600,
                                     "the log ends here, with 600 records, but the forgery "
                                     "was signed over " +
                                         std::to_string(said) + " records"))));
  }
}

TEST(Verify, what_comes_behind_a_hole_in_a_copy_is_read) {
  FakeLog log;
  log.add_calls(2'100);
  for (std::uint64_t tile = 1; tile < 16; ++tile) {
    log.change_tile({.level = 0, .index = tile}, std::nullopt);
    log.lose_entries_of(tile);
  }
  const Result<LogReport> report = verify_log(log.plan());
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->entries, 4'200U - 15 * 256);
  EXPECT_EQ(report->root.has_value(), true);
}

TEST(Verify, entries_that_are_missing_apart_are_named_alone) {
  FakeLog log;
  log.add_calls(300);
  for (const std::uint64_t index : {3U, 9U, 301U}) log.lose_entry(index);
  const std::string missing = "does not hold this record";
  EXPECT_THAT(faults_of(log),
              ElementsAre(fault(3, missing), fault(9, missing), fault(301, missing)));
}

TEST(Verify, entries_that_cannot_be_read_are_named_once) {
  FakeLog log;
  log.add_calls(300);
  log.lose_entries_of(0);
  log.lose_entry(256);
  log.lose_entry(257);
  const std::string missing = "does not hold this record";
  EXPECT_THAT(faults_of(log), ElementsAre(fault(0, "the entries from here on: no such file"),
                                          fault(256, missing), fault(257, missing)));
}

std::string root_of(const FakeLog& log) {
  return to_base64(bytes_of(log.head().root));
}

// A drop of `dropped`, after which `ranges` are gone, as retention records it: under a checkpoint
// with that root over all that is there.
void add_drop(FakeLog& log, WriterRole role, const std::string& ranges,
              const IndexRange& dropped = {.first = 0, .until = 256}, std::string root = "") {
  if (root.empty()) root = root_of(log);
  log.add({.kind = Kind::kSystem,
           .role = role,
           .writer = {.bytes = {9}},
           .system = R"({"age_s":1,"by":"x","checkpoint":{"root":")" + root + R"(","size":)" +
                     std::to_string(log.size()) + R"(},"event":"partition_dropped","first":)" +
                     std::to_string(dropped.first) +
                     R"(,"newest":"2027-01-15T08:00:00.000000Z","ranges":)" + ranges +
                     R"(,"until":)" + std::to_string(dropped.until) + "}"});
}

// Records of the first tile are gone, and a later record says `ranges` of it.
std::vector<Fault> faults_after_drop(WriterRole role, const std::string& ranges,
                                     std::uint64_t lost_until = 256) {
  FakeLog log;
  log.add_calls(300);
  add_drop(log, role, ranges, {.first = 0, .until = std::max<std::uint64_t>(lost_until, 256)});
  for (std::uint64_t index = 0; index < lost_until; ++index) log.lose_entry(index);
  return faults_of(log);
}

TEST(Verify, what_retention_dropped_is_no_fault) {
  EXPECT_THAT(faults_after_drop(WriterRole::kRetention, "[[0,256]]"), ElementsAre());
  EXPECT_THAT(faults_after_drop(WriterRole::kRetention, "[[0,512]]", 512), ElementsAre());
  // In any order.
  EXPECT_THAT(faults_after_drop(WriterRole::kRetention, "[[256,512],[0,256]]", 512), ElementsAre());
  FakeLog log;
  log.add_calls(128);
  add_drop(log, WriterRole::kRetention, "[[0,256]]");
  log.lose_entries_of(0);
  EXPECT_THAT(faults_of(log), ElementsAre()) << "the record follows at once";
}

TEST(Verify, what_was_dropped_is_counted) {
  FakeLog log;
  log.add_calls(300);
  add_drop(log, WriterRole::kRetention, "[[0,256]]");
  for (std::uint64_t index = 0; index < 260; ++index) log.lose_entry(index);
  const Result<LogReport> report = verify_log(log.plan());
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->dropped, 256U);
}

// Whoever has the tree needs no signature to tell.
TEST(Verify, the_checkpoint_that_a_drop_names_is_one_that_the_records_lead_to) {
  const auto faults = [](const std::string& root, int calls_after) {
    FakeLog log;
    log.add_calls(300);
    add_drop(log, WriterRole::kRetention, "[[0,256]]", {.first = 0, .until = 256}, root);
    log.add_calls(calls_after);
    log.lose_entries_of(0);
    return faults_of(log);
  };
  for (const int calls_after : {0, 1, 300}) {
    EXPECT_THAT(faults("", calls_after), ElementsAre());
    EXPECT_THAT(faults(to_base64(std::string(32, 'x')), calls_after),
                ElementsAre(fault(600, "over 600 records, is another than they lead to")));
  }
  // A tile that is missing is not told twice.
  FakeLog log;
  log.add_calls(300);
  add_drop(log, WriterRole::kRetention, "[[0,256]]");
  log.lose_entries_of(0);
  log.change_tile({.level = 0, .index = 2, .width = 89}, std::nullopt);
  EXPECT_THAT(faults_of(log), ElementsAre(fault(512, 600, "tile 0/002: no such file")));
}

TEST(Verify, a_drop_counts_on_no_later_time_than_the_verifiers) {
  FakeLog log;
  log.add_calls(128);
  add_drop(log, WriterRole::kRetention, "[[0,256]]");
  log.lose_entries_of(0);
  VerifyPlan plan = log.plan();
  const auto faults_at = [&plan](const std::string& now) {
    plan.retention.now = *parse_rfc3339(now);
    return faults_of(plan);
  };
  EXPECT_THAT(faults_at("2027-01-15T09:00:00Z"), ElementsAre());
  EXPECT_THAT(faults_at("2027-01-15T06:59:59Z"), ElementsAre(fault(256, "was younger than 1 s")));
}

// What no tree holds has left no hash behind, so retention cannot have dropped it.
TEST(Verify, what_is_not_signed_over_is_missing_whoever_dropped_it) {
  FakeLog log;
  log.add_calls(256);
  const TreeHead signed_head = log.head();
  log.add_calls(128);
  add_drop(log, WriterRole::kRetention, "[[512,768]]", {.first = 512, .until = 768});
  const auto faults = [&](const FakeLog& changed) {
    VerifyPlan plan = changed.plan();
    plan.tree_size = signed_head.size;
    plan.roots = {{.head = signed_head, .from = "the checkpoint"}};
    return faults_of(plan);
  };
  FakeLog one = log;
  one.lose_entry(513);
  const auto unsigned_drop = fault(768, "over 768 records, is over more than any that was signed");
  EXPECT_THAT(faults(one), ElementsAre(fault(513, "does not hold this record"), unsigned_drop));
  FakeLog all = log;
  all.lose_entries_of(2);
  EXPECT_THAT(faults(all), ElementsAre(fault(512, "the entries from here on"), unsigned_drop));
}

TEST(Verify, what_somebody_else_took_away_is_one) {
  for (const WriterRole role : {WriterRole::kProxy, WriterRole::kAudit}) {
    EXPECT_EQ(faults_after_drop(role, "[[0,256]]").front().index, 0U);
  }
  // Retention drops whole partitions; what comes after the record it cannot know of.
  for (const char* ranges :
       {"[[0,255]]", "[[1,200],[200,256]]", "[[0,128],[128,256]]", "[[0,4194304]]"}) {
    const auto faults = faults_after_drop(WriterRole::kRetention, ranges);
    ASSERT_FALSE(faults.empty()) << ranges;
    EXPECT_EQ(faults.front().index, 0U) << ranges;
  }
  FakeLog log;
  log.add_calls(300);
  add_drop(log, WriterRole::kRetention, "[[9,11]]", {.first = 9, .until = 11});
  log.lose_entry(9);
  log.lose_entry(10);
  EXPECT_THAT(faults_of(log), ElementsAre(fault(9, "does not hold this record"),
                                          fault(10, "does not hold this record"),
                                          fault(600, "are no whole partitions of 256 records")));
  for (const char* ranges : {"[[5,5]]", "[[0,256,512]]", "[[-1,256]]", R"([[0,"256"]])", "[0,256]",
                             R"({"a":[0,256]})"}) {
    EXPECT_THAT(faults_after_drop(WriterRole::kRetention, ranges, 0),
                ElementsAre(fault(600, "no system.ranges")))
        << ranges;
  }
}

TEST(Verify, tiles_that_hold_something_else) {
  FakeLog log;
  log.add_calls(300);
  const auto flipped = [&](const TileId& id) {
    FakeLog copy = log;
    Result<std::unique_ptr<LogSource>> source = copy.plan().open();
    std::string bytes = *(*source)->tile(id);
    bytes[33] ^= 1;  // In the second hash.
    copy.change_tile(id, bytes);
    return faults_of(copy);
  };
  // Of level 0 the tree is built from the tile, so the signed root tells as well.
  EXPECT_EQ(flipped({.level = 0, .index = 1}).front().index, 257U);
  EXPECT_EQ(flipped({.level = 0, .index = 2, .width = 88}).front().index, 513U);
  EXPECT_THAT(flipped({.level = 1, .index = 0, .width = 2}),
              ElementsAre(fault(256, 511, "tile 1/000 holds another hash")));
}

TEST(Verify, tiles_that_are_missing_or_cut) {
  FakeLog log;
  log.add_calls(300);
  log.change_tile({.level = 0, .index = 1}, std::nullopt);
  log.change_tile({.level = 0, .index = 2, .width = 88}, std::string(100, 'x'));
  log.change_tile({.level = 1, .index = 0, .width = 2}, std::string(32, 'x'));
  EXPECT_THAT(faults_of(log), ElementsAre(fault(256, 511, "tile 0/001: no such file"),
                                          fault(0, 511, "tile 1/000 has 32 bytes, not 64"),
                                          fault(512, 599, "tile 0/002 has 100 bytes, not 2816")));
}

TEST(Verify, a_log_rewritten_whole_leads_to_another_root) {
  FakeLog log;
  log.add_calls(300);
  FakeLog rewritten;
  rewritten.add_calls(300);
  VerifyPlan plan = rewritten.plan();
  plan.roots = log.plan().roots;
  EXPECT_THAT(faults_of(plan),
              ElementsAre(fault(0, 599, "as it was when the checkpoint was signed")));
}

TEST(Verify, earlier_checkpoints_say_where) {
  FakeLog log;
  VerifyPlan earlier;
  for (int i = 0; i < 10; ++i) {
    log.add_calls(40);
    earlier.roots.push_back({.head = log.head(), .from = "checkpoint " + std::to_string(i)});
  }
  VerifyPlan plan = log.plan();
  plan.roots = earlier.roots;
  EXPECT_THAT(faults_of(plan), ElementsAre());
  for (std::size_t i = 5; i < 10; ++i) plan.roots[i].head.root[0] ^= 1;
  EXPECT_THAT(faults_of(plan),
              ElementsAre(fault(400, 479, "checkpoint 5 was signed over the first 480"),
                          Field(&Fault::what, HasSubstr("4 more checkpoints do not agree"))));
}

TEST(Verify, a_log_that_went_back_ends_before_a_checkpoint) {
  FakeLog log;
  log.add_calls(300);
  VerifyPlan plan = log.plan();
  plan.roots.push_back({.head = {.size = 700, .root = {}}, .from = "the checkpoint of yesterday"});
  EXPECT_THAT(faults_of(plan),
              ElementsAre(fault(600, "the checkpoint of yesterday was signed over 700 records")));
}

TEST(Verify, records_beyond_the_tree_are_read_too) {
  FakeLog log;
  log.add_calls(200);
  VerifyPlan plan = log.plan();
  log.add_calls(100);
  plan.entries = log.size();
  EXPECT_THAT(faults_of(plan), ElementsAre());
  log.add_outcome(make_uuid_v4());
  plan.entries = log.size();
  EXPECT_THAT(faults_of(plan), ElementsAre(fault(600, "no intent before it")));
}

TEST(Verify, what_the_database_says_beside_an_entry) {
  FakeLog log;
  log.add_calls(2);
  const auto columns_of = [&log](std::uint64_t index) {
    return EntryColumns{.leaf_hash = leaf_hash(log.entry(index)),
                        .kind = index % 2 == 0 ? "intent" : "outcome",
                        .role = "proxy"};
  };
  log.columns = columns_of;
  EXPECT_THAT(faults_of(log), ElementsAre());
  log.columns = [&](std::uint64_t index) {
    EntryColumns columns = columns_of(index);
    if (index == 0) columns.leaf_hash[0] ^= 1;
    if (index == 1) columns.kind = "access";
    if (index == 2) columns.role = "audit";
    if (index == 3) columns.search_agrees = false;
    return columns;
  };
  EXPECT_THAT(faults_of(log), ElementsAre(fault(0, "leaf_hash"), fault(1, "access and proxy"),
                                          fault(2, "intent and audit"), fault(3, "search table")));
}

TEST(Verify, a_step_that_the_tables_lack) {
  FakeLog log;
  const Uuid code = make_uuid_v4();
  log.add({.kind = Kind::kApproval,
           .role = WriterRole::kAudit,
           .approval = R"({"code":")" + to_string(code) + R"(","state":"EXPIRED"})"});
  log.columns = [&](std::uint64_t index) {
    return EntryColumns{.leaf_hash = leaf_hash(log.entry(index)),
                        .kind = "approval",
                        .role = "audit",
                        .step_taken = false};
  };
  EXPECT_THAT(faults_of(log), ElementsAre(fault(0, to_string(code) + " lacks the step")));
}

TEST(Verify, what_the_database_has_open_is_what_the_log_leaves_open) {
  FakeLog log;
  log.add_calls(3);
  const Uuid first = log.add_intent();
  const Uuid second = log.add_intent();
  VerifyPlan plan = log.plan();
  const auto faults = [&plan](std::vector<LogGrammar::Open> open) {
    plan.open_operations = std::move(open);
    return faults_of(plan);
  };
  EXPECT_THAT(faults({{first, 6}, {second, 7}}), ElementsAre());
  EXPECT_THAT(faults({{second, 7}, {first, 6}}), ElementsAre());
  EXPECT_THAT(faults({{second, 7}}),
              ElementsAre(fault(6, to_string(first) + " has no outcome, but the database")));
  EXPECT_THAT(
      faults({{first, 6}, {second, 6}}),
      ElementsAre(fault(6, to_string(second) + " is open in the database, but not in the log"),
                  fault(7, to_string(second) + " has no outcome")));
  const Uuid other = make_uuid_v4();
  EXPECT_THAT(faults({{first, 6}, {other, 0}, {second, 7}}),
              ElementsAre(fault(0, to_string(other) + " is open in the database")));
}

TEST(Verify, an_outcome_may_be_what_cannot_be_read) {
  FakeLog log;
  log.add_calls(3);
  log.change_entry(1, log.entry(3));
  VerifyPlan plan = log.plan();
  plan.open_operations.emplace();
  EXPECT_THAT(faults_of(plan), ElementsAre(fault(1, "not the one that the tree holds")));
}

TEST(Verify, an_outcome_may_have_been_dropped_after_its_intent) {
  FakeLog log;
  log.add_calls(127);
  const Uuid open = log.add_intent();
  log.add_outcome(log.add_intent());
  log.add_outcome(open);
  log.add_calls(200);
  add_drop(log, WriterRole::kRetention, "[[256,512]]", {.first = 256, .until = 512});
  for (std::uint64_t index = 256; index < 512; ++index) log.lose_entry(index);
  VerifyPlan plan = log.plan();
  plan.open_operations.emplace();
  EXPECT_THAT(faults_of(plan), ElementsAre());
}

constexpr const char* kCode = "0a000000-0000-4000-8000-000000000000";

std::string approval_json(const std::string& state) {
  return R"({"code":")" + std::string(kCode) + R"(","state":")" + state + R"("})";
}

// Two tiles of records, of which the first is gone; `between` adds to the log before the record
// that says so, `after` behind it.
std::vector<Fault> faults_around_drop(const std::function<void(FakeLog&)>& in_the_tile,
                                      const std::function<void(FakeLog&)>& between,
                                      const std::function<void(FakeLog&)>& after) {
  FakeLog log;
  in_the_tile(log);
  while (log.size() < 256) log.add({.kind = Kind::kAccess, .role = WriterRole::kAudit});
  between(log);
  add_drop(log, WriterRole::kRetention, "[[0,256]]");
  after(log);
  for (std::uint64_t index = 0; index < 256; ++index) log.lose_entry(index);
  return faults_of(log);
}
void add_nothing(FakeLog& /*log*/) {}

// Retention keeps an intent until it has its outcome.
TEST(Verify, an_outcome_whose_intent_was_dropped_was_there_before_that) {
  Uuid operation;
  const auto begin = [&](FakeLog& log) { operation = log.add_intent(); };
  const auto end = [&](FakeLog& log) { log.add_outcome(operation); };
  EXPECT_THAT(faults_around_drop(begin, end, add_nothing), ElementsAre());
  EXPECT_THAT(faults_around_drop(begin, add_nothing, end),
              ElementsAre(fault(257, "no intent before it")));
  // But evidence of what came of a call may come at any time.
  EXPECT_THAT(faults_around_drop(
                  [&](FakeLog& log) {
                    begin(log);
                    end(log);
                  },
                  add_nothing,
                  [&](FakeLog& log) {
                    log.add({.kind = Kind::kReconciliation, .operation_id = operation});
                  }),
              ElementsAre());
}

TEST(Verify, a_use_of_an_approval_that_was_dropped_was_there_before_that) {
  const auto approve = [](FakeLog& log) {
    log.add({.kind = Kind::kApproval,
             .role = WriterRole::kAudit,
             .writer = {.bytes = {8}},
             .approval = approval_json("APPROVED")});
  };
  const auto use = [](FakeLog& log) { log.add_outcome(log.add_intent(approval_json("CLAIMED"))); };
  const auto use_twice = [&](FakeLog& log) {
    use(log);
    use(log);
  };
  EXPECT_THAT(faults_around_drop(approve, use, add_nothing), ElementsAre());
  EXPECT_THAT(faults_around_drop(approve, use_twice, add_nothing),
              ElementsAre(fault(258, "again, which the intent at index 256 used")));
  EXPECT_THAT(faults_around_drop(approve, add_nothing, use),
              ElementsAre(fault(257, "was not approved before it")));
  EXPECT_THAT(faults_around_drop(approve, use, use),
              ElementsAre(fault(259, "again, which the intent at index 256 used")));
}

// A hold may keep the first use, and what gave the approval back is dropped.
TEST(Verify, an_approval_may_have_been_given_back_by_what_was_dropped) {
  const auto faults = [](const std::string& ranges) {
    FakeLog log;
    log.add({.kind = Kind::kApproval,
             .role = WriterRole::kAudit,
             .writer = {.bytes = {8}},
             .approval = approval_json("APPROVED")});
    while (log.size() < 255) log.add({.kind = Kind::kAccess, .role = WriterRole::kAudit});
    log.add_outcome(log.add_intent(approval_json("CLAIMED")), R"({"result":"not_sent"})");
    log.add_calls(127);
    log.add({.kind = Kind::kAccess, .role = WriterRole::kAudit});
    log.add_outcome(log.add_intent(approval_json("CLAIMED")));
    add_drop(log, WriterRole::kRetention, ranges, {.first = 256, .until = 512});
    log.add_outcome(log.add_intent(approval_json("CLAIMED")));
    for (std::uint64_t index = 256; index < 512; ++index) log.lose_entry(index);
    return faults_of(log);
  };
  EXPECT_THAT(faults("[[256,512]]"),
              ElementsAre(fault(515, "again, which the intent at index 512 used")));
}

TEST(Verify, a_source_that_is_away_is_no_finding) {
  FakeLog log;
  log.add_calls(300);
  for (const ErrorCode code :
       {ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kInternal, ErrorCode::kInDoubt}) {
    log.fail_with({code, "away"});
    const Result<LogReport> report = verify_log(log.plan());
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().message, "away");
  }
  VerifyPlan plan = log.plan();
  plan.open = []() -> Result<std::unique_ptr<LogSource>> {
    return Error{ErrorCode::kUnavailable, "closed"};
  };
  EXPECT_FALSE(verify_log(plan).ok());
}

TEST(Verify, progress_ends_at_the_end) {
  FakeLog log;
  log.add_calls(3'000);
  VerifyPlan plan = log.plan();
  std::vector<std::uint64_t> told;
  plan.progress = [&told](std::uint64_t done) { told.push_back(done); };
  EXPECT_THAT(faults_of(plan), ElementsAre());
  EXPECT_THAT(told, ElementsAre(4'096, 6'000));
}

TEST(Faults, keeps_the_first_and_counts_all) {
  Faults faults;
  faults.add_general("general");
  for (std::uint64_t i = 200; i > 0; --i) faults.add(i, "exact");
  faults.add_range(0, 3, "range");
  Faults more;
  more.add(0, "first");
  faults.add(std::move(more));
  EXPECT_EQ(faults.count(), 203U);
  ASSERT_EQ(faults.list().size(), Faults::kKept);
  EXPECT_THAT(faults.list()[0], fault(0, "first"));
  EXPECT_THAT(faults.list()[1], fault(1, "exact"));
  EXPECT_TRUE(faults.list()[1].is_exact());
  EXPECT_THAT(faults.list()[4], fault(0, 3, "range"));
  EXPECT_FALSE(faults.list()[4].is_exact());
}

TEST(VerifyCheckpoints, those_of_the_database_are_named_by_their_ordinals) {
  FakeLog log;
  log.add_calls(3);
  const std::vector<FoundNote> notes = {{.note = log.note(), .ordinal = 7},
                                        {.note = "nothing", .ordinal = 8}};
  CheckedNotes checked = check_notes(notes, std::vector{log.key()}, 1);
  EXPECT_THAT(checked.faults.list(),
              ElementsAre(Field("what", &Fault::what, HasSubstr("the database's checkpoint 8: "))));
  ASSERT_EQ(checked.roots.size(), 1U);
  VerifyPlan plan = log.plan();
  plan.roots = std::move(checked.roots);
  plan.roots.front().head.root = {};
  EXPECT_THAT(faults_of(plan), ElementsAre(fault(0, 5, "when the database's checkpoint 7 was")));
  EXPECT_LE(sizeof(SignedRoot), 80U);
}

TEST(VerifyCheckpoints, only_well_signed_notes_give_roots) {
  FakeLog log;
  log.add_calls(3);
  FakeLog other;
  std::string wrong = log.note();
  char& in_signature = wrong[wrong.size() - 10];
  in_signature = in_signature == 'A' ? 'B' : 'A';
  std::string moved = log.note();
  moved.replace(moved.find("\n6\n"), 3, "\n7\n");
  std::vector<FoundNote> notes;
  for (int i = 0; i < 20; ++i) notes.push_back({log.note(), "good"});
  notes.push_back({wrong, "wrong"});
  notes.push_back({moved, "moved"});
  notes.push_back({other.note(), "other"});
  notes.push_back({"nothing", "none"});
  for (const unsigned threads : {1U, 4U}) {
    const CheckedNotes checked = check_notes(notes, std::vector{log.key()}, threads);
    EXPECT_EQ(checked.roots.size(), 20U);
    EXPECT_EQ(checked.roots.front().head, log.head());
    EXPECT_EQ(checked.faults.count(), 4U);
  }
  EXPECT_EQ(check_notes(notes, {}, 2).faults.count(), 1U);
}

TEST(VerifyCheckpoints, records_need_a_checkpoint_over_some_of_them) {
  const std::vector<SignedRoot> of_nothing = {{.head = {.size = 0, .root = {}}}};
  const std::vector<SignedRoot> of_one = {{.head = {.size = 0, .root = {}}},
                                          {.head = {.size = 1, .root = {}}}};
  for (const auto& roots : {std::vector<SignedRoot>(), of_nothing}) {
    EXPECT_THAT(check_signed(7, roots).list(),
                ElementsAre(Field("what", &Fault::what,
                                  HasSubstr("no checkpoint of the log is left; its 7 records are "
                                            "signed by nothing"))));
    EXPECT_EQ(check_signed(0, roots).count(), 0U);
  }
  EXPECT_EQ(check_signed(7, of_one).count(), 0U);
}

TEST(VerifyCheckpoints, a_kept_one_is_lacking_unless_just_its_tree_is_there) {
  const auto root = [](std::uint64_t size, std::uint8_t byte) {
    SignedRoot made{.head = {.size = size, .root = {}}};
    made.head.root[31] = byte;
    return made;
  };
  // Out of order, as a database that somebody changed may have them.
  const std::vector<SignedRoot> stored = {root(9, 1), root(5, 1), root(7, 1)};
  const std::vector<SignedRoot> kept = {root(5, 1), root(7, 2), root(6, 1), root(9, 1),
                                        root(10, 1)};
  std::vector<std::uint64_t> sizes;
  for (const SignedRoot& lacking : roots_lacking(kept, stored)) sizes.push_back(lacking.head.size);
  EXPECT_THAT(sizes, ElementsAre(7, 6, 10));
  EXPECT_EQ(roots_lacking(kept, {}).size(), kept.size());
  EXPECT_TRUE(roots_lacking({}, stored).empty());
}

}  // namespace
}  // namespace holdfast::audit
