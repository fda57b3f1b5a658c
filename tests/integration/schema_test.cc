// What the database itself guarantees, whoever asks: the real roles against the real schema.
#include "tests/integration/database.h"

namespace holdfast::audit {
namespace {

using testing::DatabaseTest;

constexpr const char* kWriter = "10000000-0000-4000-8000-000000000001";
constexpr const char* kOther = "10000000-0000-4000-8000-000000000002";

std::string as_sql(std::string_view bytes) {
  return "'\\x" + to_hex(bytes) + "'::bytea";
}

std::string hash_of(const std::string& entry) {
  const Sha256 digest = leaf_hash(entry);
  return as_sql({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string entry_text(const std::string& kind, const std::string& role,
                       const std::string& result = "unknown") {
  return R"({"id":"x","kind":")" + kind + R"(","outcome":{"result":")" + result +
         R"("},"writer":{"id":"x","role":")" + role + R"("}})";
}

class SchemaTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    epoch(kWriter);
  }

  std::string epoch(const std::string& writer, const std::string& user = "holdfast_proxy",
                    const std::string& lease = "60 seconds") {
    return value("SELECT holdfast.raise_epoch('" + writer + "', '" + lease + "')", user);
  }

  struct Given {
    std::string kind;
    std::string operation;   // Empty: NULL.
    std::string entry = {};  // Empty: a good one.
    std::string hash = {};   // Empty: the right one.
  };
  static std::string append_call(const std::string& role, const std::string& writer,
                                 const std::string& at_epoch, const std::vector<Given>& batch) {
    std::string entries;
    std::string hashes;
    std::string kinds;
    std::string operations;
    for (const Given& given : batch) {
      const std::string comma = entries.empty() ? "" : ",";
      const std::string entry = given.entry.empty() ? entry_text(given.kind, role) : given.entry;
      entries += comma + as_sql(entry);
      hashes += comma + (given.hash.empty() ? hash_of(entry) : given.hash);
      kinds += comma + "'" + given.kind + "'";
      operations += comma + (given.operation.empty() ? "NULL" : "'" + given.operation + "'");
    }
    return "SELECT coalesce(done.refusals[n], (done.first - 1 + count(*) FILTER (WHERE "
           "done.refusals[n] IS NULL) OVER (ORDER BY n))::text) FROM holdfast.append_" +
           role + "('" + writer + "', " + at_epoch + ", ARRAY[" + entries + "], ARRAY[" + hashes +
           "], ARRAY[" + kinds + "], ARRAY[" + operations + "]::uuid[]) AS done, " +
           "generate_series(1, " + std::to_string(batch.size()) + ") AS n ORDER BY n";
  }
  // Index or refusal of each entry.
  std::vector<std::string> append(const std::vector<Given>& batch,
                                  const std::string& at_epoch = "1") {
    std::vector<std::string> results;
    for (const pqxx::row& row :
         sql("holdfast_proxy", append_call("proxy", kWriter, at_epoch, batch))) {
      results.emplace_back(row[0].c_str());
    }
    return results;
  }
  static std::string operation(int number) {
    std::string text = std::to_string(number);
    return "20000000-0000-4000-8000-" + std::string(12 - text.size(), '0') + text;
  }
  std::vector<std::string> partitions() {
    std::vector<std::string> names;
    for (const pqxx::row& row : sql("postgres",
                                    "SELECT inhrelid::regclass::text FROM pg_inherits "
                                    "WHERE inhparent = 'holdfast.log'::regclass ORDER BY 1")) {
      names.emplace_back(row[0].c_str());
    }
    return names;
  }
  std::string as_owner(const std::string& text) {
    return refusal("postgres", "SET ROLE holdfast_owner; " + text);
  }
  // Puts a row into the last partition, as a later year would.
  void fill_last_partition() {
    sql("postgres", "UPDATE holdfast.log_head SET next_index = partitions_end - 1");
    append({{.kind = "system", .operation = ""}});
  }
  void make_another_partition() { sql("holdfast_audit", "SELECT holdfast.ensure_partitions()"); }
};

using ::testing::ElementsAre;

TEST_F(SchemaTest, entries_are_stored_as_given_with_dense_indexes) {
  EXPECT_THAT(append({{.kind = "system", .operation = ""}, {.kind = "rules", .operation = ""}}),
              ElementsAre("0", "1"));
  EXPECT_THAT(append({{.kind = "decision", .operation = operation(1)}}), ElementsAre("2"));
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8') FROM holdfast.log WHERE index = 1",
                  "holdfast_audit"),
            entry_text("rules", "proxy"));
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log "
                  "WHERE leaf_hash = sha256('\\x00'::bytea || entry) AND role = 'proxy'"),
            "3");
}

TEST_F(SchemaTest, wrong_leaf_hash_is_refused) {
  const std::string refused = refusal(
      "holdfast_proxy",
      append_call("proxy", kWriter, "1",
                  {{.kind = "system", .operation = "", .entry = {}, .hash = hash_of("other")}}));
  EXPECT_NE(refused.find("log_leaf_hash"), std::string::npos) << refused;
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log"), "0");
  EXPECT_EQ(value("SELECT next_index FROM holdfast.log_head"), "0");
}

struct BadEntry {
  const char* name;
  std::string kind;
  std::string entry;
  const char* constraint;
};

class BadEntryTest : public SchemaTest, public ::testing::WithParamInterface<BadEntry> {};

TEST_P(BadEntryTest, is_refused) {
  const std::string refused = refusal(
      "holdfast_proxy", append_call("proxy", kWriter, "1",
                                    {{.kind = GetParam().kind,
                                      .operation = GetParam().kind == "intent" ? operation(1) : "",
                                      .entry = GetParam().entry}}));
  EXPECT_NE(refused.find(GetParam().constraint), std::string::npos) << refused;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadEntryTest,
    ::testing::Values(
        BadEntry{"kind_differs", "system", entry_text("approval", "proxy"), "log_kind"},
        BadEntry{"kind_within_text", "intent",
                 R"({"a":"b\",\"kind\":\"intent\",\"","id":"x","kind":"approval",)"
                 R"("writer":{"id":"x","role":"proxy"}})",
                 "log_kind"},
        BadEntry{"kind_at_the_end_of_a_name", "intent",
                 R"({"\"kind":"intent","id":"x","kind":"approval",)"
                 R"("writer":{"id":"x","role":"proxy"}})",
                 "log_kind"},
        BadEntry{"kind_of_another_name", "intent",
                 R"({"id":"x","of_kind":"intent","writer":{"id":"x","role":"proxy"}})", "log_kind"},
        BadEntry{"longer_kind", "intent",
                 R"({"id":"x","kind":"intents","writer":{"id":"x","role":"proxy"}})", "log_kind"},
        BadEntry{"kind_of_another", "intent", entry_text("outcome", "proxy"), "log_kind"},
        BadEntry{"no_kind", "intent", R"({"id":"abcd","x":1,"writer":{"id":"x","role":"proxy"}})",
                 "log_kind"},
        BadEntry{"kind_only_deeper", "system",
                 R"({"actor":{"kind":"system"},"writer":{"id":"x","role":"proxy"}})", "log_kind"},
        BadEntry{"role_differs", "system", entry_text("system", "audit"), "log_role"},
        BadEntry{"not_json", "system", "no json", "invalid input syntax for type json"},
        BadEntry{"too_large", "system",
                 R"({"kind":"system","pad":")" + std::string(65536, 'x') +
                     R"(","writer":{"id":"x","role":"proxy"}})",
                 "log_entry_size"}),
    [](const auto& row) { return row.param.name; });

TEST_F(SchemaTest, no_index_is_negative) {
  const std::string entry = entry_text("system", "proxy");
  EXPECT_THAT(refusal("postgres", "SELECT holdfast.is_entry(-1, " + as_sql(entry) + ", " +
                                      hash_of(entry) + ", 'system', 'proxy')"),
              ::testing::HasSubstr("log_index"));
}

TEST_F(SchemaTest, what_is_around_the_kind_of_an_intent_stops_nothing_else) {
  const auto record = [](const std::string& number, const std::string& kind,
                         const std::string& more) {
    return R"({"id":"30000000-0000-4000-8000-00000000000)" + number + R"(","kind":")" + kind +
           R"(",)" + more +
           R"("time":"2026-10-05T08:00:00.000000Z","writer":{"id":"x","role":"proxy"}})";
  };
  EXPECT_THAT(
      append({{.kind = "intent", .operation = operation(1), .entry = record("1", "intent", "no,")},
              {.kind = "intent", .operation = operation(2), .entry = record("2", "intent", "")},
              {.kind = "system", .operation = "", .entry = record("3", "system", "")}}),
      ElementsAre("0", "1", "2"));
  EXPECT_EQ(value("SELECT holdfast.derive_search(100)", "holdfast_audit"), "3");
  EXPECT_EQ(value("SELECT string_agg(malformed::text, ' ' ORDER BY index) "
                  "FROM holdfast.record_search"),
            "true false false");
  const std::string open_since =
      "SELECT extract(epoch FROM holdfast.oldest_open_operation())::bigint";
  EXPECT_EQ(value(open_since, "holdfast_audit"), "0");
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(1)}}), ElementsAre("3"));
  EXPECT_EQ(value(open_since, "holdfast_audit"), "1791187200");
  const std::string before = R"({no,"id":"x","kind":"intent","writer":{"id":"x","role":"proxy"}})";
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(3), .entry = before},
                      {.kind = "outcome", .operation = operation(2)}}),
              ElementsAre("4", "5"));
  EXPECT_EQ(value("SELECT holdfast.derive_search(100)", "holdfast_audit"), "3");
  EXPECT_EQ(value("SELECT malformed FROM holdfast.record_search WHERE index = 4"), "t");
  EXPECT_EQ(value(open_since, "holdfast_audit"), "0");
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(3)}}), ElementsAre("6"));
  EXPECT_EQ(value("SELECT holdfast.oldest_open_operation() IS NULL", "holdfast_audit"), "t");
}

TEST_F(SchemaTest, batch_of_unequal_arrays_is_refused) {
  EXPECT_NE(
      refusal("holdfast_proxy", std::string("SELECT * FROM holdfast.append_proxy('") + kWriter +
                                    "', 1, ARRAY['x','y']::bytea[], "
                                    "ARRAY['x']::bytea[], '{system}', '{null}')")
          .find("a batch is"),
      std::string::npos);
  // One array that differs from the others is one too many.
  EXPECT_NE(
      refusal("holdfast_proxy", std::string("SELECT * FROM holdfast.append_proxy('") + kWriter +
                                    "', 1, ARRAY['x','y']::bytea[], ARRAY['x','y']::bytea[], "
                                    "'{system,system}', '{null}')")
          .find("a batch is"),
      std::string::npos);
  EXPECT_NE(
      refusal("holdfast_proxy", std::string("SELECT * FROM holdfast.append_proxy('") + kWriter +
                                    "', 1, ARRAY['x','y']::bytea[], ARRAY['x','y']::bytea[], "
                                    "'{system,system}', '{null,null}', NULL, NULL, '{1}')")
          .find("a batch is"),
      std::string::npos);
}

// Who may do what.

TEST_F(SchemaTest, proxy_cannot_write_kinds_of_the_audit_role) {
  for (const std::string kind : {"approval", "access"}) {
    EXPECT_NE(refusal("holdfast_proxy",
                      append_call("proxy", kWriter, "1", {{.kind = kind, .operation = ""}}))
                  .find("may not write"),
              std::string::npos)
        << kind;
  }
}

TEST_F(SchemaTest, audit_cannot_write_kinds_of_the_proxy_role) {
  epoch(kOther, "holdfast_audit");
  for (const std::string kind : {"intent", "decision"}) {
    EXPECT_NE(refusal("holdfast_audit", append_call("audit", kOther, "1",
                                                    {{.kind = kind, .operation = operation(1)}}))
                  .find("may not write"),
              std::string::npos)
        << kind;
  }
}

TEST_F(SchemaTest, roles_cannot_use_each_others_entry_point_or_writer) {
  EXPECT_NE(refusal("holdfast_proxy",
                    append_call("audit", kWriter, "1", {{.kind = "access", .operation = ""}}))
                .find("permission denied"),
            std::string::npos);
  EXPECT_NE(
      refusal("postgres", append_call("proxy", kWriter, "1", {{.kind = "system", .operation = ""}}))
          .find("append_proxy is for holdfast_proxy"),
      std::string::npos);
  EXPECT_NE(
      refusal("postgres", append_call("audit", kWriter, "1", {{.kind = "system", .operation = ""}}))
          .find("append_audit is for holdfast_audit"),
      std::string::npos);
  EXPECT_NE(refusal("postgres", "SELECT holdfast.drop_partition('{}', '')")
                .find("drop_partition is for holdfast_retention"),
            std::string::npos);
  EXPECT_NE(refusal("holdfast_audit",
                    std::string("SELECT holdfast.raise_epoch('") + kWriter + "', '10 seconds')")
                .find("belongs to another role"),
            std::string::npos);
}

TEST_F(SchemaTest, roles_that_run_holdfast_cannot_write_any_table) {
  append({{.kind = "system", .operation = ""}});
  std::vector<std::string> tables = {"holdfast.log",
                                     "holdfast.log_head",
                                     "holdfast.writers",
                                     "holdfast.open_operations",
                                     "holdfast.settled_operations",
                                     "holdfast.migrations"};
  for (const std::string& partition : partitions()) tables.push_back(partition);
  for (const std::string user : {"holdfast_proxy", "holdfast_audit"}) {
    for (const std::string& table : tables) {
      for (const std::string& attempt :
           {"INSERT INTO " + table + " DEFAULT VALUES", "DELETE FROM " + table, "TRUNCATE " + table,
            "DROP TABLE " + table}) {
        EXPECT_THAT(refusal(user, attempt),
                    ::testing::AnyOf(::testing::HasSubstr("permission denied"),
                                     ::testing::HasSubstr("must be owner")))
            << user << ": " << attempt;
      }
    }
    for (const std::string& attempt :
         {std::string("UPDATE holdfast.log SET kind = 'system'"),
          std::string("INSERT INTO holdfast.log VALUES (0, 'x', 'x', 'system', 'proxy') "
                      "ON CONFLICT (index) DO UPDATE SET entry = excluded.entry"),
          std::string("UPDATE holdfast.writers SET epoch = 9"),
          std::string("ALTER TABLE holdfast.log DISABLE TRIGGER ALL"),
          std::string("SET session_replication_role = replica")}) {
      EXPECT_NE(refusal(user, attempt), "") << user << ": " << attempt;
    }
  }
}

TEST_F(SchemaTest, only_the_audit_role_reads_the_log) {
  append({{.kind = "system", .operation = ""}});
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log", "holdfast_audit"), "1");
  EXPECT_NE(refusal("holdfast_proxy", "SELECT * FROM holdfast.log"), "");
}

TEST_F(SchemaTest, public_may_nothing) {
  EXPECT_EQ(
      value("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'holdfast' AND "
            "(p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) WHERE grantee = 0)) "
            "AND p.proowner = 'holdfast_owner'::regrole"),
      "0");
  EXPECT_EQ(value("SELECT count(*) FROM pg_namespace, aclexplode(nspacl) "
                  "WHERE nspname = 'holdfast' AND grantee = 0"),
            "0");
  // Functions with the owner's rights look names up in fixed places only.
  EXPECT_EQ(value("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                  "WHERE n.nspname = 'holdfast' AND p.prosecdef AND NOT coalesce("
                  "'search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)"),
            "0");
  EXPECT_EQ(value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'holdfast_owner'"), "f");
}

// The owner is stopped by triggers, each of which is needed.

TEST_F(SchemaTest, owner_cannot_change_the_log_through_the_parent) {
  for (const std::string attempt :
       {"UPDATE holdfast.log SET kind = kind WHERE false", "DELETE FROM holdfast.log WHERE false",
        "INSERT INTO holdfast.log VALUES (0, 'x', 'x', 'x', 'x') ON CONFLICT (index) "
        "DO UPDATE SET entry = excluded.entry"}) {
    EXPECT_THAT(as_owner(attempt), ::testing::HasSubstr("the audit log is append-only")) << attempt;
  }
  EXPECT_EQ(as_owner("TRUNCATE holdfast.log"),
            "the audit log is append-only: TRUNCATE of log refused");
}

TEST_F(SchemaTest, owner_cannot_change_any_partition_new_ones_too) {
  append({{.kind = "system", .operation = ""}});
  fill_last_partition();
  make_another_partition();
  fill_last_partition();
  const std::vector<std::string> all = partitions();
  ASSERT_GE(all.size(), 4U);
  for (const std::string& partition : all) {
    const std::string name = partition.substr(partition.find('.') + 1);
    EXPECT_EQ(as_owner("TRUNCATE " + partition),
              "the audit log is append-only: TRUNCATE of " + name + " refused");
    // A row of the owner's own where there is none yet, in a transaction that never ends well.
    const std::string bounds = value(
        "SELECT substring(pg_get_expr(relpartbound, oid) FROM '\\d+') FROM pg_class "
        "WHERE oid = '" +
        partition + "'::regclass");
    const std::string entry = entry_text("system", "proxy");
    const std::string row = "INSERT INTO " + partition + " VALUES (" + bounds + ", " +
                            as_sql(entry) + ", " + hash_of(entry) + ", 'system', 'proxy') ";
    EXPECT_EQ(
        as_owner(row + "ON CONFLICT (index) DO NOTHING; UPDATE " + partition + " SET kind = kind"),
        "the audit log is append-only: UPDATE of " + name + " refused");
    EXPECT_EQ(as_owner(row + "ON CONFLICT (index) DO NOTHING; DELETE FROM " + partition),
              "the audit log is append-only: DELETE of " + name + " refused");
    EXPECT_EQ(as_owner(row + "ON CONFLICT (index) DO NOTHING; " + row +
                       "ON CONFLICT (index) DO UPDATE SET kind = excluded.kind"),
              "the audit log is append-only: UPDATE of " + name + " refused");
  }
}

// A statement that finds no row is a try all the same, and the spare partition holds none.
TEST_F(SchemaTest, owner_cannot_even_try_on_an_empty_partition) {
  for (const std::string& partition : partitions()) {
    const std::string entry = entry_text("system", "proxy");
    const std::string bounds = value(
        "SELECT substring(pg_get_expr(relpartbound, oid) FROM '\\d+') FROM pg_class "
        "WHERE oid = '" +
        partition + "'::regclass");
    const std::string upsert = "INSERT INTO " + partition + " VALUES (" + bounds + ", " +
                               as_sql(entry) + ", " + hash_of(entry) +
                               ", 'system', 'proxy') ON CONFLICT (index) DO UPDATE SET kind = "
                               "excluded.kind";
    for (const std::string& attempt :
         {"UPDATE " + partition + " SET kind = kind", "DELETE FROM " + partition,
          "DELETE FROM " + partition + " WHERE false", upsert}) {
      EXPECT_THAT(as_owner(attempt), ::testing::HasSubstr("append-only")) << attempt;
    }
  }
}

// Each of them matters where another is missing or is passed by, so none may go unnoticed.
TEST_F(SchemaTest, each_trigger_of_a_partition_refuses_alone) {
  append({{.kind = "system", .operation = ""}});
  EXPECT_THAT(idle_triggers("holdfast.log_000000", "holdfast.log"), ::testing::IsEmpty());
}

TEST_F(SchemaTest, every_table_of_the_log_has_all_its_triggers) {
  make_another_partition();
  for (const std::string& partition : partitions()) {
    EXPECT_EQ(value("SELECT string_agg(tgtype::text || tgenabled::text, ',' ORDER BY tgtype) "
                    "FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '" +
                    partition + "'::regclass"),
              "26A,27A,34A")
        << partition;
  }
  EXPECT_EQ(value("SELECT string_agg(tgtype::text || tgenabled::text, ',' ORDER BY tgtype) "
                  "FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'holdfast.log'::regclass"),
            "26A,34A");
  // Those of the other tables whose rows never change, and of those whose rows never go.
  EXPECT_EQ(
      value("SELECT string_agg(relname || ' ' || types, E'\\n' ORDER BY relname) FROM (SELECT "
            "relname, string_agg(tgtype::text, ',' ORDER BY tgtype) AS types FROM pg_trigger "
            "JOIN pg_class c ON c.oid = tgrelid "
            "WHERE tgfoid = 'holdfast.refuse_change()'::regprocedure "
            "AND relname !~ '^log(_[0-9]+)?$' GROUP BY 1) t"),
      "anchor_evidence 26,27,34\n"
      "approval_history 58\n"
      "approvals 42\n"
      "dropped_ranges 58\n"
      "generations 42\n"
      "review_history 58\n"
      "reviews 42\n"
      "rule_files 42\n"
      "tokens 42\n"
      "tree_checkpoints 26,27,34\n"
      "tree_tiles 26,27,34");
}

TEST_F(SchemaTest, triggers_fire_in_every_session_mode) {
  EXPECT_EQ(value("SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                  "JOIN pg_namespace n ON n.oid = c.relnamespace "
                  "WHERE n.nspname = 'holdfast' AND NOT t.tgisinternal AND t.tgenabled <> 'A'"),
            "0");
  append({{.kind = "system", .operation = ""}});
  for (const std::string attempt :
       {"UPDATE holdfast.log_000000 SET kind = kind", "TRUNCATE holdfast.log_000001",
        "TRUNCATE holdfast.log", "DELETE FROM holdfast.log WHERE false"}) {
    EXPECT_THAT(refusal("postgres", "SET session_replication_role = replica; " + attempt),
                ::testing::HasSubstr("append-only"))
        << attempt;
  }
}

// Partitions.

TEST_F(SchemaTest, a_spare_partition_is_always_ahead) {
  EXPECT_EQ(partitions().size(), 2U);
  make_another_partition();
  EXPECT_EQ(partitions().size(), 2U);
  sql("postgres", "UPDATE holdfast.log_head SET next_index = 4194303");
  EXPECT_THAT(append({{.kind = "system", .operation = ""}, {.kind = "system", .operation = ""}}),
              ElementsAre("4194303", "4194304"));
  EXPECT_EQ(value("SELECT spare FROM holdfast.renew_lease('" + std::string(kWriter) +
                      "', 1, '60 seconds')",
                  "holdfast_proxy"),
            "f");
  make_another_partition();
  EXPECT_EQ(partitions().size(), 3U);
  EXPECT_EQ(value("SELECT spare FROM holdfast.renew_lease('" + std::string(kWriter) +
                      "', 1, '60 seconds')",
                  "holdfast_proxy"),
            "t");
}

TEST_F(SchemaTest, without_a_partition_nothing_is_appended) {
  sql("postgres", "UPDATE holdfast.log_head SET next_index = partitions_end");
  EXPECT_THAT(refusal("holdfast_proxy",
                      append_call("proxy", kWriter, "1", {{.kind = "system", .operation = ""}})),
              ::testing::HasSubstr("no partition"));
}

// Operations, epochs and leases.

TEST_F(SchemaTest, exactly_one_terminal_record) {
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(1)}}), ElementsAre("0"));
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(1)}}), ElementsAre("already_open"));
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(1)},
                      {.kind = "outcome", .operation = operation(1)},
                      {.kind = "system", .operation = ""}}),
              ElementsAre("1", "closed", "2"));
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(1)}}), ElementsAre("closed"));
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(2)}}), ElementsAre("closed"));
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.log"), "3");
}

TEST_F(SchemaTest, one_refused_entry_does_not_refuse_its_batch) {
  append({{.kind = "intent", .operation = operation(1)}});
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(2)},
                      {.kind = "intent", .operation = operation(1)},
                      {.kind = "outcome", .operation = operation(9)},
                      {.kind = "intent", .operation = operation(3)},
                      {.kind = "intent", .operation = operation(3)},
                      {.kind = "outcome", .operation = operation(1)}}),
              ElementsAre("1", "already_open", "closed", "2", "already_open", "3"));
  EXPECT_EQ(value("SELECT string_agg(intent_index::text, ',' ORDER BY intent_index) "
                  "FROM holdfast.open_operations"),
            "1,2");
}

TEST_F(SchemaTest, what_a_batch_ends_does_not_begin_in_it) {
  append({{.kind = "intent", .operation = operation(1)}});
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(1)},
                      {.kind = "outcome", .operation = operation(1)}}),
              ElementsAre("already_open", "1"));
  append({{.kind = "intent", .operation = operation(2)}});
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(2)},
                      {.kind = "intent", .operation = operation(2)}}),
              ElementsAre("3", "already_open"));
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
}

TEST_F(SchemaTest, intents_of_another_generation_are_refused_beside_others) {
  const auto append_of = [&](const std::string& generations, int first) {
    std::string call = append_call("proxy", kWriter, "1",
                                   {{.kind = "intent", .operation = operation(first)},
                                    {.kind = "outcome", .operation = operation(99)},
                                    {.kind = "intent", .operation = operation(first + 1)}});
    const std::string end = "]::uuid[]";
    call.insert(call.rfind(end) + end.size(), ", generations => " + generations);
    std::vector<std::string> results;
    for (const pqxx::row& row : sql("holdfast_proxy", call)) results.emplace_back(row[0].c_str());
    return results;
  };
  EXPECT_THAT(append_of("'{7,NULL,7}'", 1), ElementsAre("generation", "closed", "generation"));
  sql("postgres",
      "INSERT INTO holdfast.generations (number, sha256, state, offered_at, offer, writer) "
      "VALUES (7, 'x', 'active', now(), '{}', '" +
          std::string(kWriter) + "')");
  EXPECT_THAT(append_of("'{7,NULL,7}'", 1), ElementsAre("0", "closed", "1"));
  EXPECT_THAT(append_of("'{7,NULL,6}'", 3), ElementsAre("2", "closed", "generation"));
  EXPECT_THAT(append_of("'{NULL,7,7}'", 5), ElementsAre("generation", "closed", "3"));
  EXPECT_THAT(append_of("NULL", 7), ElementsAre("generation", "closed", "generation"));
}

TEST_F(SchemaTest, refusals_of_rules_stand_beside_those_of_intents) {
  const auto approval = [](const std::string& kind) {
    return R"({"id":"x","kind":")" + kind +
           R"(","rules":{"event":"approved","generation":1},"writer":{"id":"x","role":"proxy"}})";
  };
  // What such a record says counts in records of its kind alone.
  EXPECT_THAT(append({{.kind = "system", .operation = "", .entry = approval("system")},
                      {.kind = "rules", .operation = "", .entry = approval("rules")},
                      {.kind = "intent", .operation = operation(1)},
                      {.kind = "intent", .operation = operation(1)}}),
              ElementsAre("0", "generation", "1", "already_open"));
}

TEST_F(SchemaTest, earlier_epoch_is_fenced) {
  EXPECT_EQ(epoch(kWriter), "2");
  EXPECT_THAT(refusal("holdfast_proxy",
                      append_call("proxy", kWriter, "1", {{.kind = "system", .operation = ""}})),
              ::testing::HasSubstr("is not at epoch 1"));
  EXPECT_THAT(append({{.kind = "system", .operation = ""}}, "2"), ElementsAre("0"));
}

TEST_F(SchemaTest, raising_the_epoch_waits_for_the_lost_backend) {
  pqxx::connection lost(database("holdfast_proxy").url);
  pqxx::work uncommitted(lost);
  uncommitted.exec(
      append_call("proxy", kWriter, "1", {{.kind = "intent", .operation = operation(1)}}));
  auto raised = std::async(std::launch::async, [this] { return epoch(kWriter); });
  ASSERT_TRUE(testing::eventually([this] {
    return value(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
               "AND query LIKE '%raise_epoch%' AND datname = current_database()") != "0";
  }));
  uncommitted.commit();
  EXPECT_EQ(raised.get(), "2");
  // What it had sent is there to be read now.
  EXPECT_EQ(
      value("SELECT count(*) FROM holdfast.own_open_operations('" + std::string(kWriter) + "', 2)",
            "holdfast_proxy"),
      "1");
}

TEST_F(SchemaTest, expired_lease_refuses_intents_and_nothing_else) {
  append({{.kind = "intent", .operation = operation(1)}});
  sql("postgres", "UPDATE holdfast.writers SET lease_until = clock_timestamp()");
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(2)},
                      {.kind = "outcome", .operation = operation(1)}}),
              ElementsAre("lease_expired", "1"));
  sql("holdfast_proxy", "SELECT holdfast.renew_lease('" + std::string(kWriter) + "', 1, '9 s')");
  EXPECT_THAT(append({{.kind = "intent", .operation = operation(2)}}), ElementsAre("2"));
}

TEST_F(SchemaTest, open_operations_are_found_without_reading_the_log) {
  for (int i = 0; i < 20; ++i) {
    append(std::vector<Given>(50, {.kind = "system", .operation = ""}));
    append({{.kind = "intent", .operation = operation(i)}});
    append({{.kind = "outcome", .operation = operation(i)}});
  }
  append({{.kind = "intent", .operation = operation(99)}});
  sql("postgres", "UPDATE holdfast.writers SET lease_until = clock_timestamp()");
  const std::vector<std::pair<std::string, std::string>> questions = {
      {"holdfast_audit", "holdfast.expired_operations(512)"},
      {"holdfast_proxy", "holdfast.own_open_operations('" + std::string(kWriter) + "', 1)"}};
  for (const auto& [user, question] : questions) {
    pqxx::connection connection(database(user).url);
    pqxx::work transaction(connection);
    EXPECT_EQ(transaction.exec("SELECT FROM " + question).size(), 1U);
    EXPECT_EQ(transaction
                  .exec("SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) "
                        "FROM pg_stat_xact_all_tables WHERE relname ~ '^log_0'")[0][0]
                  .as<int>(),
              1)
        << question;
  }
}

TEST_F(SchemaTest, outcomes_are_found_indexed_or_not_without_reading_the_log) {
  const auto outcome = [](int number) {
    return R"({"id":"30000000-0000-4000-8000-00000000000)" + std::to_string(number) +
           R"(","kind":"outcome","operation_id":")" + operation(number) +
           R"(","outcome":{"result":"executed"},"time":"2026-10-05T08:00:00.000000Z","v":1,)"
           R"("writer":{"id":"x","role":"proxy"}})";
  };
  for (int i = 1; i <= 3; ++i) {
    append({{.kind = "intent", .operation = operation(i)}});
    append({{.kind = "outcome", .operation = operation(i), .entry = outcome(i)}});
  }
  const auto hashes = [this](const std::string& indexes) {
    return value(
        "SELECT string_agg(encode(leaf_hash, 'hex'), ' ' ORDER BY index) "
        "FROM holdfast.log WHERE index IN (" +
        indexes + ")");
  };
  const auto found = [this](const std::string& operations) {
    return value(
        "SELECT string_agg(encode(leaf_hash, 'hex'), ' ' ORDER BY operation_id) "
        "FROM holdfast.outcomes_of('{" +
            operations + "}')",
        "holdfast_proxy");
  };
  const std::string some = operation(1) + "," + operation(2) + "," + operation(9);
  for (const char* next :
       {"derive_search(3)", "index_search(100)", "derive_search(100)", "index_search(100)"}) {
    EXPECT_EQ(found(some), hashes("1, 3")) << next;
    sql("holdfast_audit", std::string("SELECT holdfast.") + next);
  }
  EXPECT_EQ(found(some), hashes("1, 3"));
  EXPECT_EQ(found(operation(9)), "");
  {
    pqxx::connection connection(database("holdfast_proxy").url);
    pqxx::work transaction(connection);
    transaction.exec("SELECT FROM holdfast.outcomes_of('{" + operation(1) + "}')");
    EXPECT_EQ(transaction
                  .exec("SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) "
                        "FROM pg_stat_xact_all_tables WHERE relname ~ '^log_0'")[0][0]
                  .as<int>(),
              1);
  }
  // Where search is far behind, what is old is left alone.
  sql("postgres",
      "SELECT holdfast.rebuild_search(); UPDATE holdfast.log_head SET next_index = 100002");
  EXPECT_EQ(found(some), hashes("3"));
  EXPECT_NE(refusal("holdfast_audit", "SELECT holdfast.outcomes_of('{}')"), "");
}

TEST_F(SchemaTest, only_expired_operations_are_settled_and_only_as_unknown) {
  append({{.kind = "intent", .operation = operation(1)}});
  epoch(kOther, "holdfast_audit");
  const auto settle = [](const std::string& result) {
    return append_call("audit", kOther, "1",
                       {{.kind = "outcome",
                         .operation = operation(1),
                         .entry = entry_text("outcome", "audit", result)}});
  };
  EXPECT_EQ(value(settle("unknown"), "holdfast_audit"), "not_expired");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.expired_operations(10)", "holdfast_audit"), "0");
  sql("postgres", std::string("UPDATE holdfast.writers SET lease_until = clock_timestamp() "
                              "WHERE id = '") +
                      kWriter + "'");
  EXPECT_EQ(value("SELECT operation_id FROM holdfast.expired_operations(10)", "holdfast_audit"),
            operation(1));
  EXPECT_THAT(refusal("holdfast_audit", settle("executed")),
              ::testing::HasSubstr("only be settled as unknown"));
  EXPECT_EQ(value(settle("unknown"), "holdfast_audit"), "1");
  EXPECT_EQ(value(settle("unknown"), "holdfast_audit"), "settled");
  EXPECT_THAT(append({{.kind = "outcome", .operation = operation(1)}}), ElementsAre("settled"));
}

TEST_F(SchemaTest, one_writer_cannot_end_the_operations_of_another) {
  append({{.kind = "intent", .operation = operation(1)}});
  epoch(kOther);
  EXPECT_EQ(
      value(append_call("proxy", kOther, "1", {{.kind = "outcome", .operation = operation(1)}}),
            "holdfast_proxy"),
      "not_expired");
}

TEST_F(SchemaTest, indexes_stay_dense_under_a_race_of_four_writers) {
  std::vector<std::future<void>> writers;
  for (int w = 0; w < 4; ++w) {
    writers.push_back(std::async(std::launch::async, [this, w] {
      const std::string id = "30000000-0000-4000-8000-00000000000" + std::to_string(w);
      pqxx::connection connection(database("holdfast_proxy").url);
      pqxx::nontransaction transaction(connection);
      transaction.exec("SELECT holdfast.raise_epoch('" + id + "', '60 s')");
      for (int i = 0; i < 40; ++i) {
        const std::string one = operation(w * 1000 + i);
        transaction.exec(append_call("proxy", id, "1",
                                     {{.kind = "intent", .operation = one},
                                      {.kind = "outcome", .operation = operation(999999)},
                                      {.kind = "decision", .operation = operation(1)}}));
        transaction.exec(append_call("proxy", id, "1", {{.kind = "outcome", .operation = one}}));
      }
    }));
  }
  for (auto& writer : writers) writer.get();
  EXPECT_EQ(value("SELECT count(*) || ' ' || min(index) || ' ' || max(index) FROM holdfast.log"),
            "480 0 479");
  EXPECT_EQ(value("SELECT next_index FROM holdfast.log_head"), "480");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "0");
}

}  // namespace
}  // namespace holdfast::audit
