// Questions to the log: every filter, paging, and that what is not derived yet is found all the
// same.
#include <csignal>

#include "audit/queries_postgres.h"
#include "tests/integration/log_fixture.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using testing::LogTest;
using testing::new_operation;

// The call that every filter below picks out of three.
json alices_call() {
  return json::parse(R"({
    "request":{"method":"POST","target":"/beta/me/messages/M1/recall","source_ip":"10.1.2.3",
      "client_request_id":"c-1","user_agent":"Outlook 100% Äpfel_"},
    "operation":{"action":"recall","resource":"message","item":"M1",
      "mailbox":{"kind":"me","names":["Alice@Contoso.com","11111111-0000-4000-8000-00000000000a"]}},
    "actor":{"kind":"user","user":"22222222-0000-4000-8000-00000000000b","app":"app-1",
      "name":"alice@contoso.com"}})");
}

json others_call() {
  return json::parse(R"({
    "request":{"method":"POST","target":"/v1.0/users/bob/events/E9/permanentDelete",
      "source_ip":"10.9.9.9","client_request_id":"c-9"},
    "operation":{"action":"permanentDelete","resource":"event","item":"E9",
      "mailbox":{"kind":"user","key":"bob@contoso.com"}},
    "actor":{"kind":"app","app":"app-9"}})");
}

class QueryTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    log_ = open_log();
    source_ = std::make_unique<PostgresRecordSource>(
        RecordSourceOptions{.access = {.database = database("holdfast_audit")}});
  }
  void TearDown() override {
    if (source_) source_->stop();
    if (log_) log_->stop();
    LogTest::TearDown();
  }

  void append(Kind kind, json content, const Uuid& operation = new_operation()) {
    Record record{.kind = kind, .operation_id = operation};
    record.content = std::move(content);
    if (kind == Kind::kIntent) {
      const auto receipt = runner_.run(log_->append_intent(std::move(record), request("")));
      ASSERT_TRUE(receipt.ok()) << receipt.error().message;
      return;
    }
    const auto ref = runner_.run(kind == Kind::kOutcome ? log_->append_outcome(std::move(record))
                                                        : log_->append(std::move(record)));
    ASSERT_TRUE(ref.ok()) << ref.error().message;
  }

  // Index 0: another's call, denied. 1 and 2: Alice's intent and outcome. 3: another's call.
  void append_sample() {
    json denied = others_call();
    denied["decision"] = {{"effect", "deny"}, {"rules", {"hold"}}};
    append(Kind::kDecision, denied);
    json intent = alices_call();
    intent["decision"] = {{"effect", "allow"}, {"rules", {"Recall-Rule"}}};
    append(Kind::kIntent, intent, operation_);
    json outcome = alices_call();
    outcome["outcome"] = {{"result", "executed"}, {"status", 202}, {"graph_request_id", "g-1"}};
    append(Kind::kOutcome, outcome, operation_);
    append(Kind::kDecision, denied);
  }

  void derive() { sql("holdfast_audit", "SELECT holdfast.derive_search(1000000)"); }
  void index() { sql("holdfast_audit", "SELECT holdfast.index_search(1000000)"); }
  // Where search has its rows: those that are indexed, and those that are not yet.
  std::string places() {
    return value("SELECT count(*) FROM ONLY holdfast.record_search") + " and " +
           value("SELECT count(*) FROM holdfast.record_search_recent");
  }

  RecordPage ask(std::vector<Parameter> parameters) {
    ParsedQuery parsed = parse_record_query(parameters);
    if (const auto* bad = std::get_if<BadParameter>(&parsed)) {
      ADD_FAILURE() << bad->name << " " << bad->why;
      return {};
    }
    const auto page = runner_.run(source_->search(std::get<RecordQuery>(parsed)));
    EXPECT_TRUE(page.ok()) << page.error().message;
    return page.ok() ? *page : RecordPage{};
  }

  static std::string indexes(const RecordPage& page) {
    std::string text;
    for (const FoundRecord& record : page.records) text += std::to_string(record.index) + " ";
    return text;
  }
  std::string found(std::vector<Parameter> parameters) {
    parameters.push_back({"order", "asc"});
    return indexes(ask(std::move(parameters)));
  }

  // Every page of a question, limit by limit, with `between` after each.
  std::string paged(const std::string& order, const std::function<void()>& between) {
    std::string text;
    RecordQuery query;
    query.order = order == "asc" ? Order::kAscending : Order::kDescending;
    query.limit = 3;
    for (int pages = 0; pages < 100; ++pages) {
      const auto page = runner_.run(source_->search(query));
      EXPECT_TRUE(page.ok()) << page.error().message;
      text += indexes(*page);
      if (!page->next) return text;
      query.cursor = page->next;
      between();
    }
    return "it never ends";
  }

  // An entry as a dishonest proxy could have written it.
  void insert_raw(const std::string& entry) {
    sql("postgres",
        "WITH e AS (SELECT convert_to('" + entry +
            "', 'UTF8') AS entry), h AS (UPDATE holdfast.log_head SET next_index = next_index + 1 "
            "RETURNING next_index - 1 AS index) INSERT INTO holdfast.log SELECT h.index, e.entry, "
            "sha256('\\x00'::bytea || e.entry), 'decision', 'proxy' FROM e, h");
  }

  const Uuid operation_ = new_operation();
  std::unique_ptr<LogPostgres> log_;
  std::unique_ptr<PostgresRecordSource> source_;
};

// Somebody else put them there, or left them.
TEST_F(QueryTest, rows_of_no_record_end_no_page) {
  append_sample();
  derive();
  sql("postgres",
      "ALTER TABLE holdfast.log DISABLE TRIGGER USER; "
      "ALTER TABLE holdfast.log_000000 DISABLE TRIGGER USER; "
      "DELETE FROM holdfast.log WHERE index < 3; "
      "INSERT INTO holdfast.dropped_ranges (first, until, record_index) VALUES (0, 3, 3); "
      "INSERT INTO holdfast.record_search (index, malformed) VALUES (-2, false), (-1, false)");
  EXPECT_EQ(found({{"limit", "1"}}), "3 ");
  append(Kind::kDecision, others_call());
  sql("postgres", "INSERT INTO holdfast.record_search (index, malformed) VALUES (4, false)");
  EXPECT_EQ(found({}), "3 4 ");
}

TEST_F(QueryTest, every_filter_finds_its_records_derived_indexed_or_neither) {
  append_sample();
  const std::string time = value(
      "SELECT convert_from(entry, 'UTF8')::json ->> 'time' FROM holdfast.log WHERE index = 1");
  struct Case {
    const char* name;
    std::string value;
    const char* found;
  };
  const std::vector<Case> cases = {
      {"from", time, "1 2 3 "},
      {"to", time, "0 "},
      {"from", "0001-01-01T00:00:00Z", "0 1 2 3 "},
      {"to", "9999-12-31T23:59:59.999999Z", "0 1 2 3 "},
      {"actor", "ALICE@contoso.com", "1 2 "},
      {"actor", "22222222-0000-4000-8000-00000000000B", "1 2 "},
      {"actor", "app-9", "0 3 "},
      {"mailbox", "alice@CONTOSO.com", "1 2 "},
      {"mailbox", "11111111-0000-4000-8000-00000000000a", "1 2 "},
      {"mailbox", "BOB@contoso.com", "0 3 "},
      {"mailbox", "alice", ""},
      {"action", "recall", "1 2 "},
      {"resource", "event", "0 3 "},
      {"item", "M1", "1 2 "},
      {"item", "m1", ""},
      {"effect", "deny", "0 3 "},
      {"effect", "allow", "1 "},
      {"result", "executed", "2 "},
      {"rule", "recall-rule", "1 "},
      {"kind", "outcome", "2 "},
      {"operation_id", to_string(operation_), "1 2 "},
      {"client_request_id", "c-9", "0 3 "},
      {"graph_request_id", "g-1", "2 "},
      {"ip", "10.1.2.3", "1 2 "},
      {"ip", "10.0.0.0/8", "0 1 2 3 "},
      {"ip", "10.9.0.0/16", "0 3 "},
      {"ip", "fe80::/10", ""},
      {"q", "ME/MESSAGES/m1", "1 2 "},
      {"q", "äpfel_", "1 2 "},
      {"q", "100%", "1 2 "},
      {"q", "100_", ""},
      {"q", "o%k", ""},
      {"q", "'; DROP TABLE holdfast.log; --", ""},
  };
  struct Stage {
    const char* name;
    std::function<void()> reach;
  };
  const std::vector<Stage> stages = {
      {"tail", [] {}}, {"derived", [this] { derive(); }}, {"indexed", [this] { index(); }}};
  for (const Stage& stage : stages) {
    stage.reach();
    for (const Case& test : cases) {
      EXPECT_EQ(found({{test.name, test.value}}), test.found)
          << test.name << "=" << test.value << ", " << stage.name;
    }
    EXPECT_EQ(found({{"kind", "intent"}, {"actor", "app-1"}, {"ip", "10.1.2.3"}}), "1 ");
    EXPECT_EQ(found({{"kind", "intent"}, {"actor", "app-9"}}), "");
  }
}

TEST_F(QueryTest, answers_are_the_bytes_of_the_log_and_say_how_far_they_reach) {
  append_sample();
  sql("holdfast_audit", "SELECT holdfast.derive_search(2)");
  const RecordPage page = ask({});
  EXPECT_EQ(indexes(page), "3 2 1 0 ");
  EXPECT_EQ(page.complete_to, 4);
  EXPECT_EQ(page.log_size, 4);
  for (const FoundRecord& record : page.records) {
    EXPECT_EQ(to_hex(record.entry), value("SELECT encode(entry, 'hex') FROM holdfast.log WHERE "
                                          "index = " +
                                          std::to_string(record.index)));
    EXPECT_FALSE(record.malformed);
  }
  const std::string id = json::parse(page.records[0].entry).at("id").get<std::string>();
  for (const bool derived : {false, true}) {
    if (derived) derive();
    const auto by_id = runner_.run(source_->get(*parse_uuid(id)));
    ASSERT_TRUE(by_id.ok()) << by_id.error().message;
    EXPECT_EQ(by_id->index, 3);
  }
  EXPECT_EQ(runner_.run(source_->get(std::int64_t{3}))->entry, page.records[0].entry);
  EXPECT_EQ(runner_.run(source_->get(std::int64_t{4})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(runner_.run(source_->get(new_operation())).error().code, ErrorCode::kNotFound);
}

TEST_F(QueryTest, pages_hold_every_record_once_while_others_arrive_and_are_derived) {
  for (int i = 0; i < 10; ++i) append(Kind::kDecision, others_call());
  sql("holdfast_audit", "SELECT holdfast.derive_search(4), holdfast.index_search(2)");
  const auto arrive = [this] {
    append(Kind::kDecision, others_call());
    sql("holdfast_audit", "SELECT holdfast.derive_search(2), holdfast.index_search(1)");
  };
  EXPECT_EQ(paged("desc", arrive), "9 8 7 6 5 4 3 2 1 0 ");
  EXPECT_EQ(paged("asc", arrive), "0 1 2 3 4 5 6 7 8 9 10 11 12 ");
}

TEST_F(QueryTest, the_tail_has_a_limit_and_the_answer_says_so) {
  append(Kind::kDecision, others_call());
  sql("postgres",
      "INSERT INTO holdfast.log SELECT i, entry, leaf_hash, kind, role FROM holdfast.log, "
      "generate_series(1, 10004) i; UPDATE holdfast.log_head SET next_index = 10005");
  RecordPage page = ask({{"limit", "2"}});
  EXPECT_EQ(page.complete_to, 10'000);
  EXPECT_EQ(page.log_size, 10'005);
  EXPECT_EQ(indexes(page), "9999 9998 ");
  derive();
  page = ask({{"limit", "2"}});
  EXPECT_EQ(page.complete_to, 10'005);
  EXPECT_EQ(indexes(page), "10004 10003 ");
}

TEST_F(QueryTest, a_page_ends_early_where_records_are_large) {
  json large = others_call();
  large["request"]["user_agent"] = std::string(60'000, 'x');
  append(Kind::kDecision, large);
  sql("postgres",
      "INSERT INTO holdfast.log SELECT i, entry, leaf_hash, kind, role FROM holdfast.log, "
      "generate_series(1, 199) i; UPDATE holdfast.log_head SET next_index = 200");
  const RecordPage page = ask({{"limit", "1000"}});
  EXPECT_LT(page.records.size(), 200U);
  EXPECT_GT(page.records.size(), 100U);
  ASSERT_TRUE(page.next.has_value());
  EXPECT_EQ(page.next->after, page.records.back().index);
}

TEST_F(QueryTest, what_is_no_record_stops_and_hides_nothing) {
  const std::string end = R"(,"writer":{"role":"proxy"}})";
  const std::string head =
      R"({"kind":"decision","id":"0190a0f0-0000-7000-8000-000000000001","time":)";
  insert_raw(R"({"kind":"decision")" + end);
  insert_raw(head + R"("now")" + end);
  insert_raw(head + R"("2026-10-05T08:00:00.000000Z","decision":{"rules":"all"})" + end);
  insert_raw(head + R"("2026-10-05T08:00:00.000000Z","index":7)" + end);
  // Legal, and longer than an index can hold.
  const std::string name(3000, 'm');
  insert_raw(head + R"("2026-10-05T08:00:00.000000Z","operation":{"item":")" + name +
             R"(","mailbox":{"key":")" + name + R"("}},"request":{"client_request_id":")" + name +
             R"("})" + end);
  append(Kind::kDecision, others_call());
  for (const bool derived : {false, true}) {
    if (derived) derive();
    const RecordPage page = ask({{"order", "asc"}});
    ASSERT_EQ(indexes(page), "0 1 2 3 4 5 ");
    for (const FoundRecord& record : page.records) {
      EXPECT_EQ(record.malformed, record.index < 4) << record.index;
    }
    EXPECT_EQ(found({{"mailbox", name}}), "4 ");
    EXPECT_EQ(found({{"item", name}, {"client_request_id", name}}), "4 ");
    EXPECT_EQ(found({{"kind", "decision"}}), "4 5 ");
  }
  EXPECT_TRUE(runner_.run(source_->get(std::int64_t{0}))->malformed);
}

TEST_F(QueryTest, rebuilt_search_equals_derived_search) {
  append_sample();
  const std::string all =
      "SELECT md5(string_agg(s::text, '|' ORDER BY index)) FROM "
      "holdfast.record_search s";
  sql("holdfast_audit", "SELECT holdfast.derive_search(3)");
  derive();
  const std::string derived = value(all);
  ASSERT_NE(derived, "");
  sql("holdfast_audit", "SELECT holdfast.index_search(3)");
  EXPECT_EQ(value(all), derived);
  sql("postgres", "SELECT holdfast.rebuild_search()");
  EXPECT_EQ(value(all), "");
  EXPECT_EQ(found({{"action", "recall"}}), "1 2 ");
  derive();
  EXPECT_EQ(value(all), derived);
  index();
  EXPECT_EQ(places(), "4 and 0");
  EXPECT_EQ(value(all), derived);
}

TEST_F(QueryTest, rows_are_indexed_oldest_first_as_far_as_they_are_derived) {
  append_sample();
  EXPECT_EQ(value("SELECT holdfast.index_search(10)", "holdfast_audit"), "0");
  sql("holdfast_audit", "SELECT holdfast.derive_search(3)");
  EXPECT_EQ(places(), "0 and 3");
  EXPECT_EQ(value("SELECT holdfast.index_search(2)", "holdfast_audit"), "2");
  EXPECT_EQ(places(), "2 and 1");
  EXPECT_EQ(value("SELECT min(index) FROM holdfast.record_search_recent"), "2");
  EXPECT_EQ(runner_.run(source_->state())->indexed, 2);
  derive();
  EXPECT_EQ(value("SELECT holdfast.index_search(10)", "holdfast_audit"), "2");
  EXPECT_EQ(places(), "4 and 0");
  EXPECT_EQ(value("SELECT holdfast.index_search(10)", "holdfast_audit"), "0");
  EXPECT_EQ(runner_.run(source_->state())->indexed, 4);
  EXPECT_THAT(refusal("holdfast_audit", "SELECT holdfast.index_search(0)"),
              ::testing::HasSubstr("batch must be at least 1"));
}

TEST_F(QueryTest, nothing_is_indexed_while_search_is_far_behind) {
  for (int i = 0; i < 7; ++i) append(Kind::kDecision, others_call());
  sql("holdfast_audit", "SELECT holdfast.derive_search(4)");
  EXPECT_EQ(value("SELECT holdfast.index_search(5)", "holdfast_audit"), "0");
  EXPECT_EQ(places(), "0 and 4");
  sql("holdfast_audit", "SELECT holdfast.derive_search(1)");
  EXPECT_EQ(value("SELECT holdfast.index_search(5)", "holdfast_audit"), "5");
  EXPECT_EQ(places(), "5 and 0");
}

TEST_F(QueryTest, what_somebody_emptied_by_hand_is_indexed_from_its_beginning) {
  append_sample();
  derive();
  index();
  sql("postgres", "UPDATE holdfast.search_state SET derived = 0; TRUNCATE holdfast.record_search");
  EXPECT_EQ(value("SELECT holdfast.index_search(10)", "holdfast_audit"), "0");
  derive();
  index();
  EXPECT_EQ(places(), "4 and 0");
}

TEST_F(QueryTest, nobody_waits_while_rows_are_being_indexed) {
  append_sample();
  sql("holdfast_audit", "SELECT holdfast.derive_search(3)");
  pqxx::connection first(database("holdfast_audit").url);
  pqxx::work moving(first);
  EXPECT_EQ(moving.exec("SELECT holdfast.index_search(2)")[0][0].as<int>(), 2);
  EXPECT_EQ(value("SELECT holdfast.index_search(10)", "holdfast_audit"), "0");
  EXPECT_EQ(value("SELECT holdfast.derive_search(10)", "holdfast_audit"), "1");
  EXPECT_EQ(found({}), "0 1 2 3 ");
  moving.commit();
  EXPECT_EQ(found({}), "0 1 2 3 ");
  EXPECT_EQ(places(), "2 and 2");
}

TEST_F(QueryTest, search_is_emptied_when_nobody_derives_or_indexes) {
  for (const std::string lock : {"derive_search", "index_search"}) {
    pqxx::connection other(database("postgres").url);
    pqxx::work working(other);
    working.exec("SELECT pg_advisory_xact_lock(hashtextextended('holdfast." + lock + "', 0))");
    EXPECT_THAT(refusal("postgres", "SET lock_timeout = '1ms'; SELECT holdfast.rebuild_search()"),
                ::testing::HasSubstr("lock timeout"))
        << lock;
  }
}

TEST_F(QueryTest, only_one_derives_at_a_time_and_the_other_does_not_wait) {
  append_sample();
  pqxx::connection first(database("holdfast_audit").url);
  pqxx::work transaction(first);
  EXPECT_EQ(transaction.exec("SELECT holdfast.derive_search(10)")[0][0].as<int>(), 4);
  EXPECT_EQ(value("SELECT holdfast.derive_search(10)", "holdfast_audit"), "0");
  transaction.commit();
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.record_search"), "4");
}

TEST_F(QueryTest, roles_may_derive_and_read_but_not_write_search) {
  for (const std::string statement :
       {"INSERT INTO holdfast.record_search (index, malformed) VALUES (0, true)",
        "UPDATE holdfast.record_search SET kind = 'x'", "DELETE FROM holdfast.record_search",
        "TRUNCATE holdfast.record_search", "UPDATE holdfast.search_state SET derived = 9",
        "DELETE FROM holdfast.record_search_recent",
        "UPDATE holdfast.search_index_state SET indexed = 9", "SELECT holdfast.hold_search()",
        "SELECT holdfast.rebuild_search()"}) {
    EXPECT_THAT(refusal("holdfast_audit", statement), ::testing::HasSubstr("permission denied"));
    EXPECT_THAT(refusal("holdfast_proxy", statement), ::testing::HasSubstr("permission denied"));
  }
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT holdfast.derive_search(1)"),
              ::testing::HasSubstr("permission denied"));
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT holdfast.index_search(1)"),
              ::testing::HasSubstr("permission denied"));
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT * FROM holdfast.record_search"),
              ::testing::HasSubstr("permission denied"));
}

TEST_F(QueryTest, state_is_told_and_a_lost_connection_is_replaced) {
  append_sample();
  const auto state = runner_.run(source_->state());
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->log_size, 4);
  EXPECT_EQ(state->derived, 0);
  EXPECT_EQ(state->partitions, 2 * 4'194'304);
  EXPECT_FALSE(state->open_since.has_value());
  sql("postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'holdfast_audit' "
      "AND datname = current_database()");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(indexes(ask({})), "3 2 1 0 ");
}

TEST_F(QueryTest, state_tells_since_when_an_operation_is_open) {
  append_sample();
  const Uuid first = new_operation();
  append(Kind::kIntent, alices_call(), first);
  append(Kind::kIntent, others_call());
  const std::string oldest = value(
      "SELECT convert_from(entry, 'UTF8')::json ->> 'time' FROM holdfast.log WHERE index = 4");
  auto state = runner_.run(source_->state());
  ASSERT_TRUE(state.ok()) << state.error().message;
  ASSERT_TRUE(state->open_since.has_value());
  EXPECT_EQ(to_rfc3339(*state->open_since), oldest);
  json outcome = alices_call();
  outcome["outcome"] = {{"result", "executed"}};
  append(Kind::kOutcome, outcome, first);
  state = runner_.run(source_->state());
  ASSERT_TRUE(state.ok() && state->open_since.has_value());
  EXPECT_GT(to_rfc3339(*state->open_since), oldest);
  EXPECT_THAT(refusal("holdfast_proxy", "SELECT holdfast.oldest_open_operation()"),
              ::testing::HasSubstr("permission denied"));
}

TEST_F(QueryTest, fault_a_database_that_is_away_or_hangs_is_unavailable) {
  PostgresRecordSource impatient({.access = {.database = database("holdfast_audit")},
                                  .connections = 1,
                                  .waiting_max = 1,
                                  .answer_timeout = std::chrono::milliseconds(1000)});
  ASSERT_TRUE(runner_.run(impatient.state()).ok());
  const std::string backend = value(
      "SELECT pid FROM pg_stat_activity WHERE usename = 'holdfast_audit' "
      "AND datname = current_database()");
  kill(std::stoi(backend), SIGSTOP);
  const auto hung = runner_.run(impatient.state());
  ASSERT_FALSE(hung.ok());
  EXPECT_EQ(hung.error().code, ErrorCode::kUnavailable);
  auto waiting = runner_.start(impatient.state());
  const auto refused = runner_.run(impatient.state());
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
  impatient.stop();  // Returns although the server process never answers.
  EXPECT_EQ(waiting.get().error().code, ErrorCode::kUnavailable);
  kill(std::stoi(backend), SIGCONT);
  EXPECT_EQ(runner_.run(impatient.state()).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::audit
