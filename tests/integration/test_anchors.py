"""The log anchored outside its database: a file, a sink, a witness and a time-stamp authority; and
what becomes of a database that was restored from a backup."""
import base64
import json
import pathlib
import re
import subprocess
import time
import unittest

import tlog
from anchors import AnchorService
from forger import only_checkpoint, signed_note, tiles_of
from service import fetch
from stack import LOG_ORIGIN, Stack
from test_tree_service import fill

# Back to the first 200 records and their first checkpoints, as a backup would have it.
ROLL_BACK = """
ALTER TABLE holdfast.log DISABLE TRIGGER ALL; ALTER TABLE holdfast.log_000000 DISABLE TRIGGER ALL;
ALTER TABLE holdfast.tree_checkpoints DISABLE TRIGGER ALL;
ALTER TABLE holdfast.tree_tiles DISABLE TRIGGER ALL;
ALTER TABLE holdfast.anchor_evidence DISABLE TRIGGER ALL;
DELETE FROM holdfast.log WHERE index >= {0}; UPDATE holdfast.log_head SET next_index = {0};
DELETE FROM holdfast.tree_checkpoints WHERE size > {0};
DELETE FROM holdfast.anchor_evidence WHERE size > {0};
DELETE FROM holdfast.tree_tiles WHERE (index + 1) * 256 > {0};
UPDATE holdfast.search_state SET derived = 0; TRUNCATE holdfast.record_search
"""


class AnchorCase(unittest.TestCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)
        self.stack.prepare()
        self.stack.migrate()
        self.service = AnchorService(self.stack.folder, self.stack.certificates,
                                     self.stack.verifier_key)
        self.addCleanup(self.service.stop)
        self.file = self.stack.folder / "anchors.ndjson"
        self.options = {
            "file": self.file, "policy_file": self.service.policy, "witness_interval": "0ms",
            "timestamp_url": self.service.url + "/tsa", "timestamp_interval": "0ms",
            "timestamp_ca_file": self.service.authority.ca_file,
            "sink_url": self.service.url + "/sink", "ca_file": self.stack.ca_file,
            "timeout": "2s"}

    def start(self):
        self.stack.audit.command = self.stack.command("audit")
        for key, value in self.options.items():
            self.stack.audit.command += ["--set", f"audit.anchors.{key}={value}"]
        self.stack.audit.start()

    def ask(self, target):
        return fetch(self.stack.audit_url + target, self.stack.ca_file,
                     self.stack.officers["auditor"])

    def state(self):
        try:
            return json.loads(self.ask("/api/v1/integrity")[2])
        except (OSError, ValueError):
            return {"anchors": [], "size": None, "frozen": None}

    def wait(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            state = self.state()
            if condition(state):
                return state
            self.assertLess(time.monotonic(), deadline,
                            f"{state}\n{self.stack.audit.log_tail()}")
            time.sleep(0.05)

    def wait_anchored(self, size, kinds=("file", "sink", "witness", "timestamp")):
        return self.wait(lambda state: all(
            any(anchor["kind"] == kind and (anchor["size"] or 0) >= size
                for anchor in state["anchors"]) for kind in kinds))

    def evidence(self):
        lines, number = [], 0
        while True:
            status, _, body = self.ask(f"/log/evidence/{number:03}")
            if status == 404:
                return lines
            lines += [json.loads(line) for line in body.splitlines()]
            number += 1

    def lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()]


class Anchored(AnchorCase):
    def test_everybody_has_every_checkpoint_and_a_stranger_verifies_what_they_said(self):
        self.start()
        self.stack.audit.wait_ready()
        fill(self.stack, 300)
        state = self.wait_anchored(300)
        self.assertTrue(all(anchor["problem"] is None and anchor["age_ms"] >= 0
                            for anchor in state["anchors"]), state)
        note = self.ask("/log/checkpoint")[2].decode()
        self.assertTrue(self.service.witness.check(note))
        tlog.open_checkpoint(note, self.stack.verifier_key)
        signed = self.stack.cluster.sql("SELECT size FROM holdfast.tree_checkpoints "
                                        "ORDER BY ordinal").split()
        self.assertEqual([str(line["size"]) for line in self.lines()], signed)
        self.assertLessEqual(set(signed),
                             {str(line["size"]) for line in self.service.received})
        for line in self.lines():
            self.assertEqual(tlog.open_checkpoint(line["note"], self.stack.verifier_key),
                             (line["size"], base64.b64decode(line["root"])))
        self.check_timestamp(note)
        self.check_metrics()
        self.check_verify()

    def check_verify(self):
        copy = str(self.stack.folder / "copy")
        for arguments in (("--set", f"audit.anchors.file={self.file}"),
                          ("--url", self.stack.audit_url, "--save", copy), ("--offline", copy)):
            status, output, errors = self.stack.run(
                "verify", *arguments, "--policy", str(self.service.policy), "--timestamp-ca",
                str(self.service.authority.ca_file), check=False)
            # Of the records themselves it says the worst: they are none (fill).
            self.assertEqual(status, 1, output + errors)
            self.assertRegex(output, r"(?m)^checkpoints +(\d+) of \1 with a good signature agree$")
            self.assertRegex(output, r"(?m)^witnesses +\d+ cosignatures hold; as the policy requires "
                                     r"for the first \d+ records$")
            self.assertRegex(output, r"(?m)^time stamps +\d+ hold$")

    def check_metrics(self):
        page = self.ask("/metrics")[2].decode()
        for metric in ("age_seconds", "lag_records"):
            found = re.findall(rf'^holdfast_anchor_{metric}{{kind="(\w+)",name="[^"]+"}} ([\d.e-]+)$',
                               page, re.MULTILINE)
            self.assertEqual({kind for kind, _ in found}, {"file", "sink", "witness", "timestamp"})
            # An access record may have come since.
            self.assertTrue(all(float(value) < 60 for _, value in found), page)

    def check_timestamp(self, note):
        size, _ = tlog.open_checkpoint(note, self.stack.verifier_key)
        tokens = [piece for piece in self.evidence()
                  if piece["kind"] == "timestamp" and piece["size"] == size]
        self.assertEqual(len(tokens), 1)
        token, text = self.stack.folder / "token", self.stack.folder / "text"
        token.write_bytes(base64.b64decode(tokens[0]["content"]))
        text.write_text(note.rpartition("\n\n")[0] + "\n")
        done = subprocess.run(
            ["openssl", "ts", "-verify", "-data", str(text), "-in", str(token), "-token_in",
             "-CAfile", str(self.service.authority.ca_file)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertIn(b"Verification: OK", done.stdout)

    def test_fault_one_that_fails_holds_up_nobody_and_is_tried_again(self):
        self.service.faults = {"sink": "hang", "tsa": "garbage"}
        self.start()
        self.stack.audit.wait_ready()
        fill(self.stack, 300)
        self.wait_anchored(300, ("file", "witness"))
        state = self.wait(lambda state: all(
            anchor["problem"] for anchor in state["anchors"]
            if anchor["kind"] in ("sink", "timestamp")))
        self.assertEqual(self.ask("/readyz")[0], 200)
        self.assertGreaterEqual(state["size"], 300)
        self.service.faults = {}
        self.service.released.set()
        self.wait_anchored(300)

    def test_fault_a_witness_that_is_away_keeps_nobody_from_signing(self):
        self.service.faults = {"witness": "status"}
        fill(self.stack, 300)
        self.start()
        self.wait(lambda state: (state["size"] or 0) >= 300)
        self.assertEqual(self.ask("/readyz")[0], 200)


class Restored(AnchorCase):
    def roll_back(self, lost):
        """Runs to 500 records, then restores a database of 200; the files in `lost` are gone too."""
        self.start()
        self.stack.audit.wait_ready()
        fill(self.stack, 200)
        self.wait_anchored(200)
        fill(self.stack, 300)
        self.wait_anchored(500)
        self.stack.audit.stop()
        self.before = self.file.read_bytes()
        self.stack.cluster.sql(ROLL_BACK.format(200))
        for path in lost:
            pathlib.Path(path).unlink()

    def assert_frozen(self, why):
        state = self.wait(lambda state: state["frozen"])
        self.assertIn(why, state["frozen"])
        status, _, body = self.ask("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("nothing is signed", body.decode())
        self.assertEqual(self.ask("/log/checkpoint")[0], 503)
        self.assertLessEqual(int(self.stack.cluster.sql(
            "SELECT max(size) FROM holdfast.tree_checkpoints")), 200)

    def test_fault_the_anchor_file_stops_a_restored_database(self):
        self.roll_back([self.stack.folder / "checkpoint"])
        del self.options["policy_file"]
        self.start()
        self.assert_frozen("the anchor file has a checkpoint over")
        self.assertEqual(self.file.read_bytes(), self.before)

    def test_fault_the_witness_stops_a_restored_database(self):
        self.service.witness.size_type = "text/x.tlog.size; charset=utf-8"
        self.roll_back([self.stack.folder / "checkpoint", self.file])
        self.start()
        self.assert_frozen("has cosigned a tree of")


class Rewritten(AnchorCase):
    """The database and the signing key are somebody else's, who has written another history and
    signed it; the files of this machine are gone. The witness is what is left."""

    def rewrite(self, more):
        """Another history of as many records as the witness has cosigned, and of `more`."""
        self.start()
        self.stack.audit.wait_ready()
        fill(self.stack, 300)
        self.wait_anchored(300)
        self.service.faults = {"witness": "status"}
        self.stack.audit.stop()
        self.service.faults = {}
        self.seen = self.service.witness.size
        sql = self.stack.cluster.sql
        sql(ROLL_BACK.format(self.seen) + """;
            UPDATE holdfast.log l SET entry = e, leaf_hash = sha256('\\x00'::bytea || e)
              FROM (SELECT index AS i, convert_to(replace(convert_from(entry, 'UTF8'), '"n":"',
                                                          '"n":"0'), 'UTF8') AS e
                    FROM holdfast.log) AS other
              WHERE l.index = i;
            DELETE FROM holdfast.anchor_evidence""")
        if more:
            fill(self.stack, more)
        leaves = [bytes.fromhex(leaf) for leaf in
                  sql("SELECT encode(leaf_hash, 'hex') FROM holdfast.log ORDER BY index").split()]
        self.assertEqual(len(leaves), self.seen + more)
        root = tlog.root_of(leaves)
        note = signed_note(LOG_ORIGIN, self.stack.folder / "log.key", len(leaves), root)
        sql(tiles_of(leaves) + only_checkpoint(len(leaves), root, note))
        for path in (self.stack.folder / "checkpoint", self.file):
            path.unlink()
        self.start()

    def assert_nothing_is_signed(self):
        state = self.wait(lambda state: state["frozen"])
        self.assertIn(f"has seen another tree of {self.seen} records", state["frozen"])
        self.assertEqual(self.ask("/log/checkpoint")[0], 503)
        self.assertEqual(self.stack.cluster.sql("SELECT count(*) FROM holdfast.tree_checkpoints"),
                         "1")

    def test_fault_the_witness_stops_another_tree_of_the_same_size(self):
        self.rewrite(0)
        self.assert_nothing_is_signed()

    def test_fault_the_witness_stops_another_tree_that_is_larger(self):
        self.rewrite(7)
        self.assert_nothing_is_signed()


if __name__ == "__main__":
    unittest.main(verbosity=2)
