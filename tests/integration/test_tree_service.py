"""The signed log as it is served, verified from outside; and processes that die while they sign."""
import json
import pathlib
import random
import signal
import stat
import statistics
import time
import unittest

import tlog
from service import fetch
from stack import LOG_ORIGIN, Stack

FILL = """
INSERT INTO holdfast.log SELECT i, e, sha256('\\x00'::bytea || e), 'system', 'audit' FROM
  (SELECT i, convert_to(format(
     '{{"kind":"system","n":"%s","writer":{{"id":"x","role":"audit"}}}}', i), 'UTF8') AS e
   FROM generate_series((SELECT next_index FROM holdfast.log_head),
                        (SELECT next_index FROM holdfast.log_head) + {} - 1) AS i) AS made;
UPDATE holdfast.log_head SET next_index = next_index + {}
"""


def fill(stack, count):
    """Records as if appended, many at once."""
    stack.cluster.sql("BEGIN; SELECT 1 FROM holdfast.log_head FOR UPDATE; "
                      + FILL.format(count, count) + "; COMMIT")


class TreeCase(unittest.TestCase):
    def get(self, path, token=None):
        """A resource below /log/."""
        status, headers, body = fetch(f"{self.stack.audit_url}/log/{path}", self.stack.ca_file,
                                      self.stack.officers.get(token))
        self.assertEqual(status, 200, f"{path}: {body[:300]}")
        return body

    def log(self):
        return tlog.Log(lambda path: self.get(path, "auditor"), self.stack.verifier_key)

    def ask(self, target, token="auditor"):
        return fetch(self.stack.audit_url + target, self.stack.ca_file,
                     self.stack.officers.get(token))

    def wait_for_checkpoint(self, size, seconds=60):
        deadline = time.monotonic() + seconds
        while self.log().checkpoint()[0] < size:
            self.assertLess(time.monotonic(), deadline, f"no checkpoint over {size} records")
            time.sleep(0.01)


class TreeService(TreeCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.stack.start(roles=("audit",))
        fill(cls.stack, 700)

    @classmethod
    def tearDownClass(cls):
        cls.stack.stop()

    def test_a_stranger_verifies_the_whole_log(self):
        self.wait_for_checkpoint(700)
        entries = self.log().check_all()
        stored = self.stack.cluster.sql("SELECT encode(entry, 'hex') FROM holdfast.log "
                                        f"WHERE index < {len(entries)} ORDER BY index").split()
        self.assertEqual([entry.hex() for entry in entries], stored)

    def test_a_record_is_under_a_checkpoint_within_a_second(self):
        # Each within the second would be spoilt by a busy machine, the fastest by luck.
        taken = [self.seconds_to_a_checkpoint() for _ in range(9)]
        self.assertLess(statistics.median(taken), 1, taken)

    def seconds_to_a_checkpoint(self):
        # Reading is recorded, so the log has grown when the answer is here.
        self.assertEqual(self.ask("/api/v1/records?limit=1")[0], 200)
        answered = time.monotonic()
        size = int(self.stack.cluster.sql("SELECT next_index FROM holdfast.log_head"))
        self.wait_for_checkpoint(size)
        return time.monotonic() - answered

    def test_proofs_by_index_id_and_command_verify(self):
        self.wait_for_checkpoint(700)
        entry = bytes.fromhex(self.stack.cluster.sql(
            "SELECT encode(entry, 'hex') FROM holdfast.log WHERE index = 300").strip())
        status, headers, body = self.ask("/api/v1/records/300/proof")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; charset=utf-8"))
        self.assertEqual(tlog.open_proof(body.decode(), self.stack.verifier_key, entry), 300)
        with self.assertRaises(tlog.Wrong):
            tlog.open_proof(body.decode(), self.stack.verifier_key, entry + b" ")
        _, output, _ = self.stack.run("records", "proof", "300")
        self.assertEqual(tlog.open_proof(output, self.stack.verifier_key, entry), 300)
        # A record that has an id: that of a reading.
        record = self.stack.records("--kind", "access")[0]
        self.wait_for_checkpoint(record["index"] + 1)
        _, output, _ = self.stack.run("records", "proof", record["id"])
        entry = bytes.fromhex(self.stack.cluster.sql(
            f"SELECT encode(entry, 'hex') FROM holdfast.log WHERE index = {record['index']}"))
        self.assertEqual(tlog.open_proof(output, self.stack.verifier_key, entry), record["index"])
        code, output, errors = self.stack.run("records", "proof", "99999999", check=False)
        self.assertEqual((code, output), (1, ""))
        self.assertIn("no such record", errors)

    def test_what_does_not_exist_is_not_found_and_entries_need_a_token(self):
        self.wait_for_checkpoint(700)
        for path in ("tile/0/x009/000", "tile/1/001", "tile/3/000", "tile/0/0", "tile/0/000.p/256",
                     "checkpoints", ""):
            self.assertEqual(self.ask("/log/" + path, None)[0], 404, path)
        self.assertEqual(self.ask("/log/tile/entries/000", None)[0], 401)
        status, headers, body = self.ask("/log/tile/0/000", None)
        self.assertEqual((status, len(body), headers["Content-Type"]),
                         (200, 8192, "application/octet-stream"))
        self.assertIn("immutable", headers["Cache-Control"])
        self.assertEqual(self.ask("/log/tile/0/000.p/9", None)[2], body[:9 * 32])

    def test_integrity_names_size_leader_and_key(self):
        self.wait_for_checkpoint(700)
        state = json.loads(self.ask("/api/v1/integrity")[2])
        self.assertTrue(state["signed"] and state["leading_here"])
        self.assertEqual(state["keys"], [self.stack.verifier_key])
        self.assertEqual(state["origin"], LOG_ORIGIN)
        self.assertTrue(state["leader"].startswith(f"{self.stack.audit.process.pid}@"))
        self.assertIsNone(state["frozen"])
        size, root = tlog.open_checkpoint(state["checkpoint"], self.stack.verifier_key)
        self.assertEqual(size, state["size"])

    def test_keys_are_made_once_and_kept_private(self):
        path = self.stack.folder / "another.key"
        _, output, _ = self.stack.run("keygen", str(path))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertTrue(output.startswith(LOG_ORIGIN + "+"))
        before = path.read_bytes()
        code, _, errors = self.stack.run("keygen", str(path), check=False)
        self.assertEqual((code, path.read_bytes()), (1, before))
        self.assertIn("exists already", errors)
        path.chmod(0o640)
        code, _, errors = self.stack.run(
            "audit", "--set", f"audit.log.key_files={path}", check=False)
        self.assertEqual(code, 2)
        self.assertIn("chmod 600", errors)


class TreeLife(TreeCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)

    def second(self):
        """Another `holdfast audit` of the same log, with the same key."""
        folder = self.stack.folder / "second"
        folder.mkdir()
        service = self.stack.service("audit", f"{self.stack.audit_url}/readyz")
        service.command += ["--set", "audit.listen=127.0.0.1:0",
                            "--set", f"audit.log.checkpoint_file={folder / 'checkpoint'}"]
        service.log_path = pathlib.Path(folder / "audit.log")
        self.addCleanup(service.stop)
        return service.start()

    def leader(self):
        return self.stack.cluster.sql("SELECT coalesce(holdfast.tree_leader(), '')").split("@")[0]

    def wait_for_leader(self, pid):
        deadline = time.monotonic() + 60
        while self.leader() != str(pid):
            self.assertLess(time.monotonic(), deadline, f"{pid} does not lead")
            time.sleep(0.02)

    def test_fault_killed_while_it_integrates_it_goes_on(self):
        self.stack.start(roles=("audit",))
        size = 0
        chance = random.Random(4)
        for _ in range(8):
            fill(self.stack, 30_000)
            size += 30_000
            time.sleep(chance.uniform(0, 0.4))  # Anywhere in its work.
            self.stack.audit.kill()
            self.stack.audit.start()
        self.stack.audit.wait_ready(seconds=120)  # Search has all of them to derive.
        self.wait_for_checkpoint(size)
        signed_size, root = self.log().checkpoint()
        hashes = self.stack.cluster.sql("SELECT encode(sha256('\\x00'::bytea || entry), 'hex') "
                                        f"FROM holdfast.log WHERE index < {signed_size} "
                                        "ORDER BY index").split()
        self.assertEqual(tlog.root_of([bytes.fromhex(text) for text in hashes]), root)

    def test_fault_the_second_process_takes_over_from_a_killed_and_from_a_stopped_one(self):
        self.stack.start(roles=("audit",))
        self.wait_for_leader(self.stack.audit.process.pid)
        second = self.second()
        self.stack.audit.kill()
        self.wait_for_leader(second.process.pid)
        self.stack.audit.start().wait_ready()
        fill(self.stack, 300)
        self.wait_for_checkpoint(300)
        second.signal(signal.SIGSTOP)
        self.wait_for_leader(self.stack.audit.process.pid)
        fill(self.stack, 300)
        self.wait_for_checkpoint(600)
        second.signal(signal.SIGCONT)
        fill(self.stack, 300)
        self.wait_for_checkpoint(900)
        self.log().check_all()

    def test_fault_a_log_that_has_gone_back_is_told_and_not_signed(self):
        self.stack.start(roles=("audit",))
        fill(self.stack, 300)
        self.wait_for_checkpoint(300)
        self.stack.audit.stop()
        signed = self.stack.cluster.sql("SELECT max(size) FROM holdfast.tree_checkpoints")
        self.stack.cluster.sql(
            "ALTER TABLE holdfast.log DISABLE TRIGGER ALL; "
            "ALTER TABLE holdfast.log_000000 DISABLE TRIGGER ALL; "
            "DELETE FROM holdfast.log WHERE index >= 200; "
            "UPDATE holdfast.log_head SET next_index = 200; "
            "UPDATE holdfast.search_state SET derived = 0; TRUNCATE holdfast.record_search")
        self.stack.audit.start()
        deadline = time.monotonic() + 60
        said = ""
        while "frozen" not in said:
            self.assertLess(time.monotonic(), deadline, said)
            try:
                status, _, body = self.ask("/readyz", None)
                said = body.decode()
            except OSError:
                time.sleep(0.02)
        self.assertEqual(status, 503)
        self.assertIn("the log has gone back", said)
        status, _, body = self.ask("/log/checkpoint", None)
        self.assertEqual(status, 503)
        # To be looked into, and not to be kept.
        status, headers, _ = self.ask("/log/tile/0/000", None)
        self.assertEqual((status, headers["Cache-Control"]), (200, "no-store"))
        self.assertIn("gone back", json.loads(self.ask("/api/v1/integrity")[2])["frozen"])
        self.assertIn("nothing is signed", self.stack.audit.log_path.read_text())
        self.assertEqual(self.stack.cluster.sql("SELECT max(size) FROM holdfast.tree_checkpoints"),
                         signed)

    def test_without_a_key_it_runs_and_says_that_the_log_is_not_signed(self):
        self.stack.changes = {"audit.log.key_files": []}
        self.stack.start(roles=("audit",))
        state = json.loads(self.ask("/api/v1/integrity")[2])
        self.assertEqual((state["signed"], state["keys"], state["leader"]), (False, [], None))
        self.assertEqual(self.ask("/log/checkpoint", None)[0], 404)
        self.assertEqual(self.ask("/api/v1/records/0/proof")[0], 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
