"""Webhooks as receivers see them: what fails at first, what is slow, and a service that dies between."""
import hashlib
import hmac
import json
import subprocess
import threading
import time
import unittest

from base import EXECUTIVE, HELD, justification
from holds import wait_until
from receiver import Receiver
from service import Service, fetch
from stack import Stack, free_ports, write_secret
from test_approvals import RULES, ApprovalCase

BREAK_GLASS = """
  - id: incident
    effect: break_glass
    when: { actor: { kind: app } }
    require: { justification: 10 }
    review_within: 1s
"""
SECRET = "a-secret-of-the-tests"
SLACK_KEY = "services/T0/B0/this-path-is-a-secret"


class Receivers:
    """Takes notices at /tickets, /slow and Slack's path; `faults` gives the next answers of each."""

    def __init__(self, certificates):
        self.taken = {}  # Path -> [(headers, body)], of what was answered 204.
        self.tries = {}  # Path -> how many came.
        self.faults = {}  # Path -> statuses still to be answered, or "hang".
        self.released = threading.Event()
        self.receiver = Receiver(certificates, self.answer)
        self.url = self.receiver.url

    def answer(self, path, headers, body):
        self.tries[path] = self.tries.get(path, 0) + 1
        fault = self.faults.get(path)
        if fault == "hang":
            self.released.wait(60)
            return 503, "text/plain", b"too late"
        if fault:
            return fault.pop(0), "text/plain", b"no"
        self.taken.setdefault(path, []).append((headers, body))
        return 204, "text/plain", b""

    def stop(self):
        self.released.set()
        self.receiver.stop()

    def notices(self, path, code):
        """Of that approval, each once: at least once is what is promised."""
        every = {notice["id"]: notice for notice in
                 (json.loads(body) for _, body in self.taken.get(path, []))}
        return [notice for notice in every.values() if notice["code"] == code]

    def events(self, path, code):
        return [notice["event"] for notice in self.notices(path, code)]


class Webhooks(ApprovalCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(rules=RULES + BREAK_GLASS, config=ApprovalCase.options["config"])
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.prepare()
        cls.simulator = cls.stack.simulator
        cls.receivers = Receivers(cls.stack.certificates)
        cls.addClassCleanup(cls.receivers.stop)
        hook = {"secret": SECRET}
        file = cls.stack.folder / "webhooks.yaml"
        write_secret(file, json.dumps({"webhooks": [
            {"name": "tickets", "url": cls.receivers.url + "/tickets", **hook},
            {"name": "slow", "url": cls.receivers.url + "/slow", **hook},
            {"name": "channel", "url": f"{cls.receivers.url}/{SLACK_KEY}", "format": "slack"}]}))
        cls.stack.migrate()
        cls.more = []
        for key, value in (("file", file), ("ca_file", cls.stack.ca_file), ("timeout", "1s")):
            cls.more += ["--set", f"audit.webhooks.{key}={value}"]
        cls.stack.audit.command += cls.more
        for service in (cls.stack.audit, cls.stack.proxy):
            service.start()
        for service in (cls.stack.audit, cls.stack.proxy):
            service.wait_ready()
        wait_until(lambda: cls.stack.cluster.sql("SELECT count(*) FROM holdfast.webhooks") == "3",
                   "the webhooks to begin")

    def wait_events(self, path, code, events):
        wait_until(lambda: len(self.receivers.events(path, code)) >= len(events),
                   f"{path} to be told of {events}")
        self.assertEqual(self.receivers.events(path, code), events)

    def metric(self, name):
        page = fetch(self.stack.audit_url + "/metrics", self.stack.ca_file)[2].decode()
        return int(float(page.split(f"\n{name} ")[1].split()[0]))

    def failures(self):
        return self.metric("holdfast_webhook_failures_total")

    def test_what_fails_at_first_is_told_in_order_and_signed(self):
        self.receivers.faults["/tickets"] = [500, 302]
        self.receivers.faults["/" + SLACK_KEY] = [500]
        before = self.failures()
        code = self.file(0)
        self.approve(code)
        self.officer("officer2", "revoke", code, "--reason", "second thoughts")
        self.wait_events("/tickets", code, ["pending", "approved", "revoked"])
        self.assertGreaterEqual(self.failures(), before + 2)
        pending, approved, revoked = self.receivers.notices("/tickets", code)
        self.assertEqual(pending["operation"], {
            "action": "permanentDelete", "resource": "message",
            "mailbox": pending["operation"]["mailbox"]})
        self.assertEqual(pending["operation"]["mailbox"]["key"], EXECUTIVE)
        self.assertEqual((pending["rules"], pending["stages"]),
                         (["executives"], [{"count": 1, "from": "compliance"}]))
        self.assertEqual(pending["link"], f"{self.stack.audit_url}/api/v1/approvals/{code}")
        self.assertEqual((approved["by"], revoked["by"], revoked["reason"]),
                         ("officer1", "officer2", "second thoughts"))
        self.assertLess(pending["at"], pending["until"])
        self.assertEqual(len({notice["id"] for notice in (pending, approved, revoked)}), 3)
        for headers, body in self.receivers.taken["/tickets"]:
            self.check_signature(headers, body)
            for secret in (self.ids("messages", EXECUTIVE)[0], self.stack.app[:30],
                           hashlib.sha256(self.stack.app.encode()).hexdigest()):
                self.assertNotIn(secret, body.decode())
        wait_until(lambda: any(code in json.loads(body)["text"] for _, body in
                               self.receivers.taken.get("/" + SLACK_KEY, [])), "the channel")
        self.assertNotIn(SLACK_KEY, self.stack.audit.log_path.read_text())
        self.assertNotIn(SECRET, self.stack.audit.log_path.read_text())

    def check_signature(self, headers, body):
        """As docs/approvals.md says, twice."""
        self.assertEqual(headers["Content-Type"], "application/json")
        time_s, signature = (part.split("=", 1)[1]
                             for part in headers["Holdfast-Signature"].split(","))
        self.assertLess(abs(time.time() - int(time_s)), 600)
        signed = time_s.encode() + b"." + body
        self.assertEqual(signature, hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest())
        openssl = subprocess.run(["openssl", "dgst", "-sha256", "-hmac", SECRET, "-r"],
                                 input=signed, stdout=subprocess.PIPE, check=True)
        self.assertEqual(openssl.stdout.split()[0].decode(), signature)

    def test_a_slow_receiver_holds_up_nobody_and_a_killed_service_goes_on(self):
        self.receivers.faults["/slow"] = "hang"
        code = self.file(1)
        self.wait_events("/tickets", code, ["pending"])
        tried = self.receivers.tries.get("/slow", 0)
        wait_until(lambda: self.receivers.tries.get("/slow", 0) > tried, "another try")
        self.approve(code)
        self.wait_events("/tickets", code, ["pending", "approved"])
        self.assertEqual(self.receivers.events("/slow", code), [])
        self.stack.audit.kill()
        self.receivers.faults.pop("/slow")
        self.receivers.released.set()
        self.stack.audit.start().wait_ready()
        self.addCleanup(self.receivers.released.clear)
        self.wait_events("/slow", code, ["pending", "approved"])
        self.officer("officer2", "revoke", code)
        for path in ("/slow", "/tickets"):
            self.wait_events(path, code, ["pending", "approved", "revoked"])

    def test_one_of_two_replicas_delivers_and_the_other_takes_over(self):
        port, = free_ports(1)
        url = f"https://localhost:{port}"
        command = self.stack.command("audit") + self.more + [
            "--set", f"audit.listen=127.0.0.1:{port}", "--set", "audit.log.key_files="]
        other = Service("second audit", command, url + "/readyz", self.stack.ca_file,
                        self.stack.folder / "audit2.log", self.stack.environment())
        self.addCleanup(other.stop)
        other.start().wait_ready()
        code = self.file(2)
        self.wait_events("/tickets", code, ["pending"])
        self.addCleanup(lambda: self.stack.audit.start().wait_ready())
        self.stack.audit.kill()
        self.stack.run("approvals", "approve", code, "--token-file",
                       str(self.stack.folder / "officer1.token"), "--set", f"records.url={url}")
        self.wait_events("/tickets", code, ["pending", "approved"])

    def test_breaking_the_glass_is_told_at_once_and_reviewed_afterwards(self):
        glass = {"Holdfast-Break-Glass": "true"}
        self.expect(self.ask(3, headers=glass), 400, "HoldfastJustificationRequired")
        glass["x-msft-approval-justification"] = justification("the mailbox leaks")
        waiting = self.file(3)
        held = self.path(0, "messages", f"users/{HELD}", HELD)
        self.expect(self.call("POST", held, self.stack.app, headers=glass), 403, "HoldfastDenied")
        status, headers, body = self.ask(3, headers=glass)
        self.assertEqual(status, 204, body)
        intent, = self.stack.records("--effect", "break_glass")
        self.assertEqual((intent["kind"], intent["decision"]["rules"], intent["id"]),
                         ("intent", ["incident"], headers["Holdfast-Record"]))
        self.assertEqual(intent["request"]["justification"], "the mailbox leaks")
        code = intent["review"]["code"]
        self.assertIn("a call goes past its approval", self.stack.proxy.log_path.read_text())
        self.assertEqual(intent["review"]["overrides"], {"code": waiting, "step": 1})
        self.assertEqual(self.state(waiting), "INVALIDATED")
        self.wait_events("/tickets", waiting, ["pending", "invalidated"])
        self.assertIn("break glass", self.receivers.notices("/tickets", waiting)[1]["reason"])
        status, _, problem = self.officer("officer1", "approve", waiting)
        self.assertEqual((status, "who broke the glass" in problem), (1, True), problem)
        self.assertNotEqual(self.file(3), waiting)
        self.wait_events("/tickets", code, ["break_glass", "review_overdue"])
        told = self.receivers.notices("/tickets", code)[0]
        self.assertEqual((told["justification"], told["link"]),
                         ("the mailbox leaks", f"{self.stack.audit_url}/api/v1/reviews/{code}"))
        wait_until(lambda: self.metric("holdfast_reviews_overdue") == 1, "the review in a metric")
        self.assertIn("OVERDUE", self.officer("officer1", "reviews")[1])
        close = ("review", code, "--finding", "a leak indeed")
        self.assertEqual(self.officer("auditor", *close)[0], 1)
        status, output, problem = self.officer("officer1", *close)
        self.assertEqual((status, "CLOSED" in output), (0, True), problem)
        status, _, problem = self.officer("officer2", *close)
        self.assertEqual((status, "it has been reviewed" in problem), (1, True), problem)
        self.wait_events("/tickets", code, ["break_glass", "review_overdue", "reviewed"])
        wait_until(lambda: self.metric("holdfast_reviews_overdue") == 0, "no review to be overdue")
        of_call = self.stack.records("--operation-id", intent["operation_id"])
        self.assertEqual([record["kind"] for record in of_call], ["intent", "outcome", "approval"])


if __name__ == "__main__":
    unittest.main()
