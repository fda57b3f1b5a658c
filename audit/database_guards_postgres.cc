// check_database_guards(): see audit/log_reader_postgres.h.
#include <pqxx/pqxx>
#include <set>

#include "audit/damage_postgres.h"
#include "audit/log_reader_postgres.h"
#include "audit/queries_session_postgres.h"
#include "audit/shipped_functions.h"
#include "audit/shipped_tables.h"

namespace holdfast::audit {
namespace {

constexpr const char* kCannotBeChecked = "what protects the tables cannot be checked";

// Which trigger each table needs, and that it fires in every session mode (tgenabled 'A') whatever
// the row and column. In tgtype 1 means for each row, 8 DELETE, 24 UPDATE and DELETE, 32 TRUNCATE.
// The partitioned table holds no rows of its own; approvals, reviews, generations and tokens are
// changed by the functions that decide them.
constexpr const char* kMissingTriggers = R"(
WITH kept AS (
  SELECT c.oid, c.relname, c.relkind = 'p' AS parted
    FROM pg_class c
    WHERE c.relnamespace = 'holdfast'::regnamespace
      AND (c.relname IN ('log', 'tree_tiles', 'tree_checkpoints', 'anchor_evidence')
           OR EXISTS (SELECT FROM pg_inherits i
                      WHERE i.inhrelid = c.oid AND i.inhparent = 'holdfast.log'::regclass))),
needed AS (
  SELECT k.oid, k.relname, n.mask, n.bits, n.name
    FROM kept k, (VALUES (25, 24, 'UPDATE and DELETE'), (25, 25, 'UPDATE and DELETE of a row'),
                         (32, 32, 'TRUNCATE')) AS n (mask, bits, name)
    WHERE NOT (k.parted AND n.bits = 25)
  UNION ALL
  SELECT to_regclass(format('holdfast.%I', n.relname)), n.relname, n.mask, n.bits, n.name
    FROM (VALUES ('approval_history', 25, 24, 'UPDATE and DELETE'),
                 ('approval_history', 32, 32, 'TRUNCATE'), ('approvals', 9, 8, 'DELETE'),
                 ('approvals', 32, 32, 'TRUNCATE'),
                 ('dropped_ranges', 25, 24, 'UPDATE and DELETE'),
                 ('dropped_ranges', 32, 32, 'TRUNCATE'), ('generations', 9, 8, 'DELETE'),
                 ('generations', 32, 32, 'TRUNCATE'),
                 ('review_history', 25, 24, 'UPDATE and DELETE'),
                 ('review_history', 32, 32, 'TRUNCATE'), ('reviews', 9, 8, 'DELETE'),
                 ('reviews', 32, 32, 'TRUNCATE'), ('rule_files', 9, 8, 'DELETE'),
                 ('rule_files', 32, 32, 'TRUNCATE'), ('tokens', 9, 8, 'DELETE'),
                 ('tokens', 32, 32, 'TRUNCATE')) AS n (relname, mask, bits, name))
SELECT n.relname, n.name FROM needed n
  WHERE NOT EXISTS (
    SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = n.oid AND t.tgenabled = 'A' AND t.tgtype & n.mask = n.bits
        AND t.tgtype & 2 = 2 AND t.tgqual IS NULL AND t.tgattr::text = ''
        AND p.proname = 'refuse_change' AND p.pronamespace = 'holdfast'::regnamespace)
  ORDER BY 1, 2)";

// Which role could change which table: one that runs Holdfast in whatever way, every other by a
// grant.
constexpr const char* kWritable = R"(
WITH kept AS (
  SELECT c.oid, c.relname, c.relowner, c.relacl FROM pg_class c
    WHERE c.relnamespace = 'holdfast'::regnamespace AND c.relkind IN ('r', 'p')),
granted AS (
  SELECT k.relname, k.relowner, a.* FROM kept k, aclexplode(k.relacl) a
  UNION ALL
  SELECT k.relname, k.relowner, a.*
    FROM kept k JOIN pg_attribute c ON c.attrelid = k.oid, aclexplode(c.attacl) a)
SELECT r.rolname, k.relname FROM pg_roles r, kept k
  WHERE r.rolname IN ('holdfast_proxy', 'holdfast_audit', 'holdfast_retention')
    AND (has_table_privilege(r.oid, k.oid,
                             'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
         OR has_any_column_privilege(r.oid, k.oid, 'INSERT, UPDATE, REFERENCES')
         OR pg_has_role(r.oid, k.relowner, 'MEMBER'))
UNION
SELECT coalesce(r.rolname, 'PUBLIC'), g.relname
  FROM granted g LEFT JOIN pg_roles r ON r.oid = g.grantee
  WHERE g.grantee <> g.relowner AND g.privilege_type <> 'SELECT' AND r.rolsuper IS NOT TRUE
  ORDER BY 1, 2)";

// What no migration makes, each as a fault: code that runs when a table is used, rows hidden from
// whoever asks, ways to be the owner. All triggers that there are run refuse_change(), and
// PostgreSQL's own keep the references; an object identifier below 16384 is of PostgreSQL itself.
// Extensions may bring event triggers, in C. Superusers, the owners of the database and those who
// may make roles are its administrators: one of them has migrated it, which makes members.
constexpr const char* kStrange = R"(
WITH kept AS (
  SELECT c.* FROM pg_class c WHERE c.relnamespace = 'holdfast'::regnamespace)
SELECT format('the trigger %s on the table %s is none that Holdfast has', t.tgname, k.relname)
  FROM kept k JOIN pg_trigger t ON t.tgrelid = k.oid JOIN pg_proc p ON p.oid = t.tgfoid
  WHERE NOT (t.tgisinternal AND p.oid < 16384)
    AND NOT (p.proname = 'refuse_change' AND p.pronamespace = 'holdfast'::regnamespace
             AND t.tgtype & 4 = 0)
UNION ALL
SELECT format('the rule %s rewrites what is asked of the table %s', r.rulename, k.relname)
  FROM kept k JOIN pg_rewrite r ON r.ev_class = k.oid
  WHERE NOT (k.relkind IN ('v', 'm') AND r.rulename = '_RETURN')
UNION ALL
SELECT format('row security is on for the table %s', k.relname)
  FROM kept k WHERE k.relrowsecurity OR k.relforcerowsecurity
UNION ALL
SELECT format('the policy %s hides rows of the table %s', p.polname, k.relname)
  FROM kept k JOIN pg_policy p ON p.polrelid = k.oid
UNION ALL
SELECT format('the event trigger %s is none that Holdfast has', e.evtname)
  FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
  JOIN pg_language l ON l.oid = p.prolang
  WHERE e.evtenabled <> 'D'
    AND NOT (l.lanname = 'c' AND EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid
                                AND d.deptype = 'e'))
UNION ALL
SELECT format('the table %s belongs to %s, not to holdfast_owner', k.relname, r.rolname)
  FROM kept k JOIN pg_roles r ON r.oid = k.relowner
  WHERE k.relkind IN ('r', 'p') AND r.rolname <> 'holdfast_owner' AND NOT r.rolsuper
UNION ALL
SELECT format('the role %s may add to the schema', coalesce(r.rolname, 'PUBLIC'))
  FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE n.nspname = 'holdfast' AND a.grantee <> n.nspowner AND a.privilege_type = 'CREATE'
    AND r.rolsuper IS NOT TRUE
UNION ALL
SELECT format('the role %s %s', r.rolname, f.what)
  FROM pg_roles r, LATERAL (VALUES (r.rolcanlogin, 'may log in'),
                                   (r.rolsuper, 'is a superuser')) AS f (is_so, what)
  WHERE r.rolname = 'holdfast_owner' AND f.is_so
UNION ALL
SELECT format('the role %s may become holdfast_owner', r.rolname)
  FROM pg_roles r JOIN pg_database d ON d.datname = current_database()
  WHERE r.rolname <> 'holdfast_owner' AND NOT r.rolsuper AND NOT r.rolcreaterole
    AND pg_has_role(r.oid, to_regrole('holdfast_owner')::oid, 'MEMBER')
    AND NOT pg_has_role(r.oid, d.datdba, 'MEMBER')
ORDER BY 1)";

// What each temporary table is made of and its namesake is not, and the other way round; each
// partition of the log is made as the log is, and what was not valid for the rows that the first
// one had is valid in those that came later. The columns: the table, what, whether it is missing.
constexpr const char* kMadeOtherwise = R"(
WITH pairs AS (
  SELECT s.oid AS shipped, f.oid AS found, coalesce(f.relname, s.relname) AS relname
    FROM pg_class s
    LEFT JOIN pg_class f ON f.relnamespace = 'holdfast'::regnamespace AND f.relkind IN ('r', 'p')
      AND (f.relname = s.relname OR s.relname = 'log' AND EXISTS (
             SELECT FROM pg_inherits i
               WHERE i.inhrelid = f.oid AND i.inhparent = 'holdfast.log'::regclass))
    WHERE s.relnamespace = pg_my_temp_schema() AND s.relkind IN ('r', 'p')),
parts AS MATERIALIZED (
  SELECT c.conrelid AS oid, pg_get_constraintdef(c.oid) AS what
    FROM pg_constraint c
    WHERE c.contype IN ('c', 'p', 'u')
      AND c.conrelid IN (SELECT shipped FROM pairs UNION ALL SELECT found FROM pairs)
  UNION ALL
  SELECT a.attrelid, concat(a.attname, ' ', format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attnotnull THEN ' NOT NULL' END,
      CASE WHEN a.attidentity <> '' THEN ' IDENTITY ' || a.attidentity::text END,
      ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
      AND a.attrelid IN (SELECT shipped FROM pairs UNION ALL SELECT found FROM pairs))
SELECT p.relname, w.what, w.missing
  FROM pairs p, LATERAL (
    SELECT s.what, true AS missing FROM parts s
      WHERE s.oid = p.shipped AND NOT EXISTS (
        SELECT FROM parts f WHERE f.oid = p.found AND s.what IN (f.what, f.what || ' NOT VALID'))
    UNION ALL
    SELECT f.what, false FROM parts f
      WHERE f.oid = p.found AND NOT EXISTS (
        SELECT FROM parts s
          WHERE s.oid = p.shipped AND s.what IN (f.what, f.what || ' NOT VALID'))) w
  WHERE p.found IS NOT NULL
UNION ALL
SELECT p.relname, 'all that it is made of', true FROM pairs p WHERE p.found IS NULL
  ORDER BY 1, 3, 2)";

// Subjects that are erased and whose erasure no record tells of just so, and the other way round:
// the subject, as far as the record names one, and the record. Whatever may stand in a record
// there, it is read as far as it can be. Of a record that retention has dropped nothing can be
// said.
constexpr const char* kUntoldErasures = R"(
WITH told AS MATERIALIZED (
  SELECT l.index, s.said, ARRAY(
      SELECT CASE WHEN value ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN value::uuid END
        FROM jsonb_array_elements_text(
          CASE jsonb_typeof(s.said -> 'subjects') WHEN 'array' THEN s.said -> 'subjects' END)
        ORDER BY 1) AS subjects
    FROM holdfast.log l,
         LATERAL (SELECT convert_from(l.entry, 'UTF8')::jsonb -> 'system' AS said) s
    WHERE l.role = 'retention' AND s.said ->> 'event' = 'subject_erased' AND l.index IN (
        SELECT r.index FROM holdfast.record_search r WHERE r.kind = 'system'
        UNION SELECT e.record_index FROM holdfast.subjects e
        UNION SELECT t.index FROM holdfast.log t, holdfast.search_state d
          WHERE t.index >= d.derived AND t.kind = 'system'))
SELECT s.id::text, NULL FROM holdfast.subjects s
  WHERE s.record_index IS NOT NULL
    AND NOT EXISTS (SELECT FROM told t WHERE t.index = s.record_index AND s.id = ANY (t.subjects))
    AND NOT EXISTS (SELECT FROM holdfast.dropped_ranges d
                      WHERE s.record_index >= d.first AND s.record_index < d.until)
UNION ALL
SELECT t.subjects[1]::text, t.index FROM told t
  WHERE cardinality(t.subjects) <> (
          SELECT count(*) FROM holdfast.subjects s
            WHERE s.id = ANY (t.subjects) AND s.record_index = t.index)
     OR cardinality(t.subjects) = 0
     OR t.said ->> 'documents_sha256' IS DISTINCT FROM (
          SELECT encode(sha256(convert_to(coalesce(string_agg(
              d.index || ' ' || d.place || E'\n', '' ORDER BY d.index, d.place), ''), 'UTF8')), 'hex')
            FROM holdfast.sealed_documents d WHERE d.subject = ANY (t.subjects))
  ORDER BY 1)";

// Every function of the schema. `same`: its definition, from the arguments on, is that of the
// temporary one, where there is one.
constexpr const char* kFunctions = R"(
SELECT p.proname, p.prosrc, pg_get_userbyid(p.proowner) AS owner, (
    SELECT coalesce(string_agg(coalesce(r.rolname, 'PUBLIC'), ', ' ORDER BY r.rolname), 'nobody')
      FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
      LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE a.grantee <> p.proowner) AS roles,
    CASE WHEN t.oid IS NULL THEN true WHEN p.prokind <> 'f' THEN false
      ELSE substr(pg_get_functiondef(p.oid), strpos(pg_get_functiondef(p.oid), '('))
         = substr(pg_get_functiondef(t.oid), strpos(pg_get_functiondef(t.oid), '(')) END AS same,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                      AND d.deptype = 'e') AS of_extension
  FROM pg_proc p
  LEFT JOIN pg_proc t ON t.pronamespace = pg_my_temp_schema() AND t.proname = p.proname
  WHERE p.pronamespace = 'holdfast'::regnamespace
  ORDER BY 1)";

void check_triggers(pqxx::transaction_base& transaction, Faults& faults) {
  for (const pqxx::row& row : transaction.exec(kMissingTriggers)) {
    faults.add_general(std::string("nothing refuses ") + row[1].c_str() + " on the table " +
                       row[0].c_str());
  }
}

void check_rights(pqxx::transaction_base& transaction, Faults& faults) {
  for (const pqxx::row& row : transaction.exec(kWritable)) {
    faults.add_general(std::string("the role ") + row[0].c_str() + " may write the table " +
                       row[1].c_str());
  }
}

void check_for_strangers(pqxx::transaction_base& transaction, Faults& faults) {
  for (const pqxx::row& row : transaction.exec(kStrange)) faults.add_general(row[0].c_str());
}

void check_erasures(pqxx::transaction_base& transaction, Faults& faults) {
  for (const pqxx::row& row : transaction.exec(kUntoldErasures)) {
    std::string what =
        std::string("the subject ") + row[0].c_str() + " is not erased as a record of it says";
    if (row[0].is_null()) what = "the record of an erasure names no subjects";
    if (row[1].is_null()) {
      faults.add_general(std::move(what));
    } else {
      faults.add(row[1].as<std::uint64_t>(), std::move(what));
    }
  }
}

std::string names_of(const std::set<std::string_view>& roles) {
  std::string names;
  for (const std::string_view role : roles) {
    names += names.empty() ? "" : ", ";
    names += role;
  }
  return names.empty() ? "nobody" : names;
}

void check_function(const pqxx::row& row, const ShippedFunction& shipped, Faults& faults) {
  const std::string which = std::string("the function ") + row["proname"].c_str();
  if (shipped.body != row["prosrc"].c_str() || !row["same"].as<bool>()) {
    faults.add_general(which + " is not the one that this version of Holdfast has");
  }
  if (row["owner"].as<std::string>() != "holdfast_owner") {
    faults.add_general(which + " belongs to " + row["owner"].c_str() + ", not to holdfast_owner");
  }
  if (const std::string roles = names_of(shipped.roles); roles != row["roles"].c_str()) {
    faults.add_general(which + " may be executed by " + row["roles"].c_str() + ", not by " + roles);
  }
}

// Where none can be made, on a standby, only bodies are compared, owners and who may execute them.
void check_functions(pqxx::transaction_base& transaction, bool can_make, Faults& faults) {
  const ShippedFunctions shipped = shipped_functions(migrations());
  if (can_make) {
    transaction.exec("SET LOCAL check_function_bodies = off;\n" + temporary_functions(shipped));
  }
  std::set<std::string> found;
  for (const pqxx::row& row : transaction.exec(kFunctions)) {
    const std::string name = row["proname"].c_str();
    const auto expected = shipped.find(name);
    const bool known = expected != shipped.end() && found.insert(name).second;
    if (known) {
      check_function(row, expected->second, faults);
    } else if (!row["of_extension"].as<bool>()) {
      faults.add_general("the function " + name +
                         " is not the one that this version of Holdfast has");
    }
  }
  for (const auto& [name, function] : shipped) {
    if (!found.contains(std::string(name))) {
      faults.add_general("the database lacks the function " + std::string(name));
    }
  }
}

void check_tables(pqxx::transaction_base& transaction, Faults& faults) {
  transaction.exec(temporary_tables(migrations()));
  for (const pqxx::row& row : transaction.exec(kMadeOtherwise)) {
    const char* how = row[2].as<bool>() ? " lacks: " : " has what no migration makes: ";
    faults.add_general(std::string("the table ") + row[0].c_str() + how + row[1].c_str());
  }
}

}  // namespace

Result<Faults> check_database_guards(const DatabaseAccess& access) {
  Faults faults;
  DatabaseSession session(access, DatabaseSession::WhenBroken::kReport);
  const Status status = session.run([&](pqxx::connection& connection) {
    {
      pqxx::transaction<pqxx::read_committed, pqxx::read_only> transaction(connection);
      for (const auto check : {check_triggers, check_rights, check_for_strangers}) {
        check_part(transaction, access.database, kCannotBeChecked, faults,
                   [&](auto& part) { check(part, faults); });
      }
      check_part(transaction, access.database, "what is erased cannot be held against the records",
                 faults, [&](auto& part) { check_erasures(part, faults); });
    }
    // What is made to compare with goes when this is rolled back.
    pqxx::work never_committed(connection);
    const bool can_make = !never_committed.exec1("SELECT pg_is_in_recovery()")[0].as<bool>();
    check_part(never_committed, access.database, kCannotBeChecked, faults,
               [&](auto& part) { check_functions(part, can_make, faults); });
    if (!can_make) return;
    check_part(never_committed, access.database, kCannotBeChecked, faults,
               [&](auto& part) { check_tables(part, faults); });
  });
  if (!status.ok()) return status.error();
  return faults;
}

}  // namespace holdfast::audit
