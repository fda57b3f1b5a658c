"""What became of an operation whose outcome is unknown: Graph is asked, and its answer recorded."""
import json
import unittest

from base import StackCase, quoted
from holds import wait_until
from invariants import seconds
from service import fetch
from stack import write_secret


class ReconcileCase(StackCase):
    """`holdfast audit` asks with a token from a file; so a test decides when it can."""

    def setUp(self):
        super().setUp()
        self.token_file = self.stack.folder / "graph.token"
        self.addCleanup(self.settle_all)

    def allow(self, token=None):
        write_secret(self.token_file, (token or self.stack.app) + "\n")

    def settle_all(self):
        self.simulator.control("DELETE", "faults")
        self.allow()

    def unknown(self, index, fault, value=None, **call):
        """A call that ends as unknown; its operation."""
        self.simulator.fault(fault, value, method="POST", target_contains="permanentDelete")
        answer = self.call("POST", self.path(index, **call))
        self.expect_error(answer, 502, "HoldfastOutcomeUnknown")
        return self.record(answer[1]["Holdfast-Record"])["operation_id"]

    def reconciliations(self, operation):
        return [entry for entry in self.stack.entries() if entry["kind"] == "reconciliation"
                and entry["operation_id"] == operation]

    def settled(self, operation):
        wait_until(lambda: self.reconciliations(operation), "the reconciliation")
        found = self.reconciliations(operation)
        self.assertEqual(len(found), 1)
        return found[0]["outcome"]

    def integrity(self):
        status, _, body = fetch(self.stack.audit_url + "/api/v1/integrity", self.stack.ca_file,
                                self.stack.officers["auditor"])
        self.assertEqual(status, 200)
        return json.loads(body)

    def questions(self, item):
        return [request for request in self.seen(quoted(item)) if request["method"] == "GET"]


class Reconcile(ReconcileCase):
    options = {"reconcile": "token", "config": {"audit.reconcile.after": "0ms"}}

    def test_an_item_that_is_gone_was_deleted(self):
        self.allow()
        operation = self.unknown(0, "close_after_act")
        outcome = self.settled(operation)
        self.assertEqual(outcome["result"], "executed")
        evidence = outcome["evidence"]
        self.assertEqual((evidence["status"], evidence["error_code"]), (404, "ErrorItemNotFound"))
        asked = self.questions(self.ids("messages")[0])[-1]
        self.assertEqual(evidence["target"], asked["target"])
        self.assertIn("/users/" + self.simulator.mailboxes["alex@contoso.com"]["id"] + "/",
                      asked["target"])
        self.assertRegex(evidence["graph_request_id"], "^[0-9a-f-]{36}$")
        # The terminal record stays what it was, and the officers find the new one.
        self.assertEqual(self.stack.records("--kind", "outcome", "--result", "unknown")[-1]
                         ["operation_id"], operation)
        wait_until(lambda: self.integrity()["unsettled"] == 0, "the books")
        self.check_invariants()

    def test_an_item_that_is_there_was_not(self):
        self.allow()
        operation = self.unknown(1, "close_before_read")
        outcome = self.settled(operation)
        self.assertEqual((outcome["result"], outcome["evidence"]["status"]), ("not_executed", 200))
        self.check_invariants()

    def test_fault_nothing_is_settled_without_a_clear_answer(self):
        item = self.ids("messages")[2]
        self.simulator.fault("status", 503, method="GET", target_contains=quoted(item), times=1000)
        self.allow()
        operation = self.unknown(2, "close_after_act")
        wait_until(lambda: self.questions(item), "a question")
        state = self.integrity()
        self.assertEqual((state["unsettled"], state["reconciling"]), (1, True))
        self.assertGreater(state["oldest_unsettled_ms"], 0)
        self.assertEqual(self.reconciliations(operation), [])
        # Whoever leads next asks again at once, and is told.
        self.simulator.control("DELETE", "faults")
        self.stack.audit.stop()
        self.stack.audit.start().wait_ready()
        self.assertEqual(self.settled(operation)["result"], "executed")
        self.check_invariants()

    def test_fault_a_credential_that_graph_refuses_settles_nothing(self):
        self.allow("not.a.token")
        operation = self.unknown(3, "close_after_act")
        wait_until(lambda: "refuses" in (self.integrity()["reconcile_problem"] or ""),
                   "the problem to be told")
        self.assertEqual(self.reconciliations(operation), [])
        self.check_invariants()
        self.allow()
        self.stack.audit.stop()
        self.stack.audit.start().wait_ready()
        self.assertEqual(self.settled(operation)["result"], "executed")

    def test_what_leaves_no_trace_stays_open(self):
        self.allow()
        self.simulator.fault("close_after_act", method="POST", target_contains="recall")
        answer = self.call("POST", f"/beta/me/messages/{self.ids('sent')[0]}/recall")
        self.expect_error(answer, 502, "HoldfastOutcomeUnknown")
        operation = self.record(answer[1]["Holdfast-Record"])["operation_id"]
        self.settled(self.unknown(4, "close_after_act"))
        self.assertEqual(self.reconciliations(operation), [])
        self.check_invariants()


class ReconcileAsApplication(ReconcileCase):
    """With an application's id and secret; nothing is asked before its time."""
    options = {"reconcile": "application", "config": {"audit.reconcile.after": "1s"}}

    def test_a_secret_serves_as_well(self):
        operation = self.unknown(0, "close_after_act")
        self.assertEqual(self.settled(operation)["result"], "executed")
        ended = next(entry for entry in self.stack.entries() if entry["kind"] == "outcome"
                     and entry["operation_id"] == operation)
        asked = self.reconciliations(operation)[0]["outcome"]["evidence"]["asked_at"]
        self.assertGreaterEqual(seconds(asked) - seconds(ended["time"]), 1)
        self.check_invariants()


if __name__ == "__main__":
    unittest.main()
