"""A writer that is paused or cut off for longer than its lease, and comes back.

Its operations have been settled as unknown by then. What it knows lands as a reconciliation, never
as a second terminal record, and what it had not sent yet it does not send any more.
"""
import signal
import unittest

from fault_case import DONE, UNAVAILABLE, UNREACHABLE, ShortLeaseCase
from holds import wait_until

LATE = "outcome came after its operation had been settled"


class FencedCase(ShortLeaseCase):
    def wait_until_lease_is_over(self):
        wait_until(lambda: self.sql("SELECT bool_and(lease_until < clock_timestamp()) "
                                    "FROM holdfast.writers WHERE role = 'proxy'") == "t",
                   "the lease to run out")

    def check_late(self, *reported):
        self.assertEqual(self.late_results(), list(reported))
        self.assertIn(LATE, self.stack.proxy.log_path.read_text())


class CutWriter(FencedCase):
    options = {**ShortLeaseCase.options, "cuttable": True}

    def test_fault_cut_writer_late_outcome_is_a_reconciliation(self):
        hold = self.hold("answer")
        self.stack.network.cut()
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.wait_until_audit_settled()
        self.assertEqual(self.results(), [["unknown"]])
        self.stack.network.heal()
        self.settle("unknown", acted=1)
        self.check_late("executed")

    def test_fault_cut_writer_late_intent_is_refused(self):
        self.stack.network.cut()
        self.begin()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.wait_until_lease_is_over()
        # What it had sent reaches its old session now; what it knows comes on a new one.
        self.stack.network.heal()
        self.settle(None, "not_sent", acted=0)

    def test_fault_cut_writer_outcome_on_its_way_lands_once(self):
        lock = self.hold_outcome()
        self.stack.network.cut()
        self.assertEqual(self.answer(), DONE)  # It has given up waiting: the spool knows.
        lock.release()                         # Its old session commits, and cannot say so.
        wait_until(lambda: self.results() == [["executed"]], "the commit")
        self.wait_until_lease_is_over()
        self.stack.network.heal()
        self.settle("executed", acted=1)
        self.assertEqual(self.late_results(), [])


class PausedWriter(FencedCase):
    options = {**ShortLeaseCase.options, "config": {**ShortLeaseCase.options["config"],
                                              "upstream.connect_timeout": "30s"}}

    def test_fault_paused_writer_does_not_send_what_was_settled(self):
        hold = self.hold("connect")
        self.stack.proxy.signal(signal.SIGSTOP)
        self.wait_until_audit_settled()
        hold.release()
        self.stack.proxy.signal(signal.SIGCONT)
        self.assertEqual(self.answer(), UNREACHABLE)
        self.repair()
        self.assertEqual(self.results(), [["unknown"]])
        self.assertEqual(self.acted(), 0)
        self.check_late("not_sent")
        self.check_invariants()


if __name__ == "__main__":
    unittest.main()
