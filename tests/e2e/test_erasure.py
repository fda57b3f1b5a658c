"""Personal data beside the log, in the whole product: approvals, search and proofs work on it, and after
a person is erased every proof holds and nobody finds them any more."""
import hashlib
import json
import unittest

import tlog
from base import EXECUTIVE, REQUESTER, justification
from holds import wait_until
from service import fetch
from test_approvals import RULES, ApprovalCase

BREAK_GLASS = """
  - id: incident
    effect: break_glass
    when: { actor: { kind: app } }
    require: { justification: 10 }
"""


class Erasure(ApprovalCase):
    options = {**ApprovalCase.options, "rules": RULES + BREAK_GLASS,
               "config": {**ApprovalCase.options["config"], "audit_log.personal_data": "sealed"}}

    def settled(self):
        """Everything signed and in search."""
        wait_until(lambda: self.stack.cluster.sql("""
            SELECT h.next_index = s.derived
                   AND h.next_index = (SELECT max(c.size) FROM holdfast.tree_checkpoints c)
              FROM holdfast.log_head h, holdfast.search_state s""") == "t", "everything signed")

    def ask_audit(self, path):
        token = (self.stack.folder / "auditor.token").read_text().strip()
        status, _, body = fetch(self.stack.audit_url + path, self.stack.ca_file, token)
        self.assertEqual(status, 200, body)
        return body

    def found(self, query):
        return json.loads(self.ask_audit(f"/api/v1/records?order=asc&{query}"))["value"]

    def entry(self, index):
        """The log's own bytes of a record of the first tile."""
        return bytes.fromhex(self.stack.cluster.sql(
            f"SELECT encode(entry, 'hex') FROM holdfast.log WHERE index = {index}"))

    def retention(self, *arguments):
        url = self.stack.cluster.url("holdfast_retention")
        return self.stack.run("retention", *arguments, "--set", f"retention.database.url={url}",
                              check=False)

    def check_proof(self, index):
        proof = self.ask_audit(f"/api/v1/records/{index}/proof").decode()
        tlog.open_proof(proof, self.stack.verifier_key, self.entry(index))

    def test_a_person_is_erased_and_every_proof_holds(self):
        own = self.path()
        self.assertEqual(self.call("POST", own)[0], 204)
        code = self.file()
        self.settled()
        self.assertNotIn("contoso.com", json.dumps(self.stack.entries()))
        intent, outcome = self.found(f"mailbox={REQUESTER}&action=permanentDelete")[:2]
        self.assertEqual((intent["kind"], outcome["kind"]), ("intent", "outcome"))
        self.assertEqual(intent["request"]["target"], own)
        self.assertIn(REQUESTER, intent["operation"]["mailbox"]["names"])
        for sealed in intent["sealed"]:
            document = sealed["document"].encode()
            self.assertEqual(hashlib.sha256(document).hexdigest(), sealed["sha256"])
            self.assertIn(sealed["sha256"].encode(), self.entry(intent["index"]))
        self.check_proof(intent["index"])
        self.assertEqual(self.stack.run("verify")[0], 0)

        # The approval knows whom it is of, and keeps them.
        self.assertEqual(self.officer("officer1", "show", code)[0], 0)
        status, _, errors = self.retention("erase", EXECUTIVE, "--reason", "DSR-1")
        self.assertEqual(status, 1)
        self.assertIn("an approval of theirs is still open", errors)
        self.assertEqual(self.officer("officer1", "reject", code, "--reason", "no")[0], 0)

        user = intent["actor"]["user"]
        status, output, errors = self.retention("subject", user)
        self.assertEqual((status, errors), (0, ""))
        self.assertIn(f"  {REQUESTER}\n", output)
        self.assertTrue(output.endswith("\nmay be erased\n"), output)
        for reason, problem in (("", "a reason is needed"), ("  ", "a reason is needed"),
                                ("two\nlines", "must be UTF-8 without control characters"),
                                (b"\xff", "must be UTF-8 without control characters"),
                                ("x" * 2049, "is longer than 2048 bytes")):
            status, output, errors = self.retention("erase", user, "--reason", reason)
            self.assertEqual((status, output), (2, ""), reason)
            self.assertIn("--reason: ", errors)
            self.assertIn(problem, errors)
        status, output, errors = self.retention("erase", user.upper(), "--reason", "DSR-2", "--format",
                                                "ndjson")
        self.assertEqual((status, errors), (0, ""))
        record = json.loads(output)["record"]
        self.settled()
        self.assertEqual(self.found(f"mailbox={REQUESTER}&action=permanentDelete"), [])
        self.assertEqual(self.found(f"q={user}&kind=intent"), [])
        erased = json.loads(self.ask_audit(f"/api/v1/records/{intent['index']}"))
        self.assertEqual(erased["sealed"], [{"erased": True, "sha256": sealed["sha256"]}
                                            for sealed in intent["sealed"]])
        self.assertNotIn("target", erased["request"])
        told = json.loads(self.entry(record))["system"]
        self.assertEqual((told["event"], told["reason"]), ("subject_erased", "DSR-2"))
        self.check_proof(intent["index"])
        status, output, errors = self.stack.run("verify", check=False)
        self.assertEqual((status, errors), (0, ""), output)
        self.assertNotEqual(self.found(f"mailbox={EXECUTIVE}"), [])

        # Whoever it was may come back.
        self.assertEqual(self.call("POST", self.path(1))[0], 204)
        self.settled()
        self.assertEqual(len(self.found(f"mailbox={REQUESTER}&action=permanentDelete")), 2)
        self.assertEqual(self.retention("erase", "nobody@contoso.com", "--reason", "x")[0], 1)

    def entries_that_name(self, *names):
        """But what officers looked for, which is theirs."""
        return [text for text in map(json.dumps, (
            entry for entry in self.stack.entries() if entry["kind"] != "access"))
            if any(name in text for name in names)]

    def test_what_officers_decided_about_a_person_goes_with_them(self):
        names = (EXECUTIVE, self.simulator.mailboxes[EXECUTIVE]["id"])
        approved, rejected = self.file(1), self.file(2)
        self.approve(approved)
        self.assertEqual(self.ask(1)[0], 204)
        self.assertEqual(self.officer("officer1", "reject", rejected, "--reason", "no case")[0], 0)
        glass = {"Holdfast-Break-Glass": "true",
                 "x-msft-approval-justification": justification("the mailbox leaks")}
        self.assertEqual(self.ask(3, headers=glass)[0], 204)
        reviewed = self.found("effect=break_glass&kind=intent")[-1]["review"]["code"]
        status, _, problem = self.officer("officer1", "review", reviewed, "--finding", "a leak")
        self.assertEqual(status, 0, problem)
        self.settled()

        decisions = {entry.get("approval", entry.get("review"))["code"]: entry
                     for entry in self.found(f"mailbox={EXECUTIVE}&kind=approval")}
        for code in (approved, rejected, reviewed):
            self.assertEqual(decisions[code]["operation"]["mailbox"]["key"], EXECUTIVE)
        self.assertEqual(self.entries_that_name(*names), [])

        status, _, errors = self.retention("erase", EXECUTIVE, "--reason", "DSR-3")
        self.assertEqual((status, errors), (0, ""))
        self.settled()
        self.assertEqual(self.found(f"mailbox={EXECUTIVE}"), [])
        self.assertEqual(self.entries_that_name(*names), [])
        for code in (approved, rejected, reviewed):
            shown = json.loads(self.ask_audit(f"/api/v1/records/{decisions[code]['index']}"))
            self.assertTrue(all(sealed["erased"] for sealed in shown["sealed"]), shown)
            self.assertNotIn("key", shown["operation"]["mailbox"])
            by = shown.get("approval", shown.get("review"))["by"]
            self.assertEqual((by["name"], shown["actor"]["name"]), ("officer1", "officer1"))
        status, output, errors = self.stack.run("verify", check=False)
        self.assertEqual((status, errors), (0, ""), output)


if __name__ == "__main__":
    unittest.main()
