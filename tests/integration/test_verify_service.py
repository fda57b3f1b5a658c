"""`holdfast verify` as it ships: from the database, from the audit service and from a copy."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from stack import LOG_ORIGIN, Stack

CALLS = 40
SECONDS_MAX = 120  # For one look at a copy, which takes a tenth of one.
PATH = "/v1.0/me/messages/{}/permanentDelete"


def wait_for_checkpoint(stack):
    deadline = time.monotonic() + 60
    while stack.cluster.sql(
            "SELECT h.next_index = (SELECT max(size) FROM holdfast.tree_checkpoints) "
            "FROM holdfast.log_head h") != "t":
        assert time.monotonic() < deadline, "no checkpoint over all records"
        time.sleep(0.02)


class VerifyService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.stack.start()
        for number in range(CALLS):
            cls.stack.request("POST", PATH.format(f"AAMk{number}"), cls.stack.requester)
        cls.wait_for_checkpoint()

    @classmethod
    def tearDownClass(cls):
        cls.stack.stop()

    @classmethod
    def wait_for_checkpoint(cls):
        wait_for_checkpoint(cls.stack)

    def verify(self, *arguments, configured=True):
        """(exit status, standard output, error output); without the stack's configuration what an
        outsider has."""
        if configured:
            return self.stack.run("verify", *arguments, check=False)
        done = subprocess.run([str(self.stack.binary), "verify", *arguments], text=True,
                              env=self.stack.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                              timeout=SECONDS_MAX)
        return done.returncode, done.stdout, done.stderr

    def copy(self):
        """A fresh copy of the log, as `--save` makes it."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="copy-", dir=self.stack.folder))
        status, output, errors = self.verify("--url", self.stack.audit_url, "--save", str(folder))
        self.assertEqual((status, errors), (0, ""), output)
        return folder

    def offline(self, folder, *arguments):
        return self.verify("--offline", str(folder), "--key", self.stack.verifier_key, *arguments,
                           configured=False)

    def test_a_log_in_order_is_in_order_from_everywhere(self):
        status, output, errors = self.verify()
        self.assertEqual((status, errors), (0, ""), output)
        self.assertRegex(output, r"(?m)^calls +[4-9]\d intents, [4-9]\d outcomes, ")
        self.assertTrue(output.endswith("in order: no fault found\n"))
        self.assertNotIn("\r", output)
        status, output, errors = self.verify("--url", self.stack.audit_url, "--token-file",
                                             str(self.stack.folder / "auditor.token"))
        self.assertEqual((status, errors), (0, ""), output)
        status, output, errors = self.offline(self.copy())
        self.assertEqual((status, errors), (0, ""), output)
        self.assertRegex(output, r"(?m)^calls +[4-9]\d intents, [4-9]\d outcomes, ")

    # As docker/postgres-entrypoint.sh makes it.
    def test_a_database_that_is_not_for_everybody_is_verified(self):
        name = self.stack.cluster.sql("SELECT current_database()")
        roles = "holdfast_proxy, holdfast_audit"
        self.stack.cluster.sql(f"GRANT CONNECT ON DATABASE {name} TO {roles}")
        self.stack.cluster.sql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        try:
            status, output, errors = self.verify()
        finally:
            self.stack.cluster.sql(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO PUBLIC")
        self.assertEqual((status, errors), (0, ""), output)

    def test_database_and_service_give_the_same_copy(self):
        first, second = self.copy(), self.stack.folder / "from-database"
        self.assertEqual(self.verify("--save", str(second))[0], 0)
        entries = [sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")
                          if path.is_file() and "entries/000.p" in path.as_posix())
                   for folder in (first, second)]
        self.assertEqual(len(entries[0]), 1)
        self.assertEqual(self.offline(second)[0], 0)

    def test_a_changed_byte_in_a_copy_is_named(self):
        folder = self.copy()
        bundle = next((folder / "tile/entries").rglob("*.p/*"))
        content = bytearray(bundle.read_bytes())
        at = 0
        for _ in range(7):
            at += 2 + int.from_bytes(content[at:at + 2], "big")
        content[at + 40] ^= 1
        bundle.write_bytes(content)
        status, output, errors = self.offline(folder)
        self.assertEqual(status, 1)
        self.assertIn("first bad index 7\n", output)
        self.assertIn("index 7: the entry is not the one that the tree holds", errors)

    def test_a_wrong_signature_or_key_is_named(self):
        folder = self.copy()
        note = (folder / "checkpoint").read_text()
        other = tempfile.mkdtemp(dir=self.stack.folder)
        _, key, _ = self.stack.run("keygen", f"{other}/log.key", "--origin", LOG_ORIGIN)
        status, _, errors = self.verify("--offline", str(folder), "--key", key.strip(),
                                        configured=False)
        self.assertEqual(status, 1)
        self.assertIn("the log's checkpoint: ", errors)
        size = note.splitlines()[1]
        (folder / "checkpoint").write_text(note.replace(f"\n{size}\n", f"\n{int(size) - 1}\n"))
        self.assertEqual(self.offline(folder)[0], 1)
        (folder / "checkpoint").unlink()
        self.assertEqual(self.offline(folder)[0], 1)

    def test_the_size_of_a_checkpoint_that_nobody_signed_is_not_followed(self):
        folder = self.copy()
        note = (folder / "checkpoint").read_text()
        size = note.splitlines()[1]
        (folder / "checkpoint").write_text(note.replace(f"\n{size}\n", f"\n{1 << 62}\n"))
        status, output, errors = self.offline(folder)
        self.assertEqual(status, 1, errors)
        self.assertRegex(output, r"(?m)^FAULT +the log's checkpoint: ")
        self.assertRegex(output, r"(?m)^records +0 read$")

    def test_a_copy_of_things_that_are_no_files(self):
        folder = self.copy()
        bundle = next((folder / "tile/entries").rglob("*.p/*"))
        for path in (bundle, folder / "evidence/000", folder / "checkpoint"):
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            os.mkfifo(path)
            status, output, errors = self.offline(folder)
            self.assertEqual(status, 1, errors)
            self.assertIn(f"{path}: not a regular file\n", output)

    def test_a_checkpoint_kept_elsewhere_must_agree(self):
        folder = self.copy()
        kept = self.stack.folder / "kept"
        shutil.copyfile(folder / "checkpoint", kept)
        self.assertEqual(self.verify("--checkpoint", str(kept))[0], 0)
        self.assertEqual(self.offline(folder, "--checkpoint", str(kept))[0], 0)
        self.stack.request("POST", PATH.format("later"), self.stack.requester)
        self.wait_for_checkpoint()
        self.assertEqual(self.verify("--checkpoint", str(kept))[0], 0)
        later = self.copy()
        status, _, errors = self.offline(folder, "--checkpoint", str(later / "checkpoint"))
        self.assertEqual(status, 1)
        self.assertRegex(errors, r"index \d+: the log ends here")

    def anchor_lines(self, *notes):
        """The lines of an anchor file that has these checkpoints."""
        lines = []
        for note in notes:
            _, size, root = note.splitlines()[:3]
            lines.append(json.dumps({"note": note, "root": root,
                                     "signed": "2026-10-05T08:00:00.000000Z", "size": int(size)},
                                    sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        return lines

    def test_the_last_line_of_an_anchor_file_counts_without_its_newline(self):
        folder = self.copy()
        old = (folder / "checkpoint").read_text()
        self.stack.request("POST", PATH.format("anchored"), self.stack.requester)
        self.wait_for_checkpoint()
        new = (self.copy() / "checkpoint").read_text()
        anchors = self.stack.folder / "kept.ndjson"
        first, second = self.anchor_lines(old, new)
        for content in (second, f"{first}\n{second}"):
            anchors.write_text(content)
            status, output, errors = self.offline(folder, "--checkpoint", str(anchors))
            self.assertEqual(status, 1, output)
            self.assertRegex(errors, r"index \d+: the log ends here")
        anchors.write_text(f"{first}\n{second[:-1]}")
        status, output, errors = self.offline(folder, "--checkpoint", str(anchors))
        self.assertEqual((status, output), (2, ""))
        self.assertIn(f"--checkpoint: {anchors}: its last line is not finished", errors)
        anchors.write_text(f"{first}\n")
        self.assertEqual(self.offline(folder, "--checkpoint", str(anchors))[0], 0)
        # The service's own file, which it may be writing.
        anchors.write_text(f"{first}\n{second[:-1]}")
        status, output, errors = self.verify("--set", f"audit.anchors.file={anchors}")
        self.assertEqual((status, errors), (0, ""), output)
        self.assertIn(f"not checked  the last line of {anchors}, which is not finished\n", output)

    def test_who_has_no_key_is_told(self):
        folder = self.copy()
        status, output, errors = self.verify("--offline", str(folder), configured=False)
        self.assertEqual(status, 2)
        self.assertIn("--key", errors)
        self.assertNotIn("in order", output)
        self.assertRegex(output, r"(?m)^checkpoints  1 of 1 agree, their signatures not checked$")
        (folder / "checkpoint").unlink()
        _, output, _ = self.verify("--offline", str(folder), configured=False)
        self.assertNotIn("good signature", output)

    def test_a_file_of_keys(self):
        folder = self.copy()
        keys = self.stack.folder / "keys"
        keys.write_text(self.stack.verifier_key + "\n\n")
        self.assertEqual(self.verify("--offline", str(folder), "--key", str(keys),
                                     configured=False)[0], 0)

    def test_a_file_without_a_key_is_no_key(self):
        """Whose word it is to be has been said; the configuration's keys are not asked instead."""
        folder = self.copy()
        keys = self.stack.folder / "no-keys"
        for content in ("", "\n", "\n\n"):
            keys.write_text(content)
            for configured in (True, False):
                for named in (("--key", str(keys)),
                              ("--key", self.stack.verifier_key, "--key", str(keys))):
                    status, output, errors = self.verify("--offline", str(folder), *named,
                                                         configured=configured)
                    self.assertEqual((status, output), (2, ""), errors)
                    self.assertIn(f"--key {keys}: no key is in it", errors)

    def test_a_wrong_url_is_told_by_its_flag(self):
        for url in ("nonsense", "ftp://localhost", "https://localhost/path"):
            for configured in (True, False):
                status, output, errors = self.verify("--url", url, "--key", self.stack.verifier_key,
                                                     configured=configured)
                self.assertEqual((status, output), (2, ""), errors)
                self.assertIn("--url: ", errors)
                self.assertNotIn("records.url", errors)
                self.assertNotIn("--set", errors)

    def test_what_cannot_be_asked_or_is_wrongly_said_is_status_2(self):
        key = self.stack.verifier_key
        nobody = "https://127.0.0.1:1"
        database = "audit.database.url=postgresql://holdfast_audit@127.0.0.1:1/holdfast"
        for arguments in (("--offline", "/no/such/folder", "--key", key), (),
                          ("--url", nobody, "--key", key),
                          ("--set", database, "--key", key),
                          ("--offline", "/tmp", "--key", "not-a-key"),
                          ("--offline", "/tmp", "--key", key, "--checkpoint", "/no/such/file"),
                          ("--offline", "/tmp", "--url", nobody), ("--offline",), ("extra",)):
            status, output, errors = self.verify(*arguments, configured=False)
            self.assertEqual((status, output), (2, ""), arguments)
            self.assertTrue(errors.startswith("holdfast: "), errors)
        empty = tempfile.mkdtemp(dir=self.stack.folder)
        status, output, errors = self.verify("--offline", empty, "--key", key, configured=False)
        self.assertEqual((status, output), (2, ""))
        self.assertIn(f"--offline {empty}: nothing of a log is there", errors)
        status, _, errors = self.verify("--url", self.stack.audit_url, "--token-file", "/dev/null")
        self.assertEqual(status, 2)
        self.assertIn("/log/tile/entries/", errors)

    def test_nobody_else_may_be_the_owner(self):
        """Here and not with the other attacks: roles are of the whole cluster."""
        self.stack.cluster.sql("CREATE ROLE stranger; CREATE ROLE migrating CREATEROLE; "
                               "GRANT holdfast_owner TO migrating")
        for change, back, what in (
                ("ALTER ROLE holdfast_owner LOGIN", "ALTER ROLE holdfast_owner NOLOGIN",
                 "the role holdfast_owner may log in"),
                ("ALTER ROLE holdfast_owner SUPERUSER", "ALTER ROLE holdfast_owner NOSUPERUSER",
                 "the role holdfast_owner is a superuser"),
                ("GRANT holdfast_owner TO stranger", "REVOKE holdfast_owner FROM stranger",
                 "the role stranger may become holdfast_owner"),
                ("ALTER TABLE holdfast.limit_uses OWNER TO stranger",
                 "ALTER TABLE holdfast.limit_uses OWNER TO holdfast_owner",
                 "the table limit_uses belongs to stranger, not to holdfast_owner")):
            self.stack.cluster.sql(change)
            status, output, errors = self.verify()
            self.stack.cluster.sql(back)
            self.assertEqual(status, 1, output + errors)
            self.assertIn(what + "\n", output)
        status, output, errors = self.verify()
        self.assertEqual((status, errors), (0, ""), output)

    def test_open_calls_are_listed(self):
        operation = "01890000-0000-7000-8000-00000000abcd"
        self.stack.cluster.sql(f"""
            INSERT INTO holdfast.open_operations SELECT '{operation}',
                '01890000-0000-4000-8000-000000000002', next_index FROM holdfast.log_head;
            INSERT INTO holdfast.log SELECT h.next_index, e, sha256('\\x00'::bytea || e), 'intent',
                'proxy' FROM holdfast.log_head h, convert_to('{{"id":"01890000-0000-7000-8000-'
                '000000000001","kind":"intent","operation_id":"{operation}","time":'
                '"2026-10-05T08:00:00.000000Z","v":1,"writer":{{"id":'
                '"01890000-0000-4000-8000-000000000002","role":"proxy"}}}}', 'UTF8') AS e;
            UPDATE holdfast.log_head SET next_index = next_index + 1""")
        status, output, _ = self.verify()
        self.assertEqual(status, 0, output)
        self.assertTrue(re.search(rf"^open +{operation}, intent at index \d+$", output,
                                  re.MULTILINE), output)


class KeyRotation(unittest.TestCase):
    """One key follows another, and the log is verified when the first is gone."""

    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)
        self.stack.start()
        self.anchors = self.stack.folder / "anchors.ndjson"
        self.old, self.new = self.stack.folder / "log.key", self.stack.folder / "new.key"

    def sign_with(self, *files):
        """The audit service again, with these keys, until they have signed a further record."""
        self.keys = ["--set", "audit.log.key_files=" + ",".join(str(file) for file in files),
                     "--set", f"audit.anchors.file={self.anchors}"]
        self.stack.audit.stop()
        self.stack.audit.command = self.stack.command("audit", *self.keys)
        self.stack.audit.start().wait_ready()
        self.stack.request("POST", PATH.format("AAMk"), self.stack.requester)
        wait_for_checkpoint(self.stack)
        # Origin, size, root and an empty line stand before the signatures, nothing behind the last.
        signatures = self.stack.cluster.sql(
            "SELECT array_length(string_to_array(note, E'\\n'), 1) - 5 "
            "FROM holdfast.tree_checkpoints ORDER BY ordinal DESC LIMIT 1")
        self.assertEqual(signatures, str(len(files)))

    def verify(self, *arguments):
        return self.stack.run("verify", *self.keys, *arguments, check=False)

    def test_what_a_retired_key_signed_is_in_order_where_its_verifier_key_is_known(self):
        _, output, _ = self.stack.run("keygen", str(self.new))
        old, new = self.stack.verifier_key, output.strip()
        self.sign_with(self.old)
        self.sign_with(self.old, self.new)
        status, output, errors = self.verify()
        self.assertEqual((status, errors), (0, ""), output)
        self.old.unlink()
        self.sign_with(self.new)
        name, key_id, _ = old.split("+", 2)  # The key itself may hold a plus sign.
        unknown = f"no known key has signed this, but {name}+{key_id}"
        status, output, _ = self.verify()
        self.assertEqual(status, 1, output)
        for where in ("the database's checkpoint 0", f"the checkpoint in {self.anchors}"):
            self.assertIn(f"{where}: {unknown}", output)
        for arguments in (("--set", f"audit.log.verifier_keys={old}"),
                          ("--key", old, "--key", new)):
            status, output, errors = self.verify(*arguments)
            self.assertEqual((status, errors), (0, ""), output)
        # What belongs to another log, or is none.
        stranger = "another.test/log" + old[old.index("+"):]
        for key in (stranger, old.replace("+A", "+B", 1), "log.key"):
            status, _, errors = self.verify("--set", f"audit.log.verifier_keys={key}")
            self.assertEqual(status, 2, errors)
            self.assertIn("audit.log.verifier_keys: ", errors)


if __name__ == "__main__":
    unittest.main()
