"""A proxy that dies with an approval in its hands: it is used up, and never used twice."""
import threading
import unittest

from holds import wait_until
from test_approvals import ApprovalCase


class Faults(ApprovalCase):
    options = {**ApprovalCase.options, "relayed": True}

    def begin(self, index):
        def work():
            try:
                self.ask(index)
            except OSError:
                pass

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def kill_at(self, index, point):
        """The proxy dies while the claimed call is held at that point; the approval's code."""
        code = self.file(index)
        self.approve(code)
        hold = self.stack.relay.hold(point, "permanentDelete")
        call = self.begin(index)
        hold.wait()
        self.assertEqual(self.state_in_database(code), "CLAIMED")
        self.stack.proxy.kill()
        call.join(30)
        self.stack.relay.release_all()
        self.stack.proxy.start().wait_ready(60)
        wait_until(lambda: self.state(code) == "UNKNOWN", "the claim to be settled")
        return code

    def state_in_database(self, code):
        return self.stack.cluster.sql(f"SELECT state FROM holdfast.approvals WHERE code = '{code}'")

    def test_fault_proxy_killed_after_the_claim(self):
        self.kill_at(0, "request")
        self.expect(self.ask(0), 409, "HoldfastApprovalUsed")
        self.check_invariants()

    def test_fault_proxy_killed_after_graph_acted(self):
        self.kill_at(1, "answer")
        self.expect(self.ask(1), 409, "HoldfastApprovalUsed")
        self.assertEqual(len([entry for entry in self.seen("ermanentDelete") if entry["acted"]]), 1)
        self.check_invariants()


if __name__ == "__main__":
    unittest.main()
