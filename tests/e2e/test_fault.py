"""Fails one outside step of a guarded call after another and checks the invariants each time."""
import threading
import unittest

from base import StackCase

GUARDED = "permanentDelete"


class FaultCase(StackCase):
    # Short, so that what a dead process left behind is settled while the test waits.
    options = {"config": {
        "audit_log.lease": "3s", "audit_log.append_timeout": "1s",
        "upstream.response_timeout": "2s", "upstream.connect_timeout": "2s"}}

    def setUp(self):
        super().setUp()
        # Identity and mailbox are known from here on: the next call goes straight to its steps.
        self.assertEqual(self.call("POST", self.path(0))[0], 204)

    def purged(self):
        return self.simulator.mailbox("alex@contoso.com")["purged"].get("message", 0) - 1

    def settle(self):
        """After a process or the database came back: the invariants, and service as before."""
        self.check_invariants()
        self.simulator.control("DELETE", "faults")
        self.assertEqual(self.call("POST", self.path(9))[0], 204)
        self.check_invariants()

    def call_in_background(self, index=1):
        thread = threading.Thread(target=self.call_or_nothing, args=(index,))
        thread.start()
        return thread

    def call_or_nothing(self, index=1):
        """A call whose answer may never come."""
        try:
            self.call("POST", self.path(index))
        except OSError:
            pass


class UpstreamFaults(FaultCase):
    def strike(self, kind, value=None, status=502, code="HoldfastOutcomeUnknown", result="unknown",
               acted=0):
        self.simulator.fault(kind, value, target_contains=GUARDED)
        answer = self.call("POST", self.path(1))
        self.assertEqual((answer[0], self.code_of(answer)), (status, code), answer[2])
        outcome = self.outcome_of(self.record(answer[1]["Holdfast-Record"]))
        self.assertEqual(outcome["result"], result)
        self.assertEqual(self.purged(), acted)
        self.assertLessEqual(len(self.seen(self.ids("messages")[1])), 1)
        self.settle()

    def test_fault_refused(self):
        self.strike("refuse", code="HoldfastUpstreamUnreachable", result="not_sent")

    def test_fault_reset_before_reading(self):
        self.strike("close_before_read")

    def test_fault_closed_after_acting(self):
        self.strike("close_after_act", acted=1)

    def test_fault_half_reply(self):
        self.strike("half_reply", acted=1)

    def test_fault_garbage(self):
        self.strike("garbage", acted=1)

    def test_fault_silent(self):
        self.simulator.fault("delay", 4000, target_contains=GUARDED)
        answer = self.call("POST", self.path(1))
        self.expect_error(answer, 502, "HoldfastOutcomeUnknown")
        self.settle()

    def test_fault_status_500(self):
        self.strike("status", {"status": 500, "act": True}, acted=1)

    def test_fault_status_503(self):
        self.strike("status", 503)

    def test_fault_status_408(self):
        self.strike("status", 408)

    def test_fault_status_302(self):
        self.strike("status", 302)

    def test_fault_slow_answer_is_still_an_answer(self):
        self.simulator.fault("slow_body", 20, target_contains=GUARDED)
        self.assertEqual(self.call("POST", self.path(1))[0], 204)
        self.settle()


class ProcessFaults(FaultCase):
    def kill_proxy_during(self, *fault):
        self.simulator.fault(*fault, target_contains=GUARDED)
        thread = self.call_in_background()
        self.wait_until_seen(self.ids("messages")[1])
        self.stack.proxy.kill()
        thread.join()
        self.stack.proxy.start().wait_ready()
        self.settle()

    def wait_until_seen(self, text):
        while not self.seen(text):
            pass  # Each look is a request of its own: no busy loop.

    def test_fault_proxy_killed_while_graph_works(self):
        self.kill_proxy_during("delay", 1000)

    def test_fault_proxy_killed_while_graph_answers(self):
        self.kill_proxy_during("slow_body", 100)

    def test_fault_proxy_killed_idle_and_back(self):
        self.stack.proxy.kill()
        self.stack.proxy.start().wait_ready()
        self.settle()


class DatabaseFaults(FaultCase):
    def unavailable(self):
        """A guarded call is refused and nothing of it leaves; an ordinary one passes."""
        answer = self.call("POST", self.path(1))
        self.expect_error(answer, 503, "HoldfastAuditUnavailable")
        self.assertIsNone(answer[1]["Retry-After"])
        self.assertIsNone(answer[1]["Holdfast-Record"])
        self.assertEqual(self.seen(self.ids("messages")[1]), [])
        self.assertEqual(self.call("GET", "/v1.0/me?$select=id")[0], 200)
        self.assertEqual(self.stack.request("GET", "/holdfast/readyz")[0], 503)

    def back(self):
        self.stack.proxy.wait_ready(60)
        self.settle()

    def test_fault_database_gone(self):
        self.stack.cluster.stop()
        try:
            self.unavailable()
        finally:
            self.stack.cluster.start()
        self.back()

    def test_fault_database_crashed(self):
        self.stack.cluster.kill()
        try:
            self.unavailable()
        finally:
            self.stack.cluster.start()
        self.back()

    def test_fault_database_hung(self):
        self.stack.cluster.pause()
        try:
            answer = self.call("POST", self.path(1))
            self.expect_error(answer, 503, "HoldfastAuditUnavailable")
            self.assertEqual(self.seen(self.ids("messages")[1]), [])
        finally:
            self.stack.cluster.resume()
        self.back()

    def test_fault_database_gone_after_graph_acted(self):
        self.simulator.fault("delay", 1000, target_contains=GUARDED)
        thread = self.call_in_background()
        while not self.seen(self.ids("messages")[1]):
            pass
        self.stack.cluster.kill()
        thread.join()
        # Graph's true answer, its outcome in the spool.
        self.assertEqual(self.answered[-1].status, 204)
        self.stack.cluster.start()
        self.back()

    def test_fault_connection_cut_mid_call(self):
        self.simulator.fault("delay", 500, target_contains=GUARDED)
        thread = self.call_in_background()
        while not self.seen(self.ids("messages")[1]):
            pass
        self.stack.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                               "WHERE usename = 'holdfast_proxy'")
        thread.join()
        self.assertEqual(self.answered[-1].status, 204)
        self.back()


if __name__ == "__main__":
    unittest.main()
