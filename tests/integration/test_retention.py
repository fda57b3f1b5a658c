"""Retention: what goes, what stays, what keeps it, and who notices when somebody else takes it away.

Each case has a database of its own, a copy of one log that Holdfast wrote, whose first records are in
two partitions of 256."""
import datetime
import http.server
import json
import pathlib
import signal
import subprocess
import sys
import threading
import unittest
import uuid

import tlog
from partitions import split
from service import fetch
from shared_log import wait_until
from test_attack import SCHEMA, Attack

# Of locks, those in the session's own database: tests share a cluster, and numbers of tables repeat.
HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
TAKE_AWAY = """ALTER TABLE holdfast.log DETACH PARTITION holdfast.log_part_0;
DROP TABLE holdfast.log_part_0; DELETE FROM holdfast.record_search WHERE index < 256;"""
PERSON = {"name": "Ada", "accounts": ["t/ada"], "names": ["ada@contoso.com"], "person": "t/ada",
          "via": "sign_in"}
OTHER = {**PERSON, "name": "Bob", "accounts": ["t/bob"], "names": [], "person": "t/bob"}
FAR = "2099-01-01T00:00:00.000000Z"
NOBODY = {"name": "Nobody", "via": "sign_in"}
HOLD = "01890000-0000-7000-8000-0000000000aa"
OTHER_HOLD = "01890000-0000-7000-8000-0000000000ab"


class RetentionCase(Attack):
    ends = (256, 512)  # Of the first partitions,
    partition_records = 256  # whose size that is.

    def setUp(self):
        super().setUp()
        self.sql(split(*self.ends))
        self.database.partition_records = self.partition_records

    def allow(self, floor="1s", anchored="false"):
        return self.log.run("migrate", "--set",
                            f"migrate.database.url={self.log.url(self.database.name)}",
                            "--set", f"migrate.retention.floor={floor}",
                            "--set", f"migrate.retention.anchored={anchored}")

    def retention(self, *arguments, age="1s"):
        url = self.log.url(self.database.name, "holdfast_retention")
        return self.log.run("retention", *arguments, "--set", f"retention.database.url={url}",
                            "--set", f"retention.age={age}")

    def obstacles(self, age="1s"):
        """Of each partition, why it stays; None for those that may go."""
        status, output, errors = self.retention("status", "--format", "ndjson", age=age)
        self.assertEqual(status, 0, errors)
        return [json.loads(line)["obstacle"] for line in output.splitlines()]

    def planned(self, change, age="1s"):
        """Of the first two partitions, why each would stay after that change, which is taken back;
        `none` for those that might go."""
        return self.sql(f"BEGIN; {change}; SELECT coalesce(p ->> 'obstacle', 'none') FROM "
                        f"holdfast.retention_plan('{age}') p LIMIT 2; ROLLBACK").split("\n")

    def drop(self):
        status, output, errors = self.retention("run", "--format", "ndjson")
        self.assertEqual((status, errors), (0, ""))
        return [json.loads(line) for line in output.splitlines()]

    def as_role(self, role, text):
        return self.log.sql_as(self.database.name, role, text)

    def refused(self, role, text, why):
        with self.assertRaisesRegex(RuntimeError, why):
            self.as_role(role, text)

    def record(self, content, role="retention", **more):
        """An entry, of the kind system if no other is given, as SQL."""
        entry = {"id": str(uuid.uuid4()), "kind": "system", "system": content,
                 "time": FAR, "v": 1, **more}
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))[:-1]
        text += f',"writer":{{"id":"{uuid.uuid4()}","role":"{role}"}}}}'
        return f"'\\x{text.encode().hex()}'::bytea"

    def forge(self, content, role="retention", time=FAR):
        """Such a record at the log's end, by a superuser; its index."""
        return int(self.sql(f"""
            INSERT INTO holdfast.log SELECT next_index, e, sha256('\\x00'::bytea || e), 'system',
                '{role}' FROM holdfast.log_head,
                (SELECT {self.record(content, role, time=time)}) AS made (e);
            UPDATE holdfast.log_head SET next_index = next_index + 1 RETURNING next_index - 1"""))

    def append(self, *entries, kinds="system", operations="NULL"):
        """As the audit service does."""
        writer = uuid.uuid4()
        hashes = ", ".join(f"sha256('\\x00'::bytea || {entry})" for entry in entries)
        self.as_role("holdfast_audit", f"""
            SELECT holdfast.raise_epoch('{writer}', '10s');
            SELECT holdfast.append_audit('{writer}', 1, ARRAY[{", ".join(entries)}],
              ARRAY[{hashes}], '{{{kinds}}}', '{{{operations}}}')""")

    def hold_step(self, event, by, hold=HOLD):
        return {"event": event, "by": by,
                "hold": {"id": hold, "mailboxes": ["Held@contoso.com"], "reason": "x"}}

    def hold_steps(self, *steps, hold=HOLD):
        """Records of holds, appended; the states of all holds after them."""
        for event, by in steps:
            self.append(self.record(self.hold_step(event, by, hold), "audit"))
        return self.sql("SELECT string_agg(state, ' ' ORDER BY number) FROM holdfast.holds")


class Dropping(RetentionCase):
    def test_what_is_old_goes_and_every_proof_stays(self):
        root = tlog.root_of([tlog.leaf_hash(entry) for entry in self.entries()])
        self.sql("INSERT INTO holdfast.sealed_documents SELECT index, 0, gen_random_uuid(), "
                 "'\\x00' FROM unnest('{7, 511, 512}'::bigint[]) AS index;"
                 "INSERT INTO holdfast.sealed_documents VALUES (8, 0, gen_random_uuid())")
        self.allow()
        self.assertEqual(self.obstacles(), [None, None, "it is not full"])
        gone = self.drop()
        # What was erased before is counted by the record of that.
        self.assertEqual(self.sql("SELECT index FROM holdfast.sealed_documents ORDER BY 1"), "8\n512")
        self.assertEqual([(item["first"], item["until"]) for item in gone], [(0, 256), (256, 512)])
        self.assertEqual(self.drop(), [])
        self.assertEqual(self.sql("SELECT min(index) FROM holdfast.log"), "512")
        self.assertEqual(self.sql("SELECT min(index) FROM holdfast.record_search"), "512")
        records = [json.loads(entry)["system"] for entry in self.entries()[-3:]]
        self.assertEqual([item["event"] for item in records],
                         ["retention_policy", "partition_dropped", "partition_dropped"])
        self.assertEqual([item.get("ranges") for item in records[1:]], [[[0, 256]], [[0, 512]]])
        status, output, errors = self.database.verify("--checkpoint", self.log.newest)
        self.assertEqual((status, errors), (0, ""), output)
        self.assertIn("dropped      512 by retention", output)
        self.sql("SELECT holdfast.rebuild_search(); SELECT holdfast.derive_search(1000000)")
        self.not_seen_by_verify()
        self.served_as_before(root)

    def served_as_before(self, root):
        """By an audit service that signs on: hashes and proofs of what is gone, and where it went."""
        url = self.audit_service()
        ca, token = self.log.ca_file, pathlib.Path(self.log.token_file).read_text().strip()

        def get(path):
            status, _, body = fetch(url + path, ca, token)
            return status, body

        def is_signed():
            try:
                status, body = get("/api/v1/integrity")
            except OSError:
                return False
            return status == 200 and json.loads(body)["size"] > self.log.size + 2

        wait_until(is_signed, "a checkpoint over the records of retention")
        status, body = get("/log/tile/entries/001")
        self.assertEqual(status, 410)
        self.assertIn("retention dropped the records 256 to 511", json.loads(body)["detail"])
        self.assertEqual(get("/api/v1/records/7")[0], 410)
        self.assertEqual(get("/api/v1/records/999999")[0], 404)
        self.assertEqual(json.loads(get("/api/v1/records?limit=1")[1])["dropped"],
                         [{"first": 0, "until": 256}, {"first": 256, "until": 512}])
        dropped = json.loads(get("/api/v1/integrity")[1])["dropped"]
        self.assertEqual(dropped[1]["record"], self.log.size + 2)
        self.assertEqual(get("/api/v1/records/7/proof")[0], 200)
        self.assertEqual(len(get("/log/tile/0/000")[1]), 8192)
        self.read_by_hand(get("/log/checkpoint")[1].decode(), url, token)
        copy = self.folder / "copy"
        options = ("--url", url, "--token-file", self.log.token_file, "--save", str(copy),
                   "--checkpoint", self.log.newest, *self.database.layout())
        status, output, errors = self.log.run("verify", *options)
        self.assertEqual((status, errors), (0, ""), output)
        self.assertIn("dropped      512 by retention", output)
        offline = ("verify", "--offline", str(copy), "--key", self.log.verifier_key,
                   "--checkpoint", self.log.newest)
        # Who is not told otherwise expects partitions as large as the migrations make them.
        status, output, _ = self.log.run(*offline, configured=False)
        self.assertEqual(status, 1)
        self.assertIn("are no whole partitions of 4194304 records", output)
        offline += tuple(self.database.layout())
        self.assertEqual(self.log.run(*offline, configured=False)[0], 0)
        (copy / "tile/entries/002").unlink(missing_ok=True)
        for bundle in (copy / "tile/entries").glob("002.p/*"):
            bundle.unlink()
        self.assertEqual(self.log.run(*offline, configured=False)[0], 1)
        self.assertEqual(tlog.open_checkpoint(pathlib.Path(self.log.newest).read_text(),
                                              self.log.verifier_key)[1], root)

    def read_by_hand(self, note, url, token):
        """As docs/audit_format.md tells an auditor to."""
        text = (SCHEMA.parent / "docs" / "audit_format.md").read_text()
        script = text.partition("cat >root.py <<'END'\n")[2].partition("END\n")[0]
        (self.folder / "root.py").write_text(script.replace("1 << 22", str(self.partition_records)))
        (self.folder / "text").write_text(note.partition("\n\n")[0] + "\n")
        get = self.folder / "get"
        get.write_text(f'#!/bin/sh\ncurl -sSf --cacert "{self.log.ca_file}" '
                       f'-H "Authorization: Bearer {token}" "{url}/log/$1"\n')
        get.chmod(0o700)
        done = subprocess.run([sys.executable, "root.py", "./get"], cwd=self.folder, text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("records are as", done.stderr)
        size = int(note.splitlines()[1])
        self.assertEqual(len(done.stdout.splitlines()), size - 512)

    def end_of(self, verifying):
        output, errors = verifying.communicate(timeout=100)
        self.assertEqual((verifying.returncode, errors), (0, ""), output)
        self.assertIn("dropped      512 by retention", output)

    def verified_meanwhile(self, change):
        """`verify` of the database, which has fixed the end of the log before the change and reads the
        first tile after it."""
        asked = ("SELECT count(*) FROM pg_locks WHERE relation = 'holdfast.tree_tiles'::regclass AND "
                 f"{HERE} AND {{}}")
        holder = self.log.session(self.database.name)
        holder.stdin.write("BEGIN; LOCK TABLE holdfast.tree_tiles;\n")
        holder.stdin.flush()
        wait_until(lambda: self.sql(asked.format("granted")) == "1", "the tiles are locked")
        verifying = self.verifying(*self.database.settings())
        wait_until(lambda: self.sql(asked.format("NOT granted")) != "0", "the first tile is asked for")
        verifying.send_signal(signal.SIGSTOP)
        holder.stdin.close()
        holder.wait()
        wait_until(lambda: self.sql(asked.format("NOT granted")) == "0", "the first tile is told")
        change()
        verifying.send_signal(signal.SIGCONT)
        return verifying

    def test_what_goes_while_the_database_is_verified(self):
        self.allow()
        self.end_of(self.verified_meanwhile(lambda: self.assertEqual(len(self.drop()), 2)))

    def test_what_is_taken_away_while_the_database_is_verified(self):
        def take_away():
            self.sql(TAKE_AWAY)
            self.append(self.record({"event": "something"}, "audit"))

        verifying = self.verified_meanwhile(take_away)
        output, _ = verifying.communicate(timeout=100)
        self.assertEqual(verifying.returncode, 1, output)
        self.assertIn("first bad index 0\n", output)
        # Read again, up to the record that came meanwhile.
        self.assertRegex(output, rf"(?m)^records +{self.log.size - 256 + 1} read")

    def test_what_goes_while_the_service_is_verified(self):
        self.allow()
        url, ca = self.audit_service(), self.log.ca_file
        token = pathlib.Path(self.log.token_file).read_text().strip()
        wait_until(lambda: self.can_be_read(url), "the service serves")
        asked, go_on = threading.Event(), threading.Event()

        class Between(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path.startswith("/log/tile/"):
                    asked.set()
                    go_on.wait(60)
                status, headers, body = fetch(url + self.path, ca, token)
                self.send_response(status)
                self.send_header("Content-Type", headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        verifying = self.verifying("--url", f"http://localhost:{server.server_port}",
                                   *self.database.layout())
        self.assertTrue(asked.wait(60))
        self.assertEqual(len(self.drop()), 2)
        go_on.set()
        self.end_of(verifying)

    def can_be_read(self, url):
        try:
            return fetch(f"{url}/log/checkpoint", self.log.ca_file)[0] == 200
        except OSError:
            return False

    def verifying(self, *arguments):
        process = subprocess.Popen(self.log.command("verify", *arguments), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def test_what_keeps_a_partition(self):
        self.assertIn("has set no floor", self.obstacles()[0])
        self.allow(floor="1h")
        self.assertIn("under the floor", self.obstacles()[0])
        self.assertEqual(self.obstacles(age="1h")[0], "its newest record is younger")
        self.allow(anchored="true")
        self.assertIn("has vouched", self.obstacles()[0])
        self.as_role("holdfast_audit", "SELECT holdfast.add_evidence('receipt', 'sink', size, root, '') "
                                       "FROM holdfast.tree_checkpoints ORDER BY size DESC LIMIT 1")
        self.assertEqual(self.obstacles()[:2], [None, None])
        intent, operation, writer = self.first("intent")
        cases = (
            ("no outcome yet", f"INSERT INTO holdfast.open_operations VALUES ('{operation}', "
                               f"'{writer}', {intent})"),
            ("does not reach", "UPDATE holdfast.search_state SET derived = 255"),
            ("whole tiles", "ALTER TABLE holdfast.tree_tiles DISABLE TRIGGER USER; "
                            "DELETE FROM holdfast.tree_tiles WHERE level = 0 AND index = 0"),
            ("no signed checkpoint", "ALTER TABLE holdfast.tree_checkpoints DISABLE TRIGGER USER; "
                                     "DELETE FROM holdfast.tree_checkpoints"),
            ("approval that is still open", f"""
                INSERT INTO holdfast.approvals (code, binding, state, step, filed_at, decide_by,
                    use_within, filing) VALUES ('{HOLD}', sha256(''), 'PENDING', 1, now(),
                    now() + interval '1 day', interval '1 day', '{{}}');
                INSERT INTO holdfast.approval_history SELECT '{HOLD}', 1, 'file', 'PENDING', now(),
                    id, '{{}}' FROM holdfast.record_search WHERE index = 3"""),
            ("review is still open", f"""
                INSERT INTO holdfast.reviews (code, opened_at, review_by, filing)
                    VALUES ('{HOLD}', now(), now(), '{{}}');
                INSERT INTO holdfast.review_history (code, name, at, record, content)
                    SELECT '{HOLD}', 'open', now(), id, '{{}}' FROM holdfast.record_search
                    WHERE index = 3"""))
        for why, change in cases:
            self.assertIn(why, self.planned(change)[0])

    def test_what_is_over_or_elsewhere_keeps_nothing(self):
        self.allow()
        self.assertEqual(self.planned("SELECT"), ["none", "none"])
        _, operation, writer = self.first("intent")

        def approval(state, index, time="1 day"):
            return f"""
                INSERT INTO holdfast.approvals (code, binding, state, step, filed_at, decide_by,
                    use_within, use_by, filing) VALUES ('{HOLD}', sha256(''), '{state}', 1, now(),
                    now() + interval '{time}', '1 day', now() + interval '{time}', '{{}}');
                INSERT INTO holdfast.approval_history SELECT '{HOLD}', 1, 'file', '{state}', now(),
                    id, '{{}}' FROM holdfast.record_search WHERE index = {index}"""

        def review(index, closed="NULL"):
            return f"""
                INSERT INTO holdfast.reviews (code, opened_at, review_by, closed_at, filing)
                    VALUES ('{HOLD}', now(), now(), {closed}, '{{}}');
                INSERT INTO holdfast.review_history (code, name, at, record, content)
                    SELECT '{HOLD}', 'open', now(), id, '{{}}' FROM holdfast.record_search
                    WHERE index = {index}"""

        for index, stay in ((3, [True, False]), (300, [False, True])):
            for change in (f"INSERT INTO holdfast.open_operations VALUES ('{operation}', '{writer}', "
                           f"{index})", review(index),
                           *(approval(state, index) for state in ("PENDING", "APPROVED", "CLAIMED"))):
                self.assertEqual([why != "none" for why in self.planned(change)], stay, change)
        for change in (approval("EXECUTED", 3), approval("PENDING", 3, "-1 day"),
                       approval("APPROVED", 3, "-1 day"), review(3, "now()")):
            self.assertEqual(self.planned(change), ["none", "none"], change)

    def test_a_record_is_as_young_as_its_time_and_the_first_signature_over_it(self):
        self.allow()
        younger = "its newest record is younger"

        def written(where):
            return f"UPDATE holdfast.record_search SET time = now() - interval '2h' WHERE {where};"

        def signed(where):
            return ("ALTER TABLE holdfast.tree_checkpoints DISABLE TRIGGER USER; UPDATE "
                    f"holdfast.tree_checkpoints SET signed = now() - interval '2h' WHERE {where};")

        for change, stay in ((written("true"), [younger, younger]),
                             (signed("true"), [younger, younger]),
                             (written("true") + signed("size < 256"), [younger, younger]),
                             (written("true") + signed("size < 512"), ["none", younger]),
                             (written("index <> 300") + signed("true"), ["none", younger]),
                             (written("true") + signed("true"), ["none", "none"])):
            self.assertEqual(self.planned(change, "1h"), stay, change)
        self.assertIn("no signed checkpoint", self.planned(
            "ALTER TABLE holdfast.tree_checkpoints DISABLE TRIGGER USER; "
            "DELETE FROM holdfast.tree_checkpoints WHERE size >= 256")[0])

    def test_a_hold_keeps_what_is_of_its_mailbox(self):
        self.allow()
        # All of the log's calls are of `me`, so by their caller.
        caller = self.sql("SELECT actors[1] FROM holdfast.record_search WHERE kind = 'intent' LIMIT 1")
        self.assertEqual(self.hold_steps(("hold_placed", PERSON)), "placed")
        self.assertEqual(self.obstacles()[:2], [None, None])
        self.sql(f"UPDATE holdfast.holds SET mailboxes = ARRAY['{caller}']")
        self.assertEqual(self.obstacles()[:2], [f"legal hold {HOLD}"] * 2)
        self.assertEqual(self.drop(), [])
        # Whoever's mailbox it was that the caller had reached for.
        self.sql("UPDATE holdfast.record_search SET mailboxes = '{}' WHERE index < 512")
        self.assertEqual(self.obstacles()[:2], [f"legal hold {HOLD}"] * 2)
        # Known by another name that stands beside it in a record of another partition.
        self.sql("""
            UPDATE holdfast.holds SET mailboxes = '{upn@contoso.com}';
            UPDATE holdfast.record_search SET mailboxes = '{me,upn@contoso.com,oid}' WHERE index = 300;
            UPDATE holdfast.record_search SET mailboxes = '{oid}' WHERE index = 3""")
        self.assertEqual(self.obstacles()[:2], [f"legal hold {HOLD}"] * 2)
        # Not by `me`, which is everybody's.
        self.sql("UPDATE holdfast.record_search SET mailboxes = '{me}' WHERE index = 3")
        self.assertEqual(self.obstacles()[:2], [None, f"legal hold {HOLD}"])
        # What cannot be read may be of any mailbox; and a hold's own record stays while it does.
        self.sql("UPDATE holdfast.record_search SET malformed = true WHERE index = 3")
        self.assertEqual(self.obstacles()[0], f"legal hold {HOLD}")
        self.sql("UPDATE holdfast.record_search SET mailboxes = '{}' WHERE index = 300")
        self.assertEqual(self.obstacles()[:2], [f"legal hold {HOLD}", None])
        self.sql("UPDATE holdfast.record_search SET malformed = false, mailboxes = '{}';"
                 "UPDATE holdfast.holds SET placed_index = 400")
        self.assertEqual(self.obstacles()[:2], [None, f"legal hold {HOLD}"])
        self.assertEqual(self.hold_steps(("hold_confirmed", OTHER), ("hold_lift_asked", OTHER)),
                         "lifting")
        self.assertEqual(self.obstacles()[1], f"legal hold {HOLD}")
        self.assertEqual(self.hold_steps(("hold_lifted", PERSON)), "lifted")
        self.assertEqual(self.obstacles()[:2], [None, None])

    def test_a_middle_partition_goes_before_a_held_one(self):
        self.allow()
        self.hold_steps(("hold_placed", PERSON))
        placed = self.sql("SELECT placed_index FROM holdfast.holds")
        self.sql("UPDATE holdfast.holds SET placed_index = 3")
        self.assertEqual([item["first"] for item in self.drop()], [256])
        self.sql(f"UPDATE holdfast.holds SET placed_index = {placed}")
        self.not_seen_by_verify()
        self.hold_steps(("hold_lift_asked", PERSON), ("hold_lifted", OTHER))
        self.assertEqual([item["first"] for item in self.drop()], [0])
        self.sql("SELECT holdfast.derive_search(1000)")
        self.not_seen_by_verify()


    def test_what_is_derived_goes_with_its_records_and_no_more(self):
        self.allow()
        _, operation, writer = self.first("intent")
        self.sql(f"INSERT INTO holdfast.open_operations VALUES ('{operation}', '{writer}', 3)")
        for state, index in (("lifted", 3), ("lifted", 300), ("lifted", 550), ("held", 301)):
            self.sql(f"INSERT INTO holdfast.unsettled VALUES (gen_random_uuid(), {index}, now());"
                     "INSERT INTO holdfast.holds (id, state, mailboxes, placed_index, changed_index, "
                     f"content, history) VALUES (gen_random_uuid(), '{state}', '{{x}}', 550, {index}, "
                     "'{}', '[]')")
        self.assertEqual([item["first"] for item in self.drop()], [256])
        self.assertEqual(self.sql("SELECT string_agg(changed_index::text, ' ' ORDER BY changed_index) "
                                  "FROM holdfast.holds"), "3 301 550")
        self.assertEqual(self.sql("SELECT string_agg(outcome_index::text, ' ' ORDER BY outcome_index) "
                                  "FROM holdfast.unsettled"), "3 550")
        self.assertEqual(self.sql("SELECT count(*) FILTER (WHERE index < 256), "
                                  "count(*) FILTER (WHERE index BETWEEN 256 AND 511), "
                                  "count(*) FILTER (WHERE index > 511) > 0 "
                                  "FROM holdfast.record_search"), "256|0|t")


class Uneven(RetentionCase):
    ends = (100, 512)

    def test_partitions_that_are_not_of_whole_tiles_stay(self):
        self.allow()
        self.assertEqual(self.obstacles()[:2],
                         ["no signed checkpoint covers it with whole tiles"] * 2)


class Interrupted(RetentionCase):
    """Somebody reads the log all the time, so that retention waits, with everything else done."""

    def waits(self):
        return self.sql(f"SELECT count(*) FROM pg_locks WHERE {HERE} AND NOT granted AND relation = "
                        "'holdfast.log'::regclass AND mode = 'AccessExclusiveLock'") != "0"

    def waiting(self, meanwhile):
        self.allow()
        before = self.sql("SELECT next_index FROM holdfast.log_head")
        reader = self.log.session(self.database.name)
        reader.stdin.write("BEGIN; LOCK TABLE holdfast.log IN ACCESS SHARE MODE;\n")
        reader.stdin.flush()
        held = f"SELECT count(*) FROM pg_locks WHERE {HERE} AND granted AND relation = " \
               "'holdfast.log'::regclass AND mode = 'AccessShareLock'"
        wait_until(lambda: self.sql(held) != "0", "the reader's lock")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.retention("run")))
        thread.start()
        wait_until(self.waits, "retention waits for the log")
        meanwhile()
        reader.stdin.close()
        reader.wait()
        thread.join()
        return before, done[0]

    def test_a_crash_before_the_end_leaves_all_as_it_was(self):
        def kill():
            self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE usename = 'holdfast_retention' AND datname = current_database()")
        before, (status, _, errors) = self.waiting(kill)
        self.assertEqual(status, 1, errors)
        self.assertEqual(self.sql("SELECT next_index FROM holdfast.log_head"), before)
        self.assertEqual(self.sql("SELECT count(*) FROM holdfast.record_search WHERE index < 512"),
                         "512")
        self.not_seen_by_verify()
        self.assertEqual(len(self.drop()), 2)
        self.not_seen_by_verify()

    def test_appends_wait_for_a_try_and_not_for_the_reader(self):
        def first_try():
            # In the order of those who make partitions and append.
            wait_until(lambda: self.sql("SELECT pg_try_advisory_xact_lock(hashtextextended("
                                        "'holdfast.ensure_partitions', 0))") == "f",
                       "the lock of those who make partitions")
            wait_until(lambda: self.sql("SELECT count(*) FROM (SELECT FROM holdfast.log_head "
                                        "FOR UPDATE SKIP LOCKED) h") == "0", "the lock of the log's head")
            wait_until(lambda: not self.waits(), "the end of a try")
        _, (status, _, errors) = self.waiting(first_try)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(self.sql("SELECT min(index) FROM holdfast.log"), "512")

    def test_rows_that_are_being_indexed_go_as_well(self):
        self.allow()
        self.sql("SELECT holdfast.rebuild_search(); SELECT holdfast.derive_search(1000000)")
        indexing = self.log.session(self.database.name)
        indexing.stdin.write("BEGIN; SELECT holdfast.index_search(300);\n")
        indexing.stdin.flush()
        wait_until(lambda: self.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                                    + HERE) != "0", "rows on their way")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.retention("run")))
        thread.start()
        wait_until(lambda: self.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = "
                                    "'holdfast_retention' AND datname = current_database() AND "
                                    "wait_event = 'advisory'") != "0", "retention waits for them")
        indexing.communicate("COMMIT;\n")
        thread.join()
        status, _, errors = done[0]
        self.assertEqual((status, errors), (0, ""))
        self.sql("SELECT holdfast.index_search(1000000)")
        self.assertEqual(self.sql("SELECT min(index) FROM holdfast.record_search"), "512")
        self.not_seen_by_verify()

    def test_a_hold_that_is_placed_meanwhile_is_kept(self):
        _, (status, _, errors) = self.waiting(lambda: self.sql(
            f"INSERT INTO holdfast.holds (id, state, mailboxes, placed_index, changed_index, content, "
            f"history) VALUES ('{HOLD}', 'placed', '{{x}}', 3, 3, '{{}}', '[]')"))
        self.assertEqual(status, 1)
        self.assertIn("a legal hold was changed meanwhile", errors)
        self.assertEqual(self.sql("SELECT min(index) FROM holdfast.log"), "0")


class Taking(RetentionCase):
    def test_attack_take_a_partition_away_without_a_record(self):
        self.sql(TAKE_AWAY)
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_take_a_partition_away_and_say_that_it_was_dropped(self):
        self.sql(TAKE_AWAY + "INSERT INTO holdfast.dropped_ranges (first, until, record_index) "
                             "VALUES (0, 256, 600)")
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_take_a_partition_away_with_a_record_of_another_role(self):
        self.sql(TAKE_AWAY)
        for role in ("proxy", "audit"):
            self.forge({"event": "partition_dropped", "ranges": [[0, 256]]}, role)
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_take_away_more_than_retention_dropped(self):
        self.allow()
        self.hold_steps(("hold_placed", PERSON))
        self.sql("UPDATE holdfast.holds SET placed_index = 3")
        self.drop()
        self.sql(TAKE_AWAY)
        self.seen_by_verify("the log does not hold this record", 0)

    def test_attack_forget_a_hold(self):
        self.hold_steps(("hold_placed", PERSON), ("hold_confirmed", OTHER))
        self.sql("SELECT holdfast.derive_search(1000)")
        self.not_seen_by_verify()
        for change in ("UPDATE holdfast.holds SET mailboxes = '{other@contoso.com}'",
                       "UPDATE holdfast.holds SET state = 'lifted'", "DELETE FROM holdfast.holds"):
            self.sql(change)
            self.seen_by_verify(f"the legal hold {HOLD} is not in force as its record says")

    def test_attack_say_that_what_is_yet_to_come_was_dropped(self):
        self.forge({"event": "partition_dropped", "ranges": [[0, 4194304]]})
        self.tamper("DELETE FROM holdfast.log WHERE index = 7")
        self.seen_by_verify("the log does not hold this record", 7)

    def test_attack_invent_rows_of_the_search_table_where_records_were_dropped(self):
        self.allow()
        self.drop()
        self.not_seen_by_verify()
        for table, index in (("record_search", 100), ("record_search_recent", 99)):
            self.sql(f"INSERT INTO holdfast.{table} (index, malformed) VALUES ({index}, false)")
            self.seen_by_verify("the search table has a row for a record that the log does not hold",
                                index)

    def test_attack_take_a_hash_away_with_the_records(self):
        self.allow()
        self.drop()
        self.tamper("DELETE FROM holdfast.tree_tiles WHERE level = 0 AND index = 1")
        self.seen_by_verify("the log does not hold this record", 256)

    # A superuser does all that retention would have done: takes records away with their rows, adds
    # the record of it, and the row of that.
    def plan(self):
        return json.loads(self.sql("SELECT p FROM holdfast.retention_plan('1s') p LIMIT 1"))

    def forge_drop(self, plan, time=None, age_s=1, **changes):
        """What the record says is what that of dropping the planned partition would, but for the
        changes; its index."""
        told = {"event": "partition_dropped", "age_s": age_s, "by": "x",
                **{name: plan[name] for name in ("first", "until", "ranges", "checkpoint", "newest")},
                **changes}
        now = datetime.datetime.now(datetime.timezone.utc)
        index = self.forge(told, time=time or now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        self.sql("INSERT INTO holdfast.dropped_ranges (first, until, record_index) VALUES "
                 f"({told['first']}, {told['until']}, {index})")
        return index

    def test_attack_control_a_drop_that_is_allowed(self):
        """So that in the cases below nothing but what they name is there to be seen."""
        self.allow()
        plan = self.plan()
        self.assertIsNone(plan["obstacle"])
        self.sql(TAKE_AWAY)
        self.forge_drop(plan)
        self.not_seen_by_verify()

    def test_attack_say_that_two_records_were_dropped(self):
        self.allow()
        plan = self.plan()
        self.sql("ALTER TABLE holdfast.log DISABLE TRIGGER USER; ALTER TABLE holdfast.log_part_0 "
                 "DISABLE TRIGGER USER; DELETE FROM holdfast.log WHERE index IN (9, 10); "
                 "DELETE FROM holdfast.record_search WHERE index IN (9, 10)")
        index = self.forge_drop(plan, first=9, until=11, ranges=[[9, 11]])
        output = self.seen_by_verify("the log does not hold this record", 9,
                                     ("--checkpoint", self.log.newest))
        self.assertIn(f"index {index}: says that the records 9 to 10 are gone, which are no whole "
                      "partitions of 256 records", output)

    def test_attack_say_that_a_tile_was_dropped(self):
        self.allow()
        plan = self.plan()
        self.sql(TAKE_AWAY)
        self.forge_drop(plan)
        self.database.partition_records = None
        output = self.seen_by_verify("the log does not hold this record", 0)
        self.assertRegex(output, r"(?m)^FAULT +and \d+ more$")

    def test_attack_say_that_a_tile_was_dropped_under_the_leader(self):
        self.allow()
        plan = self.plan()
        self.sql(TAKE_AWAY)
        self.forge_drop(plan)
        self.database.partition_records = None
        self.freezes_the_leader("does not hold the records that tile 0/000 stands for")

    def test_attack_take_a_partition_away_and_note_it_under_the_leader(self):
        self.sql(TAKE_AWAY + "INSERT INTO holdfast.dropped_ranges (first, until, record_index) "
                             "VALUES (0, 256, 580)")
        self.freezes_the_leader("does not hold the records that tile 0/000 stands for")

    def test_attack_drop_what_no_policy_allows(self):
        plan = self.plan()
        self.sql(TAKE_AWAY)
        index = self.forge_drop(plan)
        self.seen_by_verify("drops the records 0 to 255, which no floor allows", index)

    def test_attack_drop_what_is_under_the_floor(self):
        self.allow(floor="1h")
        plan = self.plan()
        self.sql(TAKE_AWAY)
        index = self.forge_drop(plan)
        self.seen_by_verify("the age asked for, 1 s, is under the floor of the policy before it, 3600",
                            index)

    def test_attack_drop_what_is_new_and_insert_an_api_token(self):
        self.allow()
        plan = self.plan()
        self.sql(TAKE_AWAY + """
            INSERT INTO holdfast.tokens (id, sha256, created_at, expires_at, content)
              VALUES (gen_random_uuid(), sha256('mine'), now(), now() + interval '1 year', '{}')""")
        index = self.forge_drop(plan, time=FAR, newest="2098-01-01T00:00:00.000000Z", age_s=3600)
        output = self.seen_by_verify("although the newest of them, of 2098", index)
        self.assertRegex(output, "the API token .* was made by no record")

    def test_attack_drop_what_a_checkpoint_that_never_was_covers(self):
        self.allow()
        plan = self.plan()
        self.sql(TAKE_AWAY)
        index = self.forge_drop(plan, checkpoint={**plan["checkpoint"], "root": f"{'A' * 43}="})
        self.seen_by_verify("is another than they lead to", index)

    def test_attack_say_that_what_is_there_was_dropped(self):
        self.allow()
        index = self.forge_drop(self.plan())
        self.seen_by_verify("the records 0 to 255 are not gone as it says: the log holds the record 0",
                            index)

    def tamper(self, text):
        self.sql("".join(f"ALTER TABLE holdfast.{table} DISABLE TRIGGER USER;\n"
                         for table in ("log", "log_part_0", "tree_tiles")
                         if self.sql(f"SELECT to_regclass('holdfast.{table}')"))
                 + text)


class Rights(RetentionCase):
    def plan(self, partition=0):
        return json.loads(self.as_role("holdfast_retention", "SELECT holdfast.retention_plan('1s') "
                                                             f"OFFSET {partition} LIMIT 1"))

    def call(self, content):
        entry = self.record(content)
        return f"SELECT holdfast.drop_partition({entry}, sha256('\\x00'::bytea || {entry}))"

    def said(self, **changes):
        """What the record of dropping the first partition says, but for these."""
        plan = self.plan()
        return {"event": "partition_dropped", "age_s": 1, "by": "x", "newest": plan["newest"],
                **{name: plan[name] for name in ("first", "until", "ranges", "checkpoint")},
                **changes}

    def test_attack_with_the_credential_of_a_proxy_or_of_the_audit_service(self):
        self.allow()
        for role in ("holdfast_proxy", "holdfast_audit"):
            self.refused(role, self.call(self.said()), "permission denied")
            self.refused(role, "SELECT holdfast.set_retention_policy('', '')", "permission denied")
            self.refused(role, "UPDATE holdfast.retention_policy SET floor_age = '1s'",
                         "permission denied")
            self.refused(role, "UPDATE holdfast.holds SET state = 'lifted'", "permission denied")

    def test_attack_with_the_credential_of_retention(self):
        call = self.call(self.said())
        self.refused("holdfast_retention", call, "has set no floor")
        self.allow(floor="1h")
        self.refused("holdfast_retention", call, "under the floor")
        self.refused("holdfast_retention", self.call(self.said(age_s=None)), "under the floor")
        self.refused("holdfast_retention", self.call(self.said(age_s=3600)), "younger")
        self.allow(floor="1s")
        for table in ("log", "record_search", "holds", "dropped_ranges", "retention_policy"):
            self.refused("holdfast_retention", f"SELECT FROM holdfast.{table}", "permission denied")
        checkpoint = self.plan()["checkpoint"]
        earlier = json.loads(self.sql(
            "SELECT json_build_object('size', size, 'root', encode(root, 'base64')) FROM "
            "holdfast.tree_checkpoints WHERE size BETWEEN 1 AND 255 LIMIT 1"))
        for change in ({"first": 256, "until": 512}, {"ranges": []}, {"until": 512},
                       {"event": "other"}, {"ranges": [[0, 512]]},
                       {"checkpoint": {"size": self.log.size, "root": "AAAA"}},
                       {"checkpoint": {"size": 0, "root": ""}}, {"until": None},
                       {"checkpoint": {**checkpoint, "size": checkpoint["size"] + 1}},
                       {"checkpoint": earlier},
                       # Two partitions at once, with all that a record of them would say.
                       {"until": 512, "ranges": [[0, 512]],
                        "checkpoint": self.plan(1)["checkpoint"]}):
            self.refused("holdfast_retention", self.call(self.said(**change)), "does not say what")
        entry = self.record(self.said(), "audit")
        self.refused("holdfast_retention", f"SELECT holdfast.drop_partition({entry}, "
                     f"sha256('\\x00'::bytea || {entry}))", "log_role")
        self.tamper_hash()
        self.refused("holdfast_retention", self.call(self.said()), "does not hold the hashes")
        self.assertEqual(self.sql("SELECT count(*) FROM holdfast.log WHERE index < 512"), "512")

    def test_attack_have_retention_drop_what_is_gone_already(self):
        self.allow()
        self.sql("ALTER TABLE holdfast.log DISABLE TRIGGER USER; ALTER TABLE holdfast.log_part_0 "
                 "DISABLE TRIGGER USER; DELETE FROM holdfast.log WHERE index < 256")
        self.refused("holdfast_retention", self.call(self.said()), "does not hold the hashes")

    def test_a_policy_is_set_by_a_record_of_it(self):
        entry = self.record({"event": "other", "floor_s": 1, "anchored": False})
        self.refused("postgres", f"SELECT holdfast.set_retention_policy({entry}, "
                     f"sha256('\\x00'::bytea || {entry}))", "none of a retention policy")

    def test_one_drops_at_a_time(self):
        self.allow()
        other = self.log.session(self.database.name)
        self.addCleanup(other.communicate)
        other.stdin.write("SELECT pg_advisory_lock(hashtextextended('holdfast.retention', 0));\n")
        other.stdin.flush()
        wait_until(lambda: self.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                                    + HERE) != "0", "the other's lock")
        self.refused("holdfast_retention", self.call(self.said()), "somebody else drops a partition")

    def tamper_hash(self):
        self.sql("ALTER TABLE holdfast.tree_tiles DISABLE TRIGGER USER; UPDATE holdfast.tree_tiles "
                 "SET hashes = set_byte(hashes, 9, 0) WHERE level = 0 AND index = 0 "
                 "AND get_byte(hashes, 9) <> 0 OR index = -1; UPDATE holdfast.tree_tiles SET hashes = "
                 "set_byte(hashes, 10, (get_byte(hashes, 10) + 1) % 256) WHERE level = 0 AND index = 0")

    def test_attack_one_officer_as_two_people(self):
        for steps, state in (([("hold_placed", PERSON), ("hold_confirmed", PERSON)], "placed"),
                             ([("hold_confirmed", OTHER)], "held"),
                             ([("hold_lifted", OTHER)], "held"),
                             ([("hold_lift_asked", PERSON), ("hold_lifted", PERSON)], "lifting"),
                             ([("hold_confirmed", PERSON)], "held"),
                             ([("hold_lifted", OTHER)], "held")):
            self.assertEqual(self.hold_steps(*steps), state)
        steps = json.loads(self.sql("SELECT history FROM holdfast.holds"))
        self.assertEqual([step["event"] for step in steps],
                         ["hold_placed", "hold_confirmed", "hold_lift_asked", "hold_confirmed"])

    def test_attack_steps_of_nobody_or_out_of_turn(self):
        for steps, state in (([("hold_placed", PERSON), ("hold_confirmed", NOBODY)], "placed"),
                             ([("hold_lifted", OTHER)], "placed"),
                             ([("hold_lift_asked", PERSON), ("hold_lifted", NOBODY)], "lifting"),
                             # Who asks as the second one has not asked.
                             ([("hold_lift_asked", OTHER), ("hold_lifted", PERSON)], "lifting"),
                             ([("hold_lifted", OTHER)], "lifted"),
                             ([("hold_confirmed", PERSON)], "lifted"),
                             ([("hold_lift_asked", PERSON), ("hold_lifted", OTHER)], "lifted")):
            self.assertEqual(self.hold_steps(*steps), state, steps)

    def test_a_step_is_of_one_hold(self):
        self.hold_steps(("hold_placed", PERSON))
        self.assertEqual(self.hold_steps(("hold_placed", PERSON), ("hold_confirmed", OTHER),
                                         hold=OTHER_HOLD), "placed held")

    def test_a_hold_knows_its_records_among_others_of_their_batch(self):
        self.append(self.record({}, "audit", kind="outcome", outcome={"result": "unknown"}),
                    self.record(self.hold_step("hold_placed", PERSON, OTHER_HOLD), "audit",
                                kind="access"),
                    self.record(self.hold_step("hold_placed", PERSON), "audit"),
                    kinds="outcome,access,system", operations=f"{uuid.uuid4()},NULL,NULL")
        last = "(SELECT max(index) FROM holdfast.log)"
        self.assertEqual(self.sql(f"SELECT id, {last} - placed_index, {last} - changed_index, "
                                  "mailboxes FROM holdfast.holds"),
                         f"{HOLD}|0|0|{{held@contoso.com}}")
        self.hold_steps(("hold_confirmed", OTHER))
        self.assertEqual(self.sql(f"SELECT {last} - placed_index, {last} - changed_index "
                                  "FROM holdfast.holds"), "1|0")


if __name__ == "__main__":
    unittest.main()
