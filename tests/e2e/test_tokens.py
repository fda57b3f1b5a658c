"""API tokens that an admin makes: from the shell, with two replicas of the audit service."""
import json
import os
import stat
import unittest

from base import REQUESTER, justification
from service import Service, fetch
from stack import free_ports
from test_approvals import ApprovalCase


class Tokens(ApprovalCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        port, = free_ports(1)
        cls.other_url = f"https://localhost:{port}"
        command = [*cls.stack.command("audit"), "--set", f"audit.listen=127.0.0.1:{port}",
                   "--set", f"audit.log.checkpoint_file={cls.stack.folder / 'other'}"]
        cls.other = Service("another holdfast audit", command, f"{cls.other_url}/readyz",
                            cls.stack.ca_file, cls.stack.folder / "other.log",
                            cls.stack.environment())
        cls.other.start().wait_ready()
        cls.addClassCleanup(cls.other.stop)

    def token_command(self, *arguments, who="admin"):
        return self.stack.run("token", *arguments, "--token-file",
                              str(self.stack.folder / f"{who}.token"), check=False)

    def make(self, name, *arguments):
        """A new token as the API answers."""
        status, output, error = self.token_command("create", name, *arguments,
                                                   "--format", "ndjson")
        self.assertEqual(status, 0, error)
        return json.loads(output)

    def read(self, token, url=None):
        return fetch((url or self.stack.audit_url) + "/api/v1/records?limit=1",
                     self.stack.ca_file, token)[0]

    def test_made_used_listed_and_revoked_for_both_replicas_at_once(self):
        made = self.make("siem", "--role", "auditor", "--expires-in", "2d")
        token = made["token"]
        for url in (self.stack.audit_url, self.other_url):
            self.assertEqual(self.read(token, url), 200)
        listed = json.loads(self.token_command("list", "--format", "ndjson", who="auditor")[1]
                            .splitlines()[0])
        self.assertEqual((listed["id"], listed["state"]), (made["id"], "active"))
        self.assertIn("last_used_at", listed)
        status, output, error = self.token_command("revoke", made["id"], "--reason", "leaked")
        self.assertEqual((status, made["id"] in output), (0, True), error)
        for url in (self.other_url, self.stack.audit_url):
            self.assertEqual(self.read(token, url), 401)
        self.assertNotIn(made["id"], self.token_command("list")[1])
        self.assertIn("revoked", self.token_command("list", "--all")[1])
        self.assertEqual(self.token_command("revoke", made["id"])[0], 1)
        entries = [entry for entry in self.stack.entries() if made["id"] in json.dumps(entry)]
        self.assertEqual([entry["system"]["event"] for entry in entries if "system" in entry],
                         ["token_created", "token_revoked"])
        reads = [entry["access"] for entry in entries if "access" in entry
                 and entry["access"].get("token_id") == made["id"]]
        self.assertEqual([(read["by"], read["token_id"]) for read in reads],
                         [("admin", made["id"])] * 2)
        self.assertNotIn(token, json.dumps(self.stack.entries()))

    def test_it_is_kept_in_a_file_for_its_owner_alone(self):
        path = self.stack.folder / "made.token"
        status, output, error = self.token_command("create", "x", "--role", "auditor",
                                                   "--out", str(path))
        self.assertEqual(status, 0, error)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(self.read(path.read_text().strip()), 200)
        self.assertNotIn(path.read_text().strip(), output + error)
        status, _, error = self.token_command("create", "y", "--role", "auditor",
                                              "--out", str(path))
        self.assertEqual((status, "revoked again" in error), (1, True), error)
        self.assertNotIn(" y ", self.token_command("list")[1])

    def test_it_approves_as_whoever_made_it_and_says_by_which_token(self):
        made = self.make("approvals", "--role", "approver")
        (self.stack.folder / "approving.token").write_text(made["token"])
        os.chmod(self.stack.folder / "approving.token", 0o600)
        asked = self.call("POST", self.path(0, "events", "me", REQUESTER), headers={
            "x-msft-approval-justification": justification("it has to go, really"),
            "Holdfast-Ticket": "CASE-7"})
        code = asked[1]["x-msft-approval-code"]
        status, output, error = self.officer("approving", "approve", code)
        self.assertEqual((status, "APPROVED" in output), (0, True), error)
        step = [entry for entry in self.stack.entries() if entry["kind"] == "approval"][-1]
        self.assertEqual((step["approval"]["by"]["name"], step["approval"]["by"]["via"],
                          step["actor"]["token_id"]), ("admin", "token", made["id"]))

    def test_who_may_not_is_told_why(self):
        for who in ("auditor", "officer1"):
            status, _, error = self.token_command("create", "x", "--role", "auditor", who=who)
            self.assertEqual(status, 1)
            self.assertIn("You can't change tokens", error)
        self.assertEqual(self.token_command("create", "x", "--role", "owner")[0], 2)
        self.assertEqual(self.token_command("create", "x", "--role", "auditor",
                                            "--expires-in", "900d")[0], 2)


if __name__ == "__main__":
    unittest.main()
