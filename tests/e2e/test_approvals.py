"""Calls that need approval, from the refusal to the one execution, with officers at a shell."""
import json
import unittest

from base import EXECUTIVE, HELD, REQUESTER, StackCase, justification, quoted
from holds import wait_until

RULES = """
schema: 1
revision: "approvals.1"
timezone: Europe/Berlin
lists:
  executives: { values: [ceo@contoso.com] }
approvers:
  compliance: { group: 3f2c0a52-0000-4000-8000-000000000001 }
  legal: { group: 91ab77de-0000-4000-8000-000000000002 }
rules:
  - id: hold-is-absolute
    effect: deny
    when: { mailbox: held@contoso.com }
  - id: executives
    title: Executive mailboxes need a compliance officer
    effect: require_approval
    when: { mailbox: { in: executives } }
    approve: { stages: [ { from: compliance } ], decide_within: 4h, use_within: 30m }
  - id: executives-contacts
    effect: require_approval
    when: { mailbox: { in: executives }, resource: contact }
    approve: { stages: [ { from: compliance, count: 2 }, { from: legal } ] }
  - id: own-events
    effect: require_approval
    when: { resource: event }
    require: { justification: 10, ticket: "CASE-[0-9]+" }
  - id: own
    effect: allow
    when: { mailbox: { own: true }, resource: message }
"""


class ApprovalCase(StackCase):
    options = {"rules": RULES, "config": {"audit_log.lease": "3s",
                                             "audit_log.append_timeout": "1s"}}

    def ask(self, index=0, kind="messages", headers=None, owner=f"users/{EXECUTIVE}", **more):
        return self.call("POST", self.path(index, kind, owner, EXECUTIVE, **more),
                         self.stack.app, headers=headers)

    def file(self, index=0, **more):
        """Asks for approval; its code."""
        status, headers, body = self.ask(index, **more)
        self.assertEqual((status, json.loads(body)["error"]["code"]),
                         (412, "HoldfastApprovalRequired"), body)
        return headers["x-msft-approval-code"]

    def officer(self, name, *arguments):
        """`holdfast approvals …` as that officer: (exit status, output, error output)."""
        return self.stack.run("approvals", *arguments, "--token-file",
                              str(self.stack.folder / f"{name}.token"), check=False)

    def approve(self, code, name="officer1"):
        status, output, problem = self.officer(name, "approve", code)
        self.assertEqual(status, 0, problem)
        return output

    def state(self, code):
        status, headers, body = self.stack.request("GET", f"/holdfast/approvals/{code}",
                                                   self.stack.app)
        self.assertEqual(status, 200, body)
        return json.loads(body)["state"]

    def expect(self, answer, status, code):
        self.assertEqual((answer[0], self.code_of(answer)), (status, code), answer[2])


class Approvals(ApprovalCase):
    def test_refused_approved_and_resent_by_the_official_client_without_a_header(self):
        call = {"method": "POST", "version": "v1.0",
                "path": f"/users/{EXECUTIVE}/messages/"
                        f"{quoted(self.ids('messages', EXECUTIVE)[0])}/permanentDelete"}

        def send():
            return self.sdk(token=self.stack.app, calls=[call])[0]

        refused = send()
        self.assertEqual((refused["status"], refused["attempts"]), (412, 1))
        code = refused["headers"]["x-msft-approval-code"]
        self.assertEqual(send()["headers"]["x-msft-approval-code"], code)
        self.assertEqual(self.state(code), "PENDING")
        self.assertIn("APPROVED", self.approve(code))
        self.assertEqual(self.state(code), "APPROVED")
        done = send()
        self.assertEqual(done["status"], 204)
        again = send()
        self.assertEqual((again["status"], again["error"]["code"]), (409, "HoldfastApprovalUsed"))
        self.assertEqual(again["error"]["body"]["innerError"]["holdfast"]["record"],
                         done["headers"]["holdfast-record"])
        self.assertEqual(len([entry for entry in self.seen("ermanentDelete") if entry["acted"]]), 1)
        wait_until(lambda: self.state(code) == "EXECUTED", "the approval to be used up")
        found = [record for record in self.stack.records("--q", code)]
        states = [(record["kind"], record["approval"]["state"]) for record in found
                  if "approval" in record]
        self.assertEqual(states, [("decision", "PENDING"), ("decision", "PENDING"),
                                  ("approval", "APPROVED"), ("intent", "CLAIMED"),
                                  ("outcome", "EXECUTED"), ("decision", "EXECUTED")])
        self.check_invariants()

    def test_the_proxy_is_told_of_approvals_and_need_not_ask(self):
        code = self.file(9)
        asking = "EXECUTE ON FUNCTION holdfast.find_approval(uuid, bytea)"
        self.stack.cluster.sql(f"REVOKE {asking} FROM holdfast_proxy")
        try:
            self.approve(code)
            wait_until(lambda: self.ask(9)[0] == 204, "the call to be let through")
        finally:
            self.stack.cluster.sql(f"GRANT {asking} TO holdfast_proxy")
        self.assertEqual(self.ask(9)[0], 409)
        self.check_invariants()

    def test_the_same_mailbox_by_another_name_is_the_same_call(self):
        code = self.file(2, kind="contacts")
        mailbox = self.simulator.mailboxes[EXECUTIVE]["id"]
        keys = (EXECUTIVE.upper(), mailbox, mailbox.upper(), f"{mailbox}@{self.simulator.tenant_id}")
        for owner in (*(f"users/{key}" for key in keys), f"users('{EXECUTIVE}')"):
            with self.subTest(owner):
                self.assertEqual(self.file(2, kind="contacts", owner=owner), code)
        for officer in ("officer1", "officer2", "lawyer"):
            self.approve(code, officer)
        self.assertEqual(self.ask(2, kind="contacts", owner=f"users/{mailbox}")[0], 204)
        self.expect(self.ask(2, kind="contacts"), 409, "HoldfastApprovalUsed")

    def test_officers_see_what_became_of_earlier_requests_for_an_item(self):
        rejected = self.file(3, kind="contacts")
        self.assertEqual(self.officer("officer1", "reject", rejected, "--reason", "no case")[0], 0)
        code = self.file(3, kind="contacts", version="beta")

        def shown():
            return json.loads(self.officer("officer1", "show", code, "--format", "ndjson")[1])

        wait_until(lambda: shown()["earlier"], "search to have what was filed")
        self.assertEqual([(earlier["code"], earlier["state"], earlier["reason"])
                          for earlier in shown()["earlier"]], [(rejected, "REJECTED", "no case")])
        self.assertEqual(shown()["now"]["effect"], "require_approval")

    def test_two_compliance_officers_and_a_lawyer(self):
        code = self.file(kind="contacts", version="beta")
        self.assertIn("PENDING", self.approve(code, "officer1"))
        status, _, problem = self.officer("officer1", "approve", code)
        self.assertEqual(status, 1)
        self.assertIn("You can't approve this because you have approved it already", problem)
        self.assertIn("PENDING", self.approve(code, "lawyer"))
        self.assertIn("APPROVED", self.approve(code, "officer2"))
        self.assertEqual(self.ask(kind="contacts", version="beta")[0], 204)

    def test_who_may_not_decide_is_told_why(self):
        code = self.file(1)
        for name, why in (("auditor", "your role"), ("lawyer", "it still needs compliance")):
            status, _, problem = self.officer(name, "approve", code)
            self.assertEqual(status, 1)
            self.assertIn(f"You can't approve this because {why}", problem)
        self.assertEqual(self.state(code), "PENDING")
        self.assertEqual(self.ask(1)[0], 412)
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_a_rejection_is_told_with_its_reason(self):
        code = self.file(2)
        self.assertEqual(self.officer("officer1", "reject", code)[0], 2)
        status, output, problem = self.officer("officer1", "reject", code, "--reason", "no case")
        self.assertEqual((status, "REJECTED" in output), (0, True), problem)
        answer = self.ask(2)
        self.expect(answer, 403, "HoldfastApprovalRejected")
        self.assertIn(b"no case", answer[2])
        self.assertEqual(self.officer("officer2", "approve", code)[0], 1)

    def test_a_revoked_approval_is_worth_nothing(self):
        code = self.file(3)
        self.approve(code)
        self.assertEqual(self.officer("officer2", "revoke", code, "--reason", "second thoughts")[0],
                         0)
        self.assertNotEqual(self.file(3), code)
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_a_code_is_good_for_its_own_call_only(self):
        code = self.file(4)
        self.approve(code)
        answer = self.ask(5, headers={"x-msft-approval-code": code})
        self.expect(answer, 412, "HoldfastApprovalMismatch")
        detail = json.loads(answer[2])["error"]["innerError"]["holdfast"]
        self.assertEqual(detail["field"], "path")
        item = quoted(self.ids("messages", EXECUTIVE)[4])
        target = f"/V1.0/users('{EXECUTIVE}')/messages('{item}')/microsoft.graph.permanentDelete()"
        spelled = self.call("POST", target, self.stack.app, headers={"x-msft-approval-code": code})
        self.assertEqual(spelled[0], 204, spelled[2])

    def test_only_who_asked_may_poll_or_cancel(self):
        code = self.file(6)
        target = f"/holdfast/approvals/{code}"
        self.assertEqual(self.stack.request("GET", target, self.stack.requester)[0], 404)
        self.assertEqual(self.stack.request("GET", target)[0], 401)
        self.assertEqual(self.stack.request("DELETE", target, self.stack.app)[0], 200)
        self.assertEqual(self.state(code), "CANCELLED")
        self.assertNotEqual(self.file(6), code)

    def test_papers_come_with_the_first_call_and_not_again(self):
        papers = {"x-msft-approval-justification": justification("it has to go, really"),
                  "Holdfast-Ticket": "CASE-7"}
        target = self.path(0, "events", "me", REQUESTER)
        self.expect(self.call("POST", target), 400, "HoldfastJustificationRequired")
        asked = self.call("POST", target, headers=papers)
        self.expect(asked, 412, "HoldfastApprovalRequired")
        code = asked[1]["x-msft-approval-code"]
        shown = json.loads(self.officer("officer1", "show", code, "--format", "ndjson")[1])
        self.assertEqual((shown["justification"], shown["ticket"]),
                         ("it has to go, really", "CASE-7"))
        self.approve(code, "admin")
        self.assertEqual(self.call("POST", target)[0], 204)

    def test_throttling_gives_the_approval_back(self):
        code = self.file(7)
        self.approve(code)
        self.simulator.fault("status", 429, target_contains="permanentDelete")
        self.assertEqual(self.ask(7)[0], 429)
        self.assertEqual(self.state(code), "APPROVED")
        self.assertEqual(self.ask(7)[0], 204)
        self.assertEqual(self.ask(7)[0], 409)

    def test_plainly_denied_calls_ignore_codes(self):
        target = self.path(0, owner=f"users/{HELD}", user=HELD)
        answer = self.call("POST", target, headers={"x-msft-approval-code": "x"})
        self.expect(answer, 403, "HoldfastDenied")

    def test_the_queue_shows_what_waits(self):
        code = self.file(8)
        listed = self.officer("auditor", "list", "--state", "PENDING", "--format", "ndjson")[1]
        waiting = {item["code"]: item for item in map(json.loads, listed.splitlines())}
        self.assertEqual(waiting[code]["operation"]["action"], "permanentDelete")
        self.assertEqual(waiting[code]["you"]["can_approve"], False)
        self.assertIn(code, self.officer("auditor", "list")[1])


if __name__ == "__main__":
    unittest.main()
