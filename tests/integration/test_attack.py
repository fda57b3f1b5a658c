"""What a superuser of the database can do to the log, and who notices: `verify` by itself, a checkpoint
that somebody kept outside, the leader that freezes, or PostgreSQL, which refuses.

Each case has a database of its own, a copy of one log that Holdfast wrote."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import re
import tempfile
import unittest
import uuid

import tlog
from anchors import Witness
from forger import literal, only_checkpoint, signed_note, tiles_of
from service import Service, fetch
from shared_log import Database, SharedLog, wait_until
from stack import free_ports
from timestamp_authority import TimestampAuthority

GUARDED = ("log", "log_000000", "tree_tiles", "tree_checkpoints", "anchor_evidence")
# Triggers off, and on again as they were, so that nothing but the change itself is there to be seen.
OFF = "".join(f"ALTER TABLE holdfast.{table} DISABLE TRIGGER USER;\n" for table in GUARDED)
ON = """
DO $$ DECLARE t record; BEGIN
  FOR t IN SELECT c.relname, g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
           WHERE NOT g.tgisinternal AND c.relname IN ('log', 'log_000000', 'tree_tiles',
                                                      'tree_checkpoints', 'anchor_evidence')
             AND c.relnamespace = 'holdfast'::regnamespace LOOP
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I', t.relname, t.tgname);
  END LOOP;
END $$;
"""
# Another entry in the place of one, still in the form of one.
CHANGED = "convert_to(replace(convert_from(entry, 'UTF8'), '\"POST\"', '\"PUSH\"'), 'UTF8')"
LEAF = "sha256('\\x00'::bytea || {})"
CHANGE = f"UPDATE holdfast.log SET entry = {CHANGED}, leaf_hash = {LEAF.format(CHANGED)} "
SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema"
DERIVE = "SELECT holdfast.rebuild_search(); SELECT holdfast.derive_search(1000000);"


def definition(migration, function):
    """The statement that made it there, as one that also replaces."""
    text = (SCHEMA / f"{migration}.sql").read_text()
    made = re.search(rf"CREATE (OR REPLACE )?(FUNCTION holdfast\.{function}\(.*?\nEND \$\$;)", text,
                     re.DOTALL)
    return f"CREATE OR REPLACE {made[2]}"


class Attack(unittest.TestCase):
    def setUp(self):
        self.log = SharedLog.load()
        self.database = Database(self.log)
        self.addCleanup(self.database.drop)
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.log.folder))

    def sql(self, text):
        return self.database.sql(text)

    def tamper(self, text):
        self.sql(f"BEGIN;\n{OFF}{text};\n{ON}COMMIT")

    def seen_by_verify(self, what, index=None, arguments=()):
        """`verify` ends with status 1 and says that; with the index where one is given."""
        status, output, errors = self.database.verify(*arguments)
        self.assertEqual(status, 1, output + errors)
        self.assertRegex(output, what)
        if index is not None:
            self.assertRegex(output, rf"(?m)^first bad index {index}$")
            self.assertRegex(errors, rf"index {index}: ")
        return output

    def not_seen_by_verify(self):
        status, output, errors = self.database.verify()
        self.assertEqual(status, 0, output + errors)

    def seen_with_a_kept_checkpoint(self, what, kept=None):
        """By nobody who looks at the log alone, which is one that could have been; but by whoever has
        kept a checkpoint."""
        self.not_seen_by_verify()
        return self.seen_by_verify(what, arguments=("--checkpoint", kept or self.log.newest))

    def entries(self):
        rows = self.sql("SELECT encode(entry, 'hex') FROM holdfast.log ORDER BY index").split()
        return [bytes.fromhex(row) for row in rows]

    def rewrite(self, change, key=None):
        """All records anew, and everything that is computed from them, signed."""
        entries = [change(index, entry) for index, entry in enumerate(self.entries())]
        leaves = [tlog.leaf_hash(entry) for entry in entries]
        root = tlog.root_of(leaves)
        note = signed_note(self.log.origin, key or f"{self.log.folder}/log.key", len(entries), root)
        rows = ", ".join(f"({index}, {literal(entry)})" for index, entry in enumerate(entries))
        self.tamper(f"""
            UPDATE holdfast.log l SET entry = made.entry,
                leaf_hash = sha256('\\x00'::bytea || made.entry)
              FROM (VALUES {rows}) AS made (index, entry) WHERE made.index = l.index;
            {tiles_of(leaves)}
            {only_checkpoint(len(entries), root, note)}
            {DERIVE}""")
        path = self.folder / "note"
        path.write_text(note)
        return str(path)

    def roll_back(self, size):
        """Everything as it was when the log had so many records and a checkpoint."""
        self.tamper(f"""
            DELETE FROM holdfast.log WHERE index >= {size};
            UPDATE holdfast.log_head SET next_index = {size};
            DELETE FROM holdfast.tree_tiles WHERE (index + 1) * 256 * 256 ^ level > {size};
            DELETE FROM holdfast.tree_checkpoints WHERE size > {size};
            DELETE FROM holdfast.record_search WHERE index >= {size};
            UPDATE holdfast.search_state SET derived = {size}""")

    def old_size(self):
        return int(pathlib.Path(self.log.old).read_text().splitlines()[1])

    def append(self, kind, operation=None, outcome="", approval="", time="2099-01-01T00:00:00.000000Z",
               writer=None):
        """A forged record at the end, by the proxy; its index."""
        call = f'"operation_id":"{operation}",' if operation else ""
        entry = (f'{{{approval}"id":"{uuid.uuid4()}","kind":"{kind}",{call}{outcome}'
                 f'"time":"{time}","v":1,"writer":{{"id":"{writer or uuid.uuid4()}",'
                 '"role":"proxy"}}')
        return self.append_entry(kind, entry)

    def append_entry(self, kind, entry):
        return int(self.sql(f"""
            INSERT INTO holdfast.log SELECT next_index, e, {LEAF.format('e')}, '{kind}', 'proxy'
              FROM holdfast.log_head, (SELECT {literal(entry.encode())}) AS made (e);
            UPDATE holdfast.log_head SET next_index = next_index + 1 RETURNING next_index - 1"""))

    def first(self, kind):
        """Index, operation and writer of the first record of that kind."""
        row = self.sql(f"""
            SELECT index, convert_from(entry, 'UTF8')::json ->> 'operation_id',
                   convert_from(entry, 'UTF8')::json #>> '{{writer,id}}'
              FROM holdfast.log WHERE kind = '{kind}' ORDER BY index LIMIT 1""")
        return row.split("|")

    def audit_service(self):
        """An audit service of this database that has seen the newest checkpoint."""
        port, = free_ports(1)
        kept = self.folder / "seen"
        kept.write_bytes(pathlib.Path(self.log.newest).read_bytes())
        url = f"https://localhost:{port}"
        command = self.log.command(
            "audit", *self.database.settings(), "--set", f"audit.log.checkpoint_file={kept}",
            "--set", f"audit.listen=127.0.0.1:{port}")
        service = Service("holdfast audit", command, f"{url}/readyz", self.log.ca_file,
                          self.folder / "audit.log", {})
        self.addCleanup(service.stop)
        service.start()
        return url

    def freezes_the_leader(self, why):
        url = self.audit_service()
        signed = self.sql("SELECT count(*) FROM holdfast.tree_checkpoints")
        wait_until(lambda: self.is_frozen(url, why), f"the leader freezes: {why}")
        self.assertEqual(self.sql("SELECT count(*) FROM holdfast.tree_checkpoints"), signed)

    def is_ready(self, url):
        try:
            return fetch(f"{url}/readyz", self.log.ca_file)[0] == 200
        except OSError:
            return False

    def is_frozen(self, url, why):
        try:
            status, _, body = fetch(f"{url}/readyz", self.log.ca_file)
        except OSError:
            return False
        return status == 503 and re.search(why, body.decode()) is not None

    def freezes_an_idle_leader(self, change, why):
        """What is done behind a leader that has nothing to add. The checkpoint that it serves does
        not go back meanwhile."""
        url = self.audit_service()

        def checkpoint():
            """Its size; None: it serves none, or nothing yet."""
            try:
                status, _, body = fetch(f"{url}/log/checkpoint", self.log.ca_file)
            except OSError:
                return None
            if status != 200:
                return None
            return tlog.open_checkpoint(body.decode(), self.log.verifier_key)[0]

        wait_until(lambda: self.sql("SELECT holdfast.tree_leader()") and checkpoint() is not None,
                   "a leader")
        state = ("SELECT next_index, (SELECT count(*) FROM holdfast.tree_checkpoints) "
                 "FROM holdfast.log_head")
        wait_until(lambda: self.sql("SELECT next_index = (SELECT max(size) FROM "
                                    "holdfast.tree_checkpoints) FROM holdfast.log_head") == "t",
                   "everything is signed")
        last = checkpoint()
        self.assertIsNotNone(last)
        self.tamper(change)
        before = self.sql(state)

        def frozen():
            served = checkpoint()
            self.assertGreaterEqual(last if served is None else served, last)
            return self.is_frozen(url, why)

        wait_until(frozen, f"the leader freezes: {why}")
        self.assertIsNone(checkpoint())
        self.assertEqual(self.sql(state), before)


class Control(Attack):
    def test_attack_control_an_untouched_log_is_in_order(self):
        self.not_seen_by_verify()
        status, output, _ = self.database.verify("--checkpoint", self.log.old, "--checkpoint",
                                                 self.log.newest)
        self.assertEqual(status, 0, output)
        self.assertIn(f"records      {self.log.size} read", output)

    def test_attack_control_the_tools_of_the_other_cases_leave_no_trace(self):
        self.tamper("SELECT 1")
        self.not_seen_by_verify()
        self.tamper(tiles_of([tlog.leaf_hash(entry) for entry in self.entries()]))
        self.not_seen_by_verify()


class Entries(Attack):
    def test_attack_flip_a_byte_of_an_entry(self):
        self.tamper("ALTER TABLE holdfast.log DROP CONSTRAINT log_entry; "
                    "UPDATE holdfast.log SET entry = set_byte(entry, 99, get_byte(entry, 99) # 1) "
                    "WHERE index = 7")
        self.seen_by_verify("the entry is not the one that the tree holds", 7)

    def test_attack_change_an_entry_and_its_leaf_hash(self):
        self.tamper(CHANGE + "WHERE index = 300; " + DERIVE)
        self.seen_by_verify("the entry is not the one that the tree holds", 300)

    def test_attack_change_an_entry_its_leaf_hash_and_every_tile(self):
        self.tamper(CHANGE + "WHERE index = 300; " + DERIVE)
        self.tamper(tiles_of([tlog.leaf_hash(entry) for entry in self.entries()]))
        self.seen_by_verify("one of these records is not as it was", r"\d+ to \d+")

    def test_attack_change_an_entry_that_is_in_no_full_tile(self):
        last = int(self.sql("SELECT max(index) FROM holdfast.log WHERE kind = 'intent'"))
        self.assertGreaterEqual(last, self.log.size // 256 * 256)
        self.tamper(CHANGE + f"WHERE index = {last}; " + DERIVE)
        self.seen_by_verify("one of these records is not as it was", r"\d+ to \d+")

    def test_attack_change_an_old_entry_under_the_leader(self):
        self.tamper(CHANGE + "WHERE index = 300")
        self.freezes_the_leader("does not hold the records that tile 0/001 stands for")

    def test_attack_change_an_entry_in_no_full_tile_under_an_idle_leader(self):
        last = int(self.sql("SELECT max(index) FROM holdfast.log WHERE kind = 'intent'"))
        self.assertGreaterEqual(last, self.log.size // 256 * 256)
        self.freezes_an_idle_leader(CHANGE + f"WHERE index = {last}",
                                    "does not hold the records that tile|"
                                    "not those that a checkpoint was signed over")

    def test_attack_change_the_kind_beside_an_entry(self):
        self.tamper("ALTER TABLE holdfast.log DROP CONSTRAINT log_entry; "
                    "UPDATE holdfast.log SET kind = 'access' WHERE index = 7")
        self.seen_by_verify("kind and role beside the entry", 7)

    def test_attack_swap_two_entries(self):
        swap = ("UPDATE holdfast.log l SET entry = o.entry, leaf_hash = o.leaf_hash, kind = o.kind "
                "FROM holdfast.log o WHERE l.index IN (10, 12) AND o.index = 22 - l.index; ")
        self.tamper(swap + DERIVE)
        self.seen_by_verify("index 12: the entry is not the one that the tree holds", 10)


class Rows(Attack):
    def test_attack_delete_the_first_record(self):
        self.tamper("DELETE FROM holdfast.log WHERE index = 0")
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_delete_a_record_in_the_middle(self):
        self.tamper("DELETE FROM holdfast.log WHERE index = 123")
        self.seen_by_verify("the log does not hold this record", 123)

    def test_attack_delete_the_last_records(self):
        self.tamper(f"DELETE FROM holdfast.log WHERE index >= {self.log.size - 3}")
        self.seen_by_verify("the log does not hold this record", self.log.size - 3)

    def test_attack_delete_the_last_records_and_move_the_end(self):
        end = self.log.size - 3
        self.tamper(f"DELETE FROM holdfast.log WHERE index >= {end}; "
                    f"UPDATE holdfast.log_head SET next_index = {end}; " + DERIVE)
        # The call whose outcome went is open now, and nobody is waiting for it.
        output = self.seen_by_verify(rf"FAULT +index {end}: the log ends here", end - 1)
        self.assertRegex(output, rf"(?m)^records +{end} read$")

    def test_attack_delete_the_last_records_under_the_leader(self):
        end = self.log.size - 3
        self.tamper(f"DELETE FROM holdfast.log WHERE index >= {end}; "
                    f"UPDATE holdfast.log_head SET next_index = {end}")
        self.freezes_the_leader("gone back")

    def test_attack_delete_a_record_in_no_full_tile_under_an_idle_leader(self):
        self.assertNotEqual(self.log.size % 256, 0)
        self.freezes_an_idle_leader(f"DELETE FROM holdfast.log WHERE index = {self.log.size - 1}",
                                    "does not hold the records that tile|lacks records")

    def test_attack_move_the_end_of_the_log_back(self):
        end = self.log.size - 1
        self.sql(f"UPDATE holdfast.log_head SET next_index = {end}")
        self.seen_by_verify(rf"FAULT +index {end}: a record beyond the end of the log", end - 1)

    def test_attack_insert_a_record_in_the_middle(self):
        self.tamper("""
            CREATE TEMP TABLE later ON COMMIT DROP AS SELECT * FROM holdfast.log WHERE index >= 100;
            DELETE FROM holdfast.log WHERE index >= 100;
            INSERT INTO holdfast.log SELECT 100, entry, leaf_hash, kind, role FROM later
              WHERE index = 200;
            INSERT INTO holdfast.log SELECT index + 1, entry, leaf_hash, kind, role FROM later;
            UPDATE holdfast.log_head SET next_index = next_index + 1;""" + DERIVE)
        self.seen_by_verify("the entry is not the one that the tree holds", 100)

    def test_attack_truncate_a_partition(self):
        self.tamper("TRUNCATE holdfast.log_000000")
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_detach_a_partition(self):
        self.sql("ALTER TABLE holdfast.log DETACH PARTITION holdfast.log_000000")
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_detach_replace_and_attach_a_partition(self):
        self.sql(f"""
            ALTER TABLE holdfast.log DETACH PARTITION holdfast.log_000000;
            CREATE TABLE holdfast.other (LIKE holdfast.log_000000 INCLUDING ALL);
            INSERT INTO holdfast.other SELECT * FROM holdfast.log_000000 WHERE index <> 50;
            INSERT INTO holdfast.other SELECT 50, entry, leaf_hash, kind, role
              FROM holdfast.log_000000 WHERE index = 52;
            DROP TABLE holdfast.log_000000;
            ALTER TABLE holdfast.other RENAME TO log_000000;
            ALTER TABLE holdfast.log ATTACH PARTITION holdfast.log_000000
              FOR VALUES FROM (0) TO (4194304)""")
        output = self.seen_by_verify("the entry is not the one that the tree holds", 50)
        self.assertIn("nothing refuses UPDATE and DELETE on the table log_000000", output)


class Search(Attack):
    def test_attack_change_a_row_of_the_search_table(self):
        self.sql("UPDATE holdfast.record_search SET actors = '{nobody}' WHERE index = 42")
        self.seen_by_verify("the search table does not say what the entry says", 42)

    def test_attack_delete_a_row_of_the_search_table(self):
        self.sql("DELETE FROM holdfast.record_search WHERE index = 43")
        self.seen_by_verify("the search table does not say what the entry says", 43)

    def test_attack_invent_a_row_of_the_search_table(self):
        self.sql("INSERT INTO holdfast.record_search (index, malformed) VALUES (100000, false)")
        self.seen_by_verify("a row that the log has no record for", 100000)

    def test_attack_add_to_search_what_comes_before_the_log(self):
        self.sql("INSERT INTO holdfast.record_search (index, malformed) VALUES (-7, false)")
        output = self.seen_by_verify("(?m)^FAULT +the search table has a row for the index -7, which no "
                                     "record has$")
        self.assertNotIn("first bad index", output)

    def test_attack_have_a_record_twice_in_the_search_table(self):
        self.sql("INSERT INTO holdfast.record_search_recent SELECT * FROM holdfast.record_search "
                 "WHERE index = 44")
        self.seen_by_verify("the search table does not say what the entry says", 44)

    def test_attack_make_search_lie_of_every_record(self):
        self.sql("""
            CREATE OR REPLACE FUNCTION holdfast.search_name(name text) RETURNS text
              LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 'nobody';""" + DERIVE)
        self.seen_by_verify("the search table does not say what the entry says", r"\d+")


class Guards(Attack):
    def test_attack_disable_the_triggers(self):
        self.sql("ALTER TABLE holdfast.log_000000 DISABLE TRIGGER ALL")
        self.seen_by_verify("nothing refuses UPDATE and DELETE on the table log_000000")

    def test_attack_disable_the_triggers_of_approvals_and_evidence(self):
        for table, what in (("approvals", "DELETE"), ("approval_history", "UPDATE and DELETE"),
                            ("reviews", "DELETE"), ("review_history", "UPDATE and DELETE"),
                            ("tokens", "DELETE"),
                            ("anchor_evidence", "UPDATE and DELETE of a row")):
            self.sql(f"ALTER TABLE holdfast.{table} DISABLE TRIGGER USER")
            output = self.seen_by_verify(f"nothing refuses {what} on the table {table}\n")
            self.assertIn(f"nothing refuses TRUNCATE on the table {table}\n", output)

    def test_attack_disable_every_trigger_that_there_is(self):
        """A migration that adds one tells verify of it."""
        triggers = self.sql("""
            SELECT c.relname, t.tgtype FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
              WHERE NOT t.tgisinternal AND c.relnamespace = 'holdfast'::regnamespace""").split()
        self.assertIn("tokens|42", triggers)
        needed = set()
        for table, kind in (row.split("|") for row in triggers):
            self.sql(f"ALTER TABLE holdfast.{table} DISABLE TRIGGER USER")
            row, delete, update, truncate = (int(kind) & bit for bit in (1, 8, 16, 32))
            if delete:
                # Of a row that may be changed, one by one, removal is what is refused.
                what = "UPDATE and DELETE" if update else "DELETE"
                needed.add((table, what + (" of a row" if row else "")))
            if truncate:
                needed.add((table, "TRUNCATE"))
        output = self.seen_by_verify("nothing refuses")
        found = re.findall(r"(?m)^FAULT +nothing refuses (.+) on the table (.+)$", output)
        self.assertEqual({(table, what) for what, table in found}, needed)

    def test_attack_a_trigger_with_a_condition(self):
        self.remake("approval_history", "approval_history_refuse_change",
                    "BEFORE UPDATE OR DELETE OR TRUNCATE", "FOR EACH STATEMENT WHEN (false)")
        self.seen_by_verify("nothing refuses TRUNCATE on the table approval_history")

    def test_attack_a_trigger_of_one_column(self):
        self.remake("log", "log_refuse_change", "BEFORE UPDATE OF kind OR DELETE",
                    "FOR EACH STATEMENT")
        self.seen_by_verify("nothing refuses UPDATE and DELETE on the table log")

    def remake(self, table, trigger, events, how):
        self.sql(f"""
            DROP TRIGGER {trigger} ON holdfast.{table};
            CREATE TRIGGER {trigger} {events} ON holdfast.{table} {how}
              EXECUTE FUNCTION holdfast.refuse_change();
            ALTER TABLE holdfast.{table} ENABLE ALWAYS TRIGGER {trigger}""")

    def test_attack_session_replication_role(self):
        """PostgreSQL refuses: the triggers fire in every session mode."""
        for statement in (CHANGE + "WHERE index = 7", "DELETE FROM holdfast.log WHERE index = 7",
                          "TRUNCATE holdfast.log_000000", "DELETE FROM holdfast.tree_checkpoints"):
            with self.assertRaisesRegex(RuntimeError, "append-only"):
                self.sql(f"SET session_replication_role = replica;\n{statement}")
        self.not_seen_by_verify()

    def test_attack_triggers_for_ordinary_sessions_only(self):
        self.sql("ALTER TABLE holdfast.log_000000 ENABLE TRIGGER log_000000_refuse_change")
        self.seen_by_verify("nothing refuses UPDATE and DELETE of a row on the table log_000000")

    def test_attack_a_trigger_that_refuses_nothing(self):
        self.sql("CREATE OR REPLACE FUNCTION holdfast.refuse_change() RETURNS trigger "
                 "LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$")
        self.seen_by_verify("the function refuse_change is not the one")

    def test_attack_an_append_function_with_a_back_door(self):
        self.sql("""
            DO $$ BEGIN EXECUTE replace(pg_get_functiondef('holdfast.session_role'::regproc),
              'WHEN ''holdfast_proxy'' THEN RETURN ''proxy'';',
              'WHEN ''holdfast_proxy'' THEN RETURN ''audit'';'); END $$""")
        self.seen_by_verify("the function session_role is not the one")

    def test_attack_a_function_of_an_earlier_version(self):
        """0019 looks at the tokens that changes are made with."""
        self.sql(definition("0016_erasure", "append_entries"))
        self.seen_by_verify("the function append_entries is not the one")

    def test_attack_a_function_that_was_dropped(self):
        self.sql(definition("0011_generations", "take_generation_changes")
                 + "ALTER FUNCTION holdfast.take_generation_changes(uuid, text, bytea[], text[]) "
                   "OWNER TO holdfast_owner")
        self.seen_by_verify("the function take_generation_changes is not the one")
        self.sql("DROP FUNCTION holdfast.take_generation_changes(uuid, text, bytea[], text[])")
        self.not_seen_by_verify()

    def test_attack_a_function_that_is_missing(self):
        self.sql("DROP FUNCTION holdfast.take_hold_changes")
        self.seen_by_verify("the database lacks the function take_hold_changes")

    def test_attack_a_function_that_is_one_expression(self):
        self.sql("CREATE OR REPLACE FUNCTION holdfast.token_state(token holdfast.tokens, "
                 "now timestamptz) RETURNS text LANGUAGE sql STABLE RETURN 'active'")
        self.seen_by_verify("the function token_state is not the one")

    def test_attack_run_a_function_otherwise(self):
        """Its body stays."""
        for change, name in (("take_claims STRICT", "take_claims"),
                             ("append_proxy SECURITY INVOKER", "append_proxy"),
                             ("erase_subjects RESET search_path", "erase_subjects")):
            self.sql(f"ALTER FUNCTION holdfast.{change}")
            self.seen_by_verify(f"the function {name} is not the one")

    def test_attack_let_others_execute_or_own_a_function(self):
        self.sql("GRANT EXECUTE ON FUNCTION holdfast.append_retention TO holdfast_audit")
        self.seen_by_verify("the function append_retention may be executed by holdfast_audit, "
                            "not by nobody")
        self.sql("GRANT EXECUTE ON FUNCTION holdfast.append_proxy TO PUBLIC")
        self.seen_by_verify("the function append_proxy may be executed by holdfast_proxy, PUBLIC, "
                            "not by holdfast_proxy\n")
        self.sql("ALTER FUNCTION holdfast.append_proxy OWNER TO postgres")
        self.seen_by_verify("the function append_proxy belongs to postgres, not to holdfast_owner")

    def test_attack_let_the_proxy_write_the_log(self):
        self.sql("GRANT INSERT ON holdfast.log_000000 TO holdfast_proxy")
        self.seen_by_verify("the role holdfast_proxy may write the table log_000000")

    def test_attack_let_somebody_write_a_column(self):
        for change, what in (
                ("UPDATE (state) ON holdfast.approvals TO holdfast_proxy",
                 "the role holdfast_proxy may write the table approvals"),
                ("UPDATE (next_index) ON holdfast.log_head TO PUBLIC",
                 "the role PUBLIC may write the table log_head"),
                ("INSERT ON holdfast.log TO pg_monitor",
                 "the role pg_monitor may write the table log"),
                ("TRIGGER ON holdfast.log TO holdfast_audit",
                 "the role holdfast_audit may write the table log"),
                ("CREATE ON SCHEMA holdfast TO holdfast_audit",
                 "the role holdfast_audit may add to the schema")):
            self.sql(f"GRANT {change}")
            self.seen_by_verify(what + "\n")
            self.sql("REVOKE " + change.replace(" TO ", " FROM "))
            self.not_seen_by_verify()

    def test_attack_a_trigger_that_rewrites_records(self):
        self.sql("""
            CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              NEW.leaf_hash := sha256('\\x00'::bytea || NEW.entry); RETURN NEW; END $$""")
        for table in ("log_000000", "log"):
            self.sql(f"CREATE TRIGGER evil BEFORE INSERT ON holdfast.{table} FOR EACH ROW "
                     "EXECUTE FUNCTION public.evil()")
            self.seen_by_verify(f"the trigger evil on the table {table} is none that Holdfast has")
            self.sql(f"DROP TRIGGER evil ON holdfast.{table}")
            self.not_seen_by_verify()

    def test_attack_a_trigger_that_runs_a_function_of_postgresql_or_refuses_records(self):
        for event, function in (("UPDATE", "pg_catalog.suppress_redundant_updates_trigger"),
                                ("INSERT", "holdfast.refuse_change")):
            self.sql(f"CREATE TRIGGER evil BEFORE {event} ON holdfast.approvals FOR EACH ROW "
                     f"EXECUTE FUNCTION {function}()")
            self.seen_by_verify("the trigger evil on the table approvals is none that Holdfast has")
            self.sql("DROP TRIGGER evil ON holdfast.approvals")

    def test_attack_a_trigger_of_the_whole_database(self):
        self.sql("""
            CREATE FUNCTION public.evil() RETURNS event_trigger LANGUAGE plpgsql AS
              $$ BEGIN NULL; END $$;
            CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION public.evil()""")
        self.seen_by_verify("the event trigger evil is none that Holdfast has")
        self.sql("ALTER EVENT TRIGGER evil DISABLE")
        self.not_seen_by_verify()

    def test_attack_a_rule_that_rewrites_changes(self):
        self.sql("CREATE RULE evil AS ON UPDATE TO holdfast.approvals DO INSTEAD NOTHING")
        self.seen_by_verify("the rule evil rewrites what is asked of the table approvals")

    def test_attack_hide_rows(self):
        self.sql("CREATE POLICY evil ON holdfast.webhooks USING (true)")
        self.seen_by_verify("the policy evil hides rows of the table webhooks")
        self.sql("DROP POLICY evil ON holdfast.webhooks;"
                 "ALTER TABLE holdfast.webhooks ENABLE ROW LEVEL SECURITY")
        self.seen_by_verify("row security is on for the table webhooks")

    def test_attack_make_a_table_of_something_else(self):
        """Each is taken back by the next."""
        for change, what in (
                ("ALTER TABLE holdfast.approvals DROP CONSTRAINT approvals_binding_check",
                 r"the table approvals lacks: CHECK \(\(octet_length\(binding\) = 32\)\)"),
                ("ALTER TABLE holdfast.approvals ADD CONSTRAINT approvals_binding_check "
                 "CHECK (octet_length(binding) = 32) NOT VALID",
                 r"the table approvals has what no migration makes: CHECK .* NOT VALID"),
                ("ALTER TABLE holdfast.approvals VALIDATE CONSTRAINT approvals_binding_check;"
                 "ALTER TABLE holdfast.log_000000 ADD CONSTRAINT evil CHECK (now() IS NOT NULL)",
                 r"the table log_000000 has what no migration makes: CHECK \(\(now"),
                ("ALTER TABLE holdfast.log_000000 DROP CONSTRAINT evil;"
                 "ALTER TABLE holdfast.tree_checkpoints ALTER COLUMN signed SET DEFAULT now()",
                 r"the table tree_checkpoints lacks: signed .* DEFAULT clock_timestamp\(\)"),
                ("ALTER TABLE holdfast.tree_checkpoints ALTER COLUMN signed "
                 "SET DEFAULT clock_timestamp(); ALTER TABLE holdfast.webhooks RENAME TO hooks; "
                 "CREATE VIEW holdfast.webhooks AS SELECT * FROM holdfast.hooks",
                 "the table webhooks lacks: all that it is made of")):
            self.sql(change)
            self.seen_by_verify(what)
        self.sql("DROP VIEW holdfast.webhooks; ALTER TABLE holdfast.hooks RENAME TO webhooks")
        self.not_seen_by_verify()


class Tree(Attack):
    def test_attack_change_a_tile(self):
        self.tamper("UPDATE holdfast.tree_tiles SET hashes = set_byte(hashes, 33, "
                    "get_byte(hashes, 33) # 1) WHERE level = 0 AND index = 1")
        self.seen_by_verify("the hash stored with it is not that of its hashes", "256 to 511")

    def test_attack_change_a_tile_and_the_hash_over_it(self):
        leaves = [tlog.leaf_hash(entry) for entry in self.entries()]
        leaves[257] = leaves[0]
        self.tamper(tiles_of(leaves))
        self.seen_by_verify("the entry is not the one that the tree holds", 257)

    def test_attack_change_the_hash_over_a_tile(self):
        self.tamper("UPDATE holdfast.tree_tiles SET root = set_byte(root, 3, get_byte(root, 3) # 1) "
                    "WHERE level = 0 AND index = 1")
        self.seen_by_verify("the hash stored with it is not that of its hashes", "256 to 511")

    def test_attack_delete_a_tile(self):
        self.tamper("DELETE FROM holdfast.tree_tiles WHERE level = 0 AND index = 1")
        self.seen_by_verify("does not hold all of this tile")

    def test_attack_change_a_signed_checkpoint(self):
        self.tamper("UPDATE holdfast.tree_checkpoints SET note = replace(note, E'\\n' || size || "
                    "E'\\n', E'\\n' || size - 1 || E'\\n'), size = size - 1 WHERE ordinal = 1")
        self.seen_by_verify("the database's checkpoint 1: ")

    def test_attack_delete_a_checkpoint(self):
        self.tamper("DELETE FROM holdfast.tree_checkpoints WHERE ordinal = 1")
        self.seen_by_verify("the database lacks the checkpoint 1 ")

    def test_attack_delete_every_checkpoint(self):
        """And change a record that nothing is signed over any more."""
        gone = "DELETE FROM holdfast.tree_checkpoints; DELETE FROM holdfast.tree_tiles; "
        what = f"no checkpoint of the log is left; its {self.log.size} records are signed by nothing"
        self.tamper(gone + CHANGE + "WHERE index = 300; " + DERIVE)
        self.tamper(tiles_of([tlog.leaf_hash(entry) for entry in self.entries()]))
        self.seen_by_verify(what)
        root = tlog.root_of([])
        note = signed_note(self.log.origin, f"{self.log.folder}/log.key", 0, root)
        self.tamper(only_checkpoint(0, root, note))
        self.seen_by_verify(what)

    def test_attack_delete_the_last_checkpoints(self):
        """Those who keep the newest one outside see that it is gone, although it still agrees."""
        self.tamper(f"DELETE FROM holdfast.tree_checkpoints WHERE size > {self.old_size()}; "
                    f"DELETE FROM holdfast.tree_tiles "
                    f"WHERE (index + 1) * 256 * 256 ^ level > {self.old_size()}")
        self.not_seen_by_verify()
        note = pathlib.Path(self.log.newest).read_text()
        own = self.folder / "own"
        own.write_text(note)
        anchors = self.folder / "anchors.ndjson"
        size, root = tlog.open_checkpoint(note, self.log.verifier_key)
        anchors.write_text(json.dumps(
            {"note": note, "root": base64.b64encode(root).decode(), "size": size,
             "signed": "2026-10-05T08:00:00.000000Z"}, sort_keys=True, separators=(",", ":"),
            ensure_ascii=False) + "\n")
        for path, arguments in (
                (own, ("--set", f"audit.log.checkpoint_file={own}")),
                (anchors, ("--set", f"audit.anchors.file={anchors}")),
                (self.log.newest, ("--checkpoint", self.log.newest))):
            self.seen_by_verify(f"(?m)^FAULT +the database lacks the checkpoint in {path}, which was "
                                f"signed over {size} records$", arguments=arguments)

    def test_a_checkpoint_that_another_one_follows_need_not_have_come_to_the_database(self):
        """No attack: its service lost its database before the commit, and has signed again by now."""
        self.tamper(f"DELETE FROM holdfast.tree_checkpoints WHERE size > {self.old_size()}")
        own = self.folder / "own"
        own.write_text(pathlib.Path(self.log.newest).read_text())
        holder = self.log.session(self.database.name)
        holder.stdin.write("BEGIN; LOCK TABLE holdfast.tree_checkpoints;\n")
        holder.stdin.flush()
        asked = ("SELECT count(*) FROM pg_locks WHERE relation = "
                 "'holdfast.tree_checkpoints'::regclass AND database = (SELECT oid FROM "
                 "pg_database WHERE datname = current_database()) AND {} AND mode = '{}'")
        wait_until(lambda: self.database.sql(asked.format("granted", "AccessExclusiveLock")) == "1",
                   "the checkpoints are locked")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            verifying = pool.submit(self.database.verify, "--set", f"audit.log.checkpoint_file={own}")
            wait_until(lambda: self.database.sql(
                asked.format("NOT granted", "AccessShareLock")) != "0", "verify has read the file")
            own.write_text(pathlib.Path(self.log.old).read_text())
            holder.stdin.close()
            holder.wait()
            status, output, errors = verifying.result()
        self.assertEqual((status, errors), (0, ""), output)

    def test_attack_take_away_the_files_that_checkpoints_are_kept_in(self):
        """Their service has had them: the lock files are there. Elsewhere they are not asked for."""
        for key in ("audit.log.checkpoint_file", "audit.anchors.file"):
            path = self.folder / key
            arguments = ("--set", f"{key}={path}")
            status, output, errors = self.database.verify(*arguments)
            self.assertEqual((status, errors), (0, ""), output)
            self.assertIn(f"not checked  {key}: there is no {path}; ", output)
            lock = self.folder / f"{key}.lock"
            lock.touch()
            status, output, errors = self.database.verify(*arguments)
            self.assertEqual(status, 2, output)
            self.assertIn(f"not held against {key}: {path}, which is gone", errors)
            self.assertNotIn("in order", output)
            path.mkdir()
            status, output, errors = self.database.verify(*arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertIn(f"{key}: {path}: ", errors)
            path.rmdir()
        self.tamper("UPDATE holdfast.tree_tiles SET root = set_byte(root, 3, get_byte(root, 3) # 1)")
        self.seen_by_verify("the hash stored with it", arguments=arguments)

    def test_attack_delete_the_last_checkpoints_under_an_idle_leader(self):
        self.freezes_an_idle_leader("DELETE FROM holdfast.tree_checkpoints WHERE size > "
                                    f"{self.old_size()}", "not the one over .* that was there")

    def test_attack_break_the_signature_of_the_newest_checkpoint_under_an_idle_leader(self):
        url = self.audit_service()
        wait_until(lambda: self.sql("SELECT holdfast.tree_leader()") and self.is_ready(url), "a leader")
        wait_until(lambda: self.sql("SELECT next_index = (SELECT max(size) FROM "
                                    "holdfast.tree_checkpoints) FROM holdfast.log_head") == "t",
                   "everything is signed")
        self.tamper("UPDATE holdfast.tree_checkpoints SET note = left(note, length(note) - 10) || "
                    "'AAAAAAAA' || right(note, 2) WHERE ordinal = (SELECT max(ordinal) FROM "
                    "holdfast.tree_checkpoints)")
        why = "the newest checkpoint in the database: the signature of .* is wrong"
        wait_until(lambda: self.is_frozen(url, why), f"the leader freezes: {why}")
        self.assertEqual(fetch(f"{url}/log/checkpoint", self.log.ca_file)[0], 503)


class Grammar(Attack):
    """Records that were never signed over yet, so that no hash can tell."""

    def test_attack_append_a_record_whose_members_are_none(self):
        index = self.append("system", outcome='"system":"x",')
        self.seen_by_verify("the entry has no system, or not as it must be", index)

    def test_attack_an_entry_that_is_no_json_behind_its_kind(self):
        index = self.append("intent", uuid.uuid4(), "nonsense,")
        self.seen_by_verify("the entry is not canonical JSON", index)

    def test_attack_an_entry_of_another_kind_than_beside_it(self):
        within = '"actor":{"id":"x","kind":"intent","n":1},'
        entry = (f'{{{within}"id":"{uuid.uuid4()}","kind":"decision",'
                 f'"operation_id":"{uuid.uuid4()}","time":"2099-01-01T00:00:00.000000Z","v":1,'
                 f'"writer":{{"id":"{uuid.uuid4()}","role":"proxy"}}}}')
        self.seen_by_verify("kind and role beside the entry", self.append_entry("intent", entry))

    def test_attack_append_a_second_outcome(self):
        _, operation, writer = self.first("outcome")
        index = self.append("outcome", operation, '"outcome":{"result":"refused"},', writer=writer)
        self.seen_by_verify("a second outcome of the operation", index)

    def test_attack_append_an_outcome_of_no_call(self):
        index = self.append("outcome", uuid.uuid4(), '"outcome":{"result":"executed"},')
        self.seen_by_verify("has no intent before it", index)

    def test_attack_append_an_intent_twice(self):
        _, operation, writer = self.first("intent")
        index = self.append("intent", operation, writer=writer)
        self.seen_by_verify("a second intent of the operation", index)

    def test_attack_append_an_intent_with_an_approval_that_nobody_gave(self):
        index = self.append("intent", uuid.uuid4(),
                            approval=f'"approval":{{"code":"{uuid.uuid4()}","state":"CLAIMED"}},')
        self.seen_by_verify("was not approved before it", index)

    def test_attack_append_a_record_of_the_past(self):
        _, _, writer = self.first("intent")
        index = self.append("intent", uuid.uuid4(), time="2020-01-01T00:00:00.000000Z",
                            writer=writer)
        self.seen_by_verify("is before that of its writer's last record", index)


class Blinding(Attack):
    """What would keep `verify` from looking at all, next to a changed record that it must name."""

    def setUp(self):
        super().setUp()
        self.tamper(CHANGE + "WHERE index = 300; " + DERIVE)

    def erasure(self, **said):
        """A forged record of retention that somebody was erased."""
        system = {"event": "subject_erased", **said}
        entry = json.dumps({"id": str(uuid.uuid4()), "kind": "system", "system": system,
                            "time": "2099-01-01T00:00:00.000000Z", "v": 1}, sort_keys=True,
                           separators=(",", ":"))
        entry = f'{entry[:-1]},"writer":{{"id":"{uuid.uuid4()}","role":"retention"}}}}'.encode()
        return self.sql(f"""
            INSERT INTO holdfast.log SELECT next_index, e, {LEAF.format('e')}, 'system', 'retention'
              FROM holdfast.log_head, (SELECT {literal(entry)}) AS made (e);
            UPDATE holdfast.log_head SET next_index = next_index + 1 RETURNING next_index - 1""")

    def test_attack_forge_an_erasure_of_nobody(self):
        person = str(uuid.uuid4())
        for subjects, what in ((["x"], "the record of an erasure names no subjects"),
                               (["x", person], f"the subject {person} is not erased as a record"),
                               ("x", "the record of an erasure names no subjects"),
                               ({}, "the record of an erasure names no subjects"),
                               ([], "the record of an erasure names no subjects")):
            index = self.erasure(subjects=subjects, documents="y")
            self.seen_by_verify(rf"FAULT +index {index}: {what}", 300)
        index = self.erasure()
        self.seen_by_verify(rf"FAULT +index {index}: the record of an erasure names no subjects", 300)

    def test_attack_take_away_what_verify_starts_from(self):
        for change, what in (
                ("DELETE FROM holdfast.log_head", "the table log_head has not one row"),
                ("DELETE FROM holdfast.search_state", "the table search_state has not one row"),
                ("DELETE FROM holdfast.log_head; DELETE FROM holdfast.search_state",
                 "the table log_head has not one row"),
                ("ALTER TABLE holdfast.log_head DROP CONSTRAINT IF EXISTS log_head_next_index_check;"
                 "UPDATE holdfast.log_head SET next_index = -1",
                 "the table log_head has the next_index -1"),
                ("UPDATE holdfast.search_state SET derived = -1",
                 "the table search_state has the derived -1")):
            database = Database(self.log)
            self.addCleanup(database.drop)
            database.sql(f"BEGIN;\n{OFF}{CHANGE}WHERE index = 300;\n{DERIVE}\n{change};\n{ON}COMMIT")
            status, output, errors = database.verify()
            self.assertEqual(status, 1, change + output + errors)
            self.assertIn(what, output)
            self.assertIn(f"records      {self.log.size - 1} read", output)
            self.assertIn("index 300: the entry is not the one that the tree holds", output)

    def test_attack_rename_a_table(self):
        for table in ("tree_checkpoints", "settled_operations", "anchor_evidence", "tree_tiles",
                      "open_operations", "search_state", "log_head", "record_search", "subjects",
                      "log"):
            self.sql(f"ALTER TABLE holdfast.{table} RENAME TO other")
            output = self.seen_by_verify(f'relation "holdfast.{table}" does not exist')
            if table != "log":
                self.assertIn(f"the table {table} lacks: all that it is made of\n", output)
            if table not in ("log", "record_search", "tree_tiles", "tree_checkpoints"):
                self.assertIn("index 300: the entry is not the one that the tree holds", output)
            self.sql(f"ALTER TABLE holdfast.other RENAME TO {table}")

    def test_another_database_is_no_damage(self):
        status, output, errors = self.log.run(
            "verify", "--set", f"audit.database.url={self.log.url('postgres', 'holdfast_audit')}")
        self.assertEqual((status, output), (2, ""))
        self.assertIn("the database holds no log", errors)


class Histories(Attack):
    """Logs that are in order by themselves, and not the one that was there."""

    def test_attack_restore_an_old_backup(self):
        self.roll_back(self.old_size())
        self.seen_with_a_kept_checkpoint("the log ends here")

    def test_attack_restore_an_old_backup_and_carry_on(self):
        self.roll_back(self.old_size())
        self.sql(f"""
            INSERT INTO holdfast.log SELECT {self.old_size()} + i, e, {LEAF.format('e')}, 'system',
                'audit' FROM (SELECT i, convert_to('{{"id":"01890000-0000-7000-8000-' ||
                lpad(i::text, 12, '0') || '","kind":"system","time":"2099-01-01T00:00:00.000000Z",'
                '"v":1,"writer":{{"id":"01890000-0000-4000-8000-000000000009","role":"audit"}}}}',
                'UTF8') AS e FROM generate_series(0, {self.log.size}) AS i) AS made;
            UPDATE holdfast.log_head SET next_index = next_index + {self.log.size} + 1""")
        self.seen_with_a_kept_checkpoint("one of these records is not as it was")
        self.freezes_the_leader("not those that a checkpoint was signed over")

    def test_attack_rewrite_everything_and_sign_with_another_key(self):
        other = self.folder / "other.key"
        self.log.run("keygen", str(other), "--origin", self.log.origin)
        self.rewrite(lambda _, entry: entry.replace(b'"POST"', b'"PUSH"'), str(other))
        self.seen_by_verify("the database's checkpoint 0: ")

    def test_attack_rewrite_everything_and_sign_with_the_stolen_key(self):
        self.rewrite(lambda _, entry: entry.replace(b'"POST"', b'"PUSH"'))
        self.seen_with_a_kept_checkpoint("one of these records is not as it was")

    def test_attack_rewrite_everything_under_the_leader(self):
        self.rewrite(lambda _, entry: entry.replace(b'"POST"', b'"PUSH"'))
        self.freezes_the_leader("not those that a checkpoint was signed over")

    def test_attack_fork_two_histories_for_two_readers(self):
        """Each reader sees a log in order; what they were shown does not go together."""
        shown = self.rewrite(lambda index, entry: entry.replace(b'"POST"', b'"PUSH"')
                             if index > 400 else entry)
        other = Database(self.log)
        self.addCleanup(other.drop)
        self.assertEqual(other.verify()[0], 0)
        status, output, _ = other.verify("--checkpoint", shown)
        self.assertEqual(status, 1)
        self.assertIn("one of these records is not as it was", output)
        self.seen_with_a_kept_checkpoint("one of these records is not as it was")

    def test_attack_delay_what_others_are_shown(self):
        """A reader who is shown an old state of the log, and knows a newer checkpoint."""
        self.roll_back(self.old_size())
        copy = self.folder / "copy"
        self.assertEqual(self.database.verify("--save", str(copy))[0], 0)
        arguments = ("verify", "--offline", str(copy), "--key", self.log.verifier_key)
        self.assertEqual(self.log.run(*arguments, configured=False)[0], 0)
        status, output, _ = self.log.run(*arguments, "--checkpoint", self.log.newest,
                                         configured=False)
        self.assertEqual(status, 1)
        self.assertIn(f"first bad index {self.old_size()}\n", output)

    def test_attack_sign_a_size_that_no_log_has(self):
        """With the stolen key: who looks is told, and is not kept reading for ever."""
        copy = self.folder / "copy"
        self.assertEqual(self.database.verify("--save", str(copy))[0], 0)
        (copy / "checkpoint").write_text(signed_note(
            self.log.origin, f"{self.log.folder}/log.key", 1 << 62, hashlib.sha256().digest()))
        status, output, errors = self.log.run("verify", "--offline", str(copy), "--key",
                                              self.log.verifier_key, configured=False, timeout=120)
        self.assertEqual(status, 1, errors)
        end = self.log.size // 256 * 256
        self.assertIn(f"index {end}: the log ends here, with {end} records, but the log's "
                      f"checkpoint was signed over {1 << 62} records\n", output)


class Witnessed(Attack):
    """Two checkpoints have been cosigned and time-stamped; whoever verifies knows by whom."""

    def setUp(self):
        super().setUp()
        self.witness = Witness("witness.test/w1", self.log.verifier_key)
        self.authority = TimestampAuthority(self.folder / "tsa")
        self.policy = self.folder / "policy"
        self.policy.write_text(f"log {self.log.verifier_key}\nwitness w {self.witness.vkey}\n"
                               "quorum w\n")
        self.arguments = ("--policy", str(self.policy), "--timestamp-ca",
                          str(self.authority.ca_file))
        self.notes = [pathlib.Path(path).read_text() for path in (self.log.old, self.log.newest)]
        for note in self.notes:
            self.add("cosignature", self.witness.name, note, self.witness.cosign(note).encode())
            self.add("timestamp", "tsa.test", note, self.stamp(note))

    def add(self, kind, anchor, note, content):
        size, root = tlog.open_checkpoint(note, self.log.verifier_key)
        self.sql(f"SELECT holdfast.add_evidence('{kind}', '{anchor}', {size}, {literal(root)}, "
                 f"{literal(content)})")

    def stamp(self, note):
        text = self.folder / "stamped"
        text.write_text(note.rpartition("\n\n")[0] + "\n")
        return self.authority.token(text)

    def replace(self, kind, content):
        self.tamper(f"UPDATE holdfast.anchor_evidence SET content = {literal(content)} "
                    f"WHERE kind = '{kind}' AND size = {self.log.size}")

    def copy(self):
        folder = self.folder / "copy"
        self.database.verify("--save", str(folder), *self.arguments)
        return folder

    def seen(self, what):
        """In the database and, by whoever has no key but the policy's, in a copy."""
        self.seen_by_verify(what, arguments=self.arguments)
        status, output, _ = self.log.run("verify", "--offline", str(self.copy()), *self.arguments,
                                         configured=False)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, what)

    def test_attack_control_what_others_said_holds(self):
        for arguments in (self.database.settings(), ("--offline", str(self.copy()))):
            status, output, errors = self.log.run("verify", *arguments, *self.arguments)
            self.assertEqual(status, 0, output + errors)
            self.assertRegex(output, "(?m)^witnesses +2 cosignatures hold; as the policy requires "
                                     f"for the first {self.log.size} records$")
            self.assertRegex(output, "(?m)^time stamps +2 hold$")
            for label in ("cosigned", "stamped"):
                self.assertRegex(output, rf"(?m)^{label} +the first {self.log.size} records at "
                                         r"20\S+Z, 0 records and \d+ s behind the newest checkpoint$")

    def test_attack_an_old_word_is_seen_to_be_old(self):
        """Who keeps others from speaking leaves what they said before."""
        self.tamper(f"DELETE FROM holdfast.anchor_evidence WHERE size = {self.log.size}")
        status, output, errors = self.database.verify(*self.arguments)
        self.assertEqual(status, 0, output + errors)
        old = self.old_size()
        for label in ("cosigned", "stamped"):
            self.assertRegex(output, rf"(?m)^{label} +the first {old} records at 20\S+Z, "
                                     rf"{self.log.size - old} records and \d+ s behind the newest "
                                     "checkpoint$")

    def test_attack_roll_back_and_remove_the_time_stamps(self):
        self.roll_back(self.old_size())
        self.tamper("DELETE FROM holdfast.anchor_evidence")
        self.arguments = ("--key", self.log.verifier_key, *self.arguments[2:])
        self.seen("no checkpoint has a time stamp that leads to the certificates named for them; "
                  f"the newest is over {self.old_size()} records")

    def test_attack_forge_a_cosignature(self):
        line = self.witness.cosign(self.notes[0])
        self.replace("cosignature", line.encode())
        self.seen(rf"cosignature of witness.test/w1 over {self.log.size} records: .* is wrong")

    def test_attack_put_a_cosignature_of_another_witness_in_its_place(self):
        other = Witness(self.witness.name, self.log.verifier_key)
        self.replace("cosignature", other.cosign(self.notes[1]).encode())
        self.seen(rf"over {self.log.size} records: not a signature of witness.test/w1")

    def test_attack_remove_the_cosignatures(self):
        self.tamper("DELETE FROM holdfast.anchor_evidence WHERE kind = 'cosignature'")
        self.seen("no checkpoint has the cosignatures that the policy requires; the newest is over "
                  f"{self.log.size} records")

    def test_attack_remove_a_piece_of_evidence(self):
        self.tamper(f"DELETE FROM holdfast.anchor_evidence WHERE size = {self.log.size} "
                    "AND kind = 'cosignature'")
        self.seen("evidence/000, line 3: is missing")

    def test_attack_show_a_time_stamp_of_something_else(self):
        self.replace("timestamp", self.stamp(self.notes[0]))
        self.seen(rf"time stamp of tsa.test over {self.log.size} records: .* about something else")

    def test_attack_show_a_time_stamp_of_nobody_who_is_trusted(self):
        self.authority = TimestampAuthority(self.folder / "other-tsa")
        self.replace("timestamp", self.stamp(self.notes[1]))
        self.seen(rf"time stamp of tsa.test over {self.log.size} records: .* not to be trusted")

    def test_attack_roll_back_past_what_a_witness_has_seen(self):
        self.roll_back(self.old_size())
        self.seen("the log ends here, with .* but the checkpoint that witness.test/w1 has cosigned "
                  f"was signed over {self.log.size} records")

    def test_attack_roll_back_and_forget_the_evidence(self):
        """Then the anchor file knows."""
        self.roll_back(self.old_size())
        self.tamper(f"DELETE FROM holdfast.anchor_evidence WHERE size > {self.old_size()}")
        self.not_seen_by_verify()
        anchors = self.folder / "anchors"
        with anchors.open("w") as file:
            for note in self.notes:
                size, root = tlog.open_checkpoint(note, self.log.verifier_key)
                file.write(json.dumps({"note": note, "root": base64.b64encode(root).decode(),
                                       "signed": "2026-10-05T08:00:00.000000Z", "size": size}))
                file.write("\n")
        for arguments in (("--checkpoint", str(anchors)),
                          ("--set", f"audit.anchors.file={anchors}")):
            self.seen_by_verify(f"the checkpoint in {anchors} was signed over {self.log.size} ",
                                arguments=arguments)


if __name__ == "__main__":
    unittest.main()
