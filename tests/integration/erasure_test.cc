// Personal values beside the log on a real database: sealed with the entry, found by search, erased
// with a record, and nobody's proof changed by it.
#include <future>

#include "audit/log_reader_postgres.h"
#include "audit/queries_postgres.h"
#include "audit/retention_postgres.h"
#include "audit/sealing.h"
#include "tests/integration/held_lock.h"
#include "tests/integration/log_fixture.h"
#include "tests/support/fake_clock.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::LogTest;
using testing::new_operation;

constexpr const char* kAda = "ada-id";
constexpr const char* kCarol = "carol@contoso.com";

// Ada's call on a mailbox.
json erasure_call(const std::string& mailbox) {
  return {{"request", {{"method", "POST"}, {"target", "/v1.0/users/" + mailbox + "/messages/1"}}},
          {"operation",
           {{"action", "permanentDelete"},
            {"mailbox", {{"key", mailbox}, {"kind", "user"}}},
            {"path", "/v1.0/users/" + mailbox}}},
          {"actor", {{"kind", "user"}, {"user", kAda}, {"verification", "probe"}}}};
}

class ErasureTest : public LogTest {
 protected:
  LogOptions sealed_options() const {
    LogOptions options = log_options();
    options.personal_data = PersonalData::kSealed;
    return options;
  }
  std::unique_ptr<LogPostgres> open_sealed() { return open_log(sealed_options()); }
  // Another replica.
  std::unique_ptr<LogPostgres> open_other() {
    LogOptions options = sealed_options();
    options.spool_dir = other_spool_.path();
    return open_log(options);
  }

  static Record call(Kind kind, const Uuid& operation, const std::string& mailbox) {
    Record made{.kind = kind, .operation_id = operation, .content = erasure_call(mailbox)};
    if (kind == Kind::kOutcome) made.content["outcome"] = {{"result", "executed"}};
    return made;
  }
  Uuid begin_call(LogPostgres& log, const std::string& mailbox) {
    const Uuid operation = new_operation();
    const auto receipt =
        runner_.run(log.append_intent(call(Kind::kIntent, operation, mailbox), request("")));
    EXPECT_TRUE(receipt.ok()) << receipt.error().message;
    return operation;
  }
  void end_call(LogPostgres& log, const Uuid& operation, const std::string& mailbox) {
    const auto ended = runner_.run(log.append_outcome(call(Kind::kOutcome, operation, mailbox)));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
  }
  void whole_call(LogPostgres& log, const std::string& mailbox) {
    end_call(log, begin_call(log, mailbox), mailbox);
  }

  void derive() const { sql("holdfast_audit", "SELECT holdfast.derive_search(1000000)"); }
  // How many records search finds by that name.
  std::string found_by(const char* column, const std::string& name) const {
    return value(std::string("SELECT count(*) FROM holdfast.record_search WHERE ") + column +
                 " @> ARRAY['" + name + "']");
  }
  // The entries' bytes, all of them.
  std::string log_bytes() const {
    return value(
        "SELECT string_agg(encode(leaf_hash || entry, 'hex'), ' ' ORDER BY index) "
        "FROM holdfast.log WHERE role <> 'retention'");
  }
  // What the audit service is shown of a record's member.
  std::string opened(std::int64_t index, const std::string& member) const {
    return value("SELECT convert_from(holdfast.opened_entry(index, entry), 'UTF8')::json #>> '{" +
                     member + "}' FROM holdfast.log WHERE index = " + std::to_string(index),
                 "holdfast_audit");
  }
  DatabaseAccess access() const { return {.database = database("holdfast_audit")}; }
  // Everything that verifying the database finds wrong; the tree is not signed here.
  std::string faults() const {
    const std::uint64_t size = std::stoull(value("SELECT next_index FROM holdfast.log_head"));
    Result<LogReport> report =
        verify_log({.entries = size, .open = [this] { return open_database_source(access()); }});
    Result<Faults> guards = check_database_guards(access());
    EXPECT_TRUE(report.ok() && guards.ok());
    report->faults.add(*std::move(guards));
    std::string all;
    for (const Fault& fault : report->faults.list()) {
      if (fault.index) all += std::to_string(*fault.index) + ": ";
      all += fault.what + "\n";
    }
    return all;
  }

  Result<std::int64_t> erase(const std::string& name) const {
    Retention retention(database("holdfast_retention"));
    const Result<PlannedErasure> plan = retention.plan_erasure(name);
    if (!plan.ok()) return plan.error();
    return retention.erase(*plan, "DSR-1", "tester");
  }
  // The only hold.
  void place_hold(const std::string& name) const {
    sql("postgres",
        "DELETE FROM holdfast.holds; INSERT INTO holdfast.holds (id, state, mailboxes, "
        "placed_index, changed_index, content, history) VALUES ("
        "'01890000-0000-7000-8000-0000000000aa', 'held', ARRAY['" +
            name + "'], 999, 999, '{}', '[]')");
  }
  bool waits_for_lock(const std::string& role) const {
    return testing::eventually([this, &role] {
      return value("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role +
                   "' AND wait_event_type = 'Lock' AND datname = current_database()") == "1";
    });
  }
  std::string obstacle(const std::string& name) const {
    Retention retention(database("holdfast_retention"));
    const Result<PlannedErasure> plan = retention.plan_erasure(name);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    // What the plan says is also what erasing does.
    const Result<std::int64_t> erased = retention.erase(*plan, "DSR-1", "tester");
    EXPECT_FALSE(erased.ok());
    EXPECT_EQ(erased.error().code, ErrorCode::kRefused);
    EXPECT_THAT(erased.error().message, HasSubstr("they stay: " + plan->obstacle));
    return plan->obstacle;
  }

  testing::TemporaryDirectory other_spool_;
};

TEST_F(ErasureTest, values_lie_encrypted_beside_the_log_and_search_finds_them) {
  const auto log = open_sealed();
  whole_call(*log, "Carol@contoso.com");
  derive();
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log WHERE position('arol' IN "
                  "encode(entry, 'escape')) > 0 OR position('ada-id' IN "
                  "encode(entry, 'escape')) > 0"),
            "0");
  EXPECT_EQ(value("SELECT count(*) || ' ' || count(DISTINCT subject) FROM "
                  "holdfast.sealed_documents WHERE octet_length(ciphertext) > 32 AND "
                  "position('arol' IN encode(ciphertext, 'escape')) = 0"),
            "4 2");
  EXPECT_EQ(found_by("mailboxes", kCarol), "2");
  EXPECT_EQ(found_by("actors", kAda), "2");
  EXPECT_EQ(opened(1, "operation,path"), "/v1.0/users/Carol@contoso.com");
  EXPECT_EQ(faults(), "");
  // Officers who decide on an approval see what was read of the item.
  Record asked = call(Kind::kDecision, new_operation(), kCarol);
  asked.content["preimage"] = {{"sender", "carol-friend"}};
  const auto filed = runner_.run(log->append(std::move(asked)));
  ASSERT_TRUE(filed.ok()) << filed.error().message;
  const std::string preimage =
      "SELECT holdfast.preimage_of('" + to_string(filed->id) + "') ->> 'sender'";
  EXPECT_EQ(value(preimage), "carol-friend");
  derive();
  EXPECT_EQ(value(preimage), "carol-friend");
  // The tail that is not derived yet says the same.
  sql("postgres", "SELECT holdfast.rebuild_search()");
  PostgresRecordSource source(RecordSourceOptions{.access = access()});
  RecordQuery query;
  query.mailbox = kCarol;
  const Result<RecordPage> page = runner_.run(source.search(query));
  ASSERT_TRUE(page.ok()) << page.error().message;
  ASSERT_EQ(page->records.size(), 3U);
  ASSERT_EQ(page->records[1].documents.size(), 2U);
  EXPECT_THAT(page->records[1].documents[1].bytes, HasSubstr("Carol@contoso.com"));
  source.stop();
}

TEST_F(ErasureTest, erasing_takes_the_values_and_leaves_the_log) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  whole_call(*log, "dave@contoso.com");
  derive();
  const std::string before = log_bytes();
  const Result<std::int64_t> record = erase("CAROL@contoso.com");
  ASSERT_TRUE(record.ok()) << record.error().message;
  EXPECT_EQ(*record, 4);
  EXPECT_EQ(log_bytes(), before);
  EXPECT_EQ(found_by("mailboxes", kCarol), "0");
  EXPECT_EQ(found_by("mailboxes", "dave@contoso.com"), "2");
  EXPECT_EQ(found_by("actors", kAda), "4");
  EXPECT_EQ(opened(0, "operation,path"), "");
  EXPECT_EQ(opened(0, "actor,user"), kAda);
  EXPECT_EQ(opened(2, "operation,path"), "/v1.0/users/dave@contoso.com");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.record_search WHERE words LIKE '%carol%'"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.sealed_documents WHERE ciphertext IS NULL"), "2");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.subject_names WHERE name = 'carol@contoso.com'"),
            "0");
  EXPECT_EQ(value("SELECT count(key) || ' of ' || count(*) FROM holdfast.subjects"), "2 of 3");
  const json told = json::parse(value(
      "SELECT convert_from(entry, 'UTF8')::json -> 'system' FROM holdfast.log WHERE index = 4"));
  EXPECT_EQ(told["event"], "subject_erased");
  EXPECT_EQ(told["documents"], 2);
  EXPECT_EQ(told["documents_sha256"], to_hex(sha256("0 1\n1 1\n")));
  EXPECT_EQ(told["reason"], "DSR-1");
  EXPECT_EQ(faults(), "");
  // She comes back as somebody new.
  whole_call(*log, kCarol);
  derive();
  EXPECT_EQ(found_by("mailboxes", kCarol), "2");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, a_person_is_erased_by_any_name_and_those_that_share_one) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  whole_call(*log, "carol-id");
  Record both = call(Kind::kDecision, new_operation(), kCarol);
  both.content["operation"]["mailbox"]["names"] = {"carol-id", "c@contoso.com"};
  ASSERT_TRUE(runner_.run(log->append(std::move(both))).ok());
  derive();
  Retention retention(database("holdfast_retention"));
  const Result<PlannedErasure> plan = retention.plan_erasure("c@contoso.com");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->subjects.size(), 2U);
  EXPECT_THAT(plan->names, ::testing::ElementsAre("c@contoso.com", "carol-id", kCarol));
  EXPECT_EQ(plan->documents, 5);
  ASSERT_TRUE(retention.erase(*plan, "DSR-1", "tester").ok());
  EXPECT_EQ(found_by("mailboxes", "carol-id"), "0");
  EXPECT_EQ(faults(), "");
  EXPECT_TRUE(retention.plan_erasure(kCarol)->subjects.empty());
  const Result<std::int64_t> again = retention.erase(*plan, "DSR-1", "tester");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kRefused);
}

TEST_F(ErasureTest, a_plan_that_is_overtaken_changes_nothing) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  derive();
  Retention retention(database("holdfast_retention"));
  const PlannedErasure plan = *retention.plan_erasure(kCarol);
  whole_call(*log, kCarol);
  derive();
  const Result<std::int64_t> erased = retention.erase(plan, "DSR-1", "tester");
  ASSERT_FALSE(erased.ok());
  EXPECT_EQ(erased.error().code, ErrorCode::kUnavailable);
  // Or somebody else has come to bear one of the names.
  const PlannedErasure newer = *retention.plan_erasure(kCarol);
  sql("postgres",
      "INSERT INTO holdfast.subject_names SELECT 'carol@contoso.com', subject FROM "
      "holdfast.subject_names WHERE name = 'ada-id'");
  EXPECT_EQ(retention.erase(newer, "DSR-1", "tester").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(found_by("mailboxes", kCarol), "4");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, a_hold_that_is_placed_meanwhile_is_kept) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  derive();
  pqxx::connection connection(database("postgres").url);
  pqxx::work appending(connection);
  appending.exec("SELECT pg_advisory_xact_lock_shared(hashtextextended('holdfast.subjects', 0))");
  auto erasing = std::async(std::launch::async, [this] { return erase(kCarol); });
  ASSERT_TRUE(waits_for_lock("holdfast_retention"));
  place_hold(kCarol);
  appending.commit();
  EXPECT_EQ(erasing.get().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(found_by("mailboxes", kCarol), "2");
}

TEST_F(ErasureTest, what_is_not_over_is_not_erased) {
  const auto log = open_sealed();
  const Uuid operation = begin_call(*log, kCarol);
  EXPECT_EQ(obstacle(kCarol), "the search table does not reach their newest record");
  derive();
  EXPECT_EQ(obstacle(kCarol), "an operation of theirs has no outcome yet");
  EXPECT_EQ(obstacle(kAda), "an operation of theirs has no outcome yet");
  end_call(*log, operation, kCarol);
  const std::string code = "01890000-0000-4000-8000-000000000001";
  const std::string record = value("SELECT id FROM holdfast.record_search WHERE index = 0");
  derive();
  sql("postgres",
      "INSERT INTO holdfast.approvals (code, binding, state, step, filed_at, decide_by, "
      "use_within, "
      "filing) VALUES ('" +
          code +
          "', sha256('x'), 'PENDING', 1, now(), now() + interval '1 hour', "
          "'1 hour', '{}'); INSERT INTO holdfast.approval_history VALUES ('" +
          code + "', 1, 'file', 'PENDING', now(), '" + record + "', '{}')");
  EXPECT_EQ(obstacle(kCarol), "an approval of theirs is still open");
  sql("postgres", "UPDATE holdfast.approvals SET state = 'REJECTED'");
  EXPECT_TRUE(erase(kCarol).ok());
}

TEST_F(ErasureTest, a_legal_hold_keeps_the_mailbox_and_what_its_owner_did) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  whole_call(*log, "dave@contoso.com");
  derive();
  const std::string held = "legal hold 01890000-0000-7000-8000-0000000000aa";
  place_hold(kCarol);
  EXPECT_EQ(obstacle(kCarol), held);
  EXPECT_EQ(obstacle(kAda), held);  // Her calls on the mailbox.
  place_hold(kAda);
  EXPECT_EQ(obstacle("dave@contoso.com"), held);  // What she did to it.
  place_hold("erin@contoso.com");
  EXPECT_TRUE(erase(kCarol).ok());
  sql("postgres", "UPDATE holdfast.holds SET mailboxes = ARRAY['dave@contoso.com']");
  EXPECT_EQ(obstacle("dave@contoso.com"), held);
  sql("postgres", "UPDATE holdfast.holds SET state = 'lifted'");
  EXPECT_TRUE(erase("dave@contoso.com").ok());
}

TEST_F(ErasureTest, verify_finds_what_was_done_to_documents) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  derive();
  ASSERT_EQ(faults(), "");
  const auto after = [this](const std::string& change) {
    sql("postgres",
        "CREATE TABLE kept AS SELECT * FROM holdfast.sealed_documents;"
        "CREATE TABLE people AS SELECT * FROM holdfast.subjects; " +
            change);
    std::string found = faults();
    sql("postgres",
        "TRUNCATE holdfast.sealed_documents, holdfast.subjects; "
        "INSERT INTO holdfast.sealed_documents SELECT * FROM kept; "
        "INSERT INTO holdfast.subjects SELECT * FROM people; DROP TABLE kept, people");
    return found;
  };
  const std::string other =
      "UPDATE holdfast.sealed_documents d SET ciphertext = o.ciphertext FROM "
      "holdfast.sealed_documents o WHERE o.subject = d.subject AND o.index = 0 AND d.index = 1";
  EXPECT_THAT(after(other), HasSubstr("1: its sealed document 0 is not the one that the entry"));
  EXPECT_THAT(after("UPDATE holdfast.sealed_documents SET ciphertext = set_byte(ciphertext, 40, "
                    "get_byte(ciphertext, 40) # 1) WHERE index = 0 AND place = 1"),
              HasSubstr("0: its sealed document 1"));
  EXPECT_THAT(after("DELETE FROM holdfast.sealed_documents WHERE index = 1 AND place = 1"),
              HasSubstr("1: its sealed document 1 is not there"));
  EXPECT_THAT(after("UPDATE holdfast.subjects SET key = decode(repeat('00', 32), 'hex')"),
              HasSubstr("0: its sealed document 0 cannot be opened"));
  EXPECT_THAT(after("UPDATE holdfast.subjects SET key = NULL, record_index = 1"),
              HasSubstr("is not erased as a record of it says"));
  ASSERT_TRUE(erase(kCarol).ok());
  ASSERT_EQ(faults(), "");
  sql("postgres",
      "BEGIN; " + other +
          "; DO $$ BEGIN ASSERT (SELECT convert_from("
          "holdfast.opened_entry(index, entry), 'UTF8')::json #>> '{actor,user}' IS NULL "
          "FROM holdfast.log WHERE index = 1); END $$; ROLLBACK");
  // Documents of others are passed off as erased.
  EXPECT_THAT(after("UPDATE holdfast.sealed_documents SET subject = (SELECT id FROM "
                    "holdfast.subjects WHERE key IS NULL), ciphertext = NULL"),
              HasSubstr("is not erased as a record of it says"));
  EXPECT_THAT(after("UPDATE holdfast.subjects SET key = decode(repeat('00', 32), 'hex'), "
                    "record_index = NULL WHERE key IS NULL"),
              HasSubstr("is not erased as a record of it says"));
}

TEST_F(ErasureTest, what_others_end_is_sealed_as_well) {
  auto log = open_sealed();
  begin_call(*log, kCarol);
  log.reset();
  log = open_log();  // This one would keep everything in the clear.
  EXPECT_EQ(kinds(), "intent,outcome");
  EXPECT_EQ(opened(1, "operation,path"), "/v1.0/users/carol@contoso.com");
  begin_call(*log, "dave@contoso.com");
  log.reset();
  log = open_sealed();
  begin_call(*log, kCarol);
  expire_leases();
  Settler settler({.database = database("holdfast_audit")});
  const Result<std::size_t> settled = settler.settle_expired();
  ASSERT_TRUE(settled.ok()) << settled.error().message;
  EXPECT_EQ(*settled, 1U);
  EXPECT_EQ(opened(5, "operation,path"), "/v1.0/users/carol@contoso.com");
  EXPECT_EQ(value("SELECT string_agg(index::text, ' ' ORDER BY index) FROM holdfast.log WHERE "
                  "position('contoso' IN encode(entry, 'escape')) > 0"),
            "2 3");  // Those of the process that keeps them in the clear.
  derive();
  EXPECT_EQ(found_by("mailboxes", kCarol), "4");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, what_was_left_open_ends_after_it_began_whatever_the_clock_says) {
  testing::FakeClock clock;
  auto log = open_log(sealed_options(), clock);
  begin_call(*log, kCarol);
  log.reset();
  // Only the intent itself tells what time it was.
  sql("postgres", "UPDATE holdfast.writers SET last_time = NULL, last_time_at = NULL");
  clock.advance(std::chrono::seconds(-60));
  log = open_log(sealed_options(), clock);
  EXPECT_EQ(kinds(), "intent,outcome");
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(ErasureTest, limits_count_what_is_sealed_and_documents_go_with_their_own_entries) {
  const auto log = open_sealed();
  const auto limited = [](const std::string& mailbox) {
    Record made = call(Kind::kIntent, new_operation(), mailbox);
    made.content["decision"]["limits"] = {{{"rule", "a"},
                                           {"key", "a|mailbox|" + mailbox},
                                           {"count", 1},
                                           {"per_s", 3600},
                                           {"mailbox", mailbox}}};
    made.is_limited = true;
    return made;
  };
  // All in one batch: the second and the fourth are refused.
  pqxx::connection connection(database("postgres").url);
  pqxx::work blocked(connection);
  blocked.exec("SELECT * FROM holdfast.log_head FOR UPDATE");
  auto first = runner_.start(log->append_intent(call(Kind::kIntent, new_operation(), "x"), {}));
  ASSERT_TRUE(waits_for_lock("holdfast_proxy"));
  std::vector<std::future<Result<Receipt>>> waiting;
  for (const char* mailbox : {kCarol, kCarol, "dave@contoso.com", kCarol, "erin@contoso.com"}) {
    waiting.push_back(runner_.start(log->append_intent(limited(mailbox), request(""))));
  }
  blocked.commit();
  ASSERT_TRUE(first.get().ok());
  std::string taken;
  for (auto& one : waiting) taken += one.get().ok() ? "taken " : "over ";
  EXPECT_EQ(taken, "taken over taken over taken ");
  EXPECT_EQ(value("SELECT string_agg(mailbox, ' ' ORDER BY mailbox) FROM holdfast.limit_uses"),
            "carol@contoso.com dave@contoso.com erin@contoso.com");
  derive();
  EXPECT_EQ(value("SELECT string_agg(mailboxes[1], ' ' ORDER BY index) FROM "
                  "holdfast.record_search"),
            "x carol@contoso.com dave@contoso.com erin@contoso.com");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, without_sealing_nothing_is_kept_beside_the_log) {
  const auto log = open_log();
  whole_call(*log, kCarol);
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.sealed_documents"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.subjects"), "0");
  json said =
      json::parse(value("SELECT convert_from(entry, 'UTF8') FROM holdfast.log WHERE "
                        "index = 0"));
  for (const char* own : {"id", "kind", "operation_id", "time", "v", "writer"}) said.erase(own);
  EXPECT_EQ(said, erasure_call(kCarol));
  EXPECT_EQ(opened(0, "operation,path"), "/v1.0/users/carol@contoso.com");
}

TEST_F(ErasureTest, nobody_reads_keys_and_only_retention_erases) {
  whole_call(*open_sealed(), kCarol);
  for (const char* role : {"holdfast_proxy", "holdfast_audit", "holdfast_retention"}) {
    for (const char* attempt :
         {"SELECT key FROM holdfast.subjects", "SELECT name FROM holdfast.subject_names",
          "SELECT ciphertext FROM holdfast.sealed_documents", "DELETE FROM holdfast.subjects"}) {
      EXPECT_THAT(refusal(role, attempt), HasSubstr("permission denied")) << role << attempt;
    }
  }
  for (const char* role : {"holdfast_proxy", "holdfast_retention"}) {
    EXPECT_THAT(refusal(role, "SELECT holdfast.open_documents(0)"), HasSubstr("permission denied"));
  }
  for (const char* role : {"holdfast_proxy", "holdfast_audit"}) {
    EXPECT_THAT(refusal(role, "SELECT holdfast.erase_subjects('{}', '')"),
                HasSubstr("permission denied"));
  }
  EXPECT_THAT(refusal("postgres", "SELECT holdfast.erase_subjects('{}', '')"),
              HasSubstr("erase_subjects is for holdfast_retention"));
}

TEST_F(ErasureTest, an_entry_that_does_not_name_its_document_is_refused) {
  const auto log = open_sealed();
  begin_call(*log, kCarol);
  const std::string writer = to_string(log->writer().id);
  const std::string entry =
      "convert_to('{\"kind\":\"system\",\"v\":1,\"writer\":{\"role\":\"proxy\"}}', 'UTF8')";
  EXPECT_THAT(
      refusal("holdfast_proxy", "SELECT holdfast.append_proxy('" + writer + "', 1, ARRAY[" + entry +
                                    "], ARRAY[sha256('\\x00'::bytea || " + entry +
                                    ")], '{system}', '{NULL}', sealed => "
                                    "'[{\"entry\":1,\"names\":[\"a\"],\"document\":\"{}\"}]')"),
      HasSubstr("an entry does not name its document"));
}

TEST_F(ErasureTest, who_has_no_record_left_is_forgotten) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  Retention retention(database("holdfast_retention"));
  EXPECT_EQ(*retention.forget(), 0);
  // As retention drops a partition.
  sql("postgres", "DELETE FROM holdfast.sealed_documents WHERE place = 1");
  EXPECT_EQ(*retention.forget(), 1);
  EXPECT_EQ(value("SELECT string_agg(name, ' ') FROM holdfast.subject_names"), kAda);
  whole_call(*log, kCarol);
  derive();
  EXPECT_EQ(found_by("mailboxes", kCarol), "2");
}

// An append that has found its subject holds back whoever would erase it meanwhile.
TEST_F(ErasureTest, an_append_on_its_way_is_waited_for) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  derive();
  pqxx::connection connection(database("postgres").url);
  pqxx::work blocked(connection);
  blocked.exec("SELECT * FROM holdfast.log_head FOR UPDATE");
  auto append = runner_.start(log->append(call(Kind::kDecision, new_operation(), kCarol)));
  ASSERT_TRUE(waits_for_lock("holdfast_proxy"));
  auto erasing = std::async(std::launch::async, [this] { return erase(kCarol); });
  ASSERT_TRUE(waits_for_lock("holdfast_retention"));
  blocked.commit();
  ASSERT_TRUE(append.get().ok());
  const Result<std::int64_t> erased = erasing.get();
  ASSERT_FALSE(erased.ok());
  EXPECT_EQ(erased.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(opened(2, "operation,path"), "/v1.0/users/carol@contoso.com");
  derive();
  EXPECT_EQ(faults(), "");
}

// Whatever comes first: each document is under a live key, or went with its subject.
// The second batch waits for the first one's commit, and finds them.
TEST_F(ErasureTest, rows_that_are_being_indexed_are_waited_for) {
  const auto log = open_sealed();
  whole_call(*log, kCarol);
  derive();
  pqxx::connection indexing(database("holdfast_audit").url);
  pqxx::work moving(indexing);
  moving.exec("SELECT holdfast.index_search(1)");
  auto erased = std::async(std::launch::async, [this] { return erase(kCarol); });
  ASSERT_TRUE(waits_for_lock("holdfast_retention"));
  moving.commit();
  const Result<std::int64_t> done = erased.get();
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(found_by("mailboxes", kCarol), "0");
  sql("holdfast_audit", "SELECT holdfast.index_search(1000)");
  EXPECT_EQ(found_by("mailboxes", kCarol), "0");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.record_search_recent"), "0");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, race_of_two_records_of_somebody_new_makes_one_person) {
  const auto log = open_sealed();
  const auto other = open_other();
  testing::HeldLock head(database("postgres").url, testing::kLogHead);
  auto one = runner_.start(log->append(call(Kind::kDecision, new_operation(), kCarol)));
  EXPECT_TRUE(head.is_met_by(1));
  auto two = runner_.start(other->append(call(Kind::kDecision, new_operation(), kCarol)));
  EXPECT_TRUE(head.is_met_by(2));
  head.release();
  EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(two.get().ok());
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.subjects"), "2") << "the mailbox's and the actor";
}

TEST_F(ErasureTest, race_of_erasing_and_appending_loses_no_document) {
  constexpr int kRounds = 12;
  const auto log = open_sealed();
  const auto other = open_other();
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(runner_.run(log->append(call(Kind::kDecision, new_operation(), kCarol))).ok());
    derive();
    auto erasing = std::async(std::launch::async, [this] { return erase(kCarol); });
    std::vector<std::future<Result<RecordRef>>> appends;
    for (LogPostgres* one : {log.get(), other.get()}) {
      appends.push_back(runner_.start(one->append(call(Kind::kDecision, new_operation(), kCarol))));
    }
    for (auto& append : appends) ASSERT_TRUE(append.get().ok());
    const Result<std::int64_t> erased = erasing.get();
    if (erased.ok()) {
      EXPECT_EQ(value("SELECT count(*) FROM holdfast.sealed_documents WHERE place = 1 AND "
                      "ciphertext IS NULL AND index > " +
                      std::to_string(*erased)),
                "0");
    }
  }
  derive();
  EXPECT_EQ(faults(), "");
  ASSERT_TRUE(erase(kCarol).ok());
  EXPECT_EQ(found_by("mailboxes", kCarol), "0");
  EXPECT_EQ(faults(), "");
}

TEST_F(ErasureTest, fault_documents_wait_in_the_spool_with_their_outcome) {
  auto log = open_sealed();
  const Uuid operation = begin_call(*log, kCarol);
  const Uuid settled = begin_call(*log, kCarol);
  control("stop");
  for (const Uuid& one : {operation, settled}) {
    const auto ended = runner_.run(log->append_outcome(call(Kind::kOutcome, one, kCarol)));
    ASSERT_TRUE(ended.ok()) << ended.error().message;
    EXPECT_EQ(ended->index, -1);
  }
  log.reset();
  control("start");
  // Settled by somebody else, and then erased: the late results are recorded of somebody new, and
  // nothing of them is lost.
  sql("postgres",
      "DELETE FROM holdfast.open_operations WHERE operation_id = '" + to_string(operation) + "'");
  expire_leases();
  Settler settler({.database = database("holdfast_audit")});
  ASSERT_EQ(*settler.settle_expired(), 1U);
  derive();
  ASSERT_TRUE(erase(kCarol).ok());
  sql("postgres", "INSERT INTO holdfast.open_operations SELECT '" + to_string(operation) +
                      "', id, 0 FROM holdfast.writers WHERE role = 'proxy'");
  log = open_sealed();
  EXPECT_EQ(kinds(), "intent,intent,outcome,system,outcome,reconciliation");
  EXPECT_EQ(outcomes_of(operation), "executed");
  EXPECT_EQ(opened(4, "operation,path"), "/v1.0/users/carol@contoso.com");
  EXPECT_EQ(opened(5, "operation,path"), "/v1.0/users/carol@contoso.com");
  derive();
  EXPECT_EQ(found_by("mailboxes", kCarol), "2");
  EXPECT_EQ(faults(), "");
}

}  // namespace
}  // namespace holdfast::audit
