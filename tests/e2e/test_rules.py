"""Rules that change while the proxy runs."""
import os
import signal
import time

from base import StackCase
from stack import Stack

WAIT_SECONDS = 60
ALLOWED = """schema: 1
revision: "allowed"
rules:
  - { id: anything, title: Anything may be destroyed, effect: allow }
"""
DENIED = """schema: 1
revision: "denied"
rules:
  - { id: nothing, title: Nothing is destroyed today, effect: deny }
"""
FAILING_TEST = """tests:
  - name: it is not
    given: { action: permanentDelete, resource: message }
    expect: { effect: allow }
"""


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


class RulesReload(StackCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(rules=ALLOWED, config={"rules.watch_interval": "100ms"},
                          settings={"track_commit_timestamp": "on"})
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator

    def write(self, text):
        fresh = self.stack.folder / "rules.new"
        fresh.write_text(text)
        os.replace(fresh, self.stack.rules_file)

    def changes(self):
        return [entry for entry in self.stack.entries() if entry["kind"] == "rules"]

    def failures(self):
        lines = self.stack.proxy.log_path.read_text().splitlines()
        return [line for line in lines if "rules not reloaded, the old ones stay" in line]

    def decision_of(self, answer):
        return self.record(answer[1]["Holdfast-Record"])["decision"]

    def test_other_rules_are_recorded_and_broken_ones_change_nothing(self):
        answer = self.call("POST", self.path(0))
        self.assertEqual(answer[0], 204)
        before = self.decision_of(answer)["rules_sha256"]

        self.write(DENIED)
        eventually(self.changes)
        change = self.changes()[0]
        self.assertEqual(change["writer"]["role"], "proxy")
        self.assertEqual(change["rules"]["revision"], "denied")
        self.assertEqual(change["rules"]["before"]["sha256"], before)
        # The record comes first: the rules are in force a moment later.
        eventually(lambda: self.call("POST", self.path(1))[0] == 403)
        answer = self.call("POST", self.path(1))
        self.expect_error(answer, 403, "HoldfastDenied")
        self.assertEqual(self.decision_of(answer)["rules_sha256"], change["rules"]["sha256"])

        # One whose tests fail, noticed without being asked, and one that is no YAML, on SIGHUP.
        self.write(DENIED + FAILING_TEST)
        eventually(self.failures)
        self.write("schema: 1\nrules: [\n")
        known = len(self.failures())
        self.stack.proxy.signal(signal.SIGHUP)
        eventually(lambda: len(self.failures()) > known)
        self.expect_error(self.call("POST", self.path(1)), 403, "HoldfastDenied")
        self.assertEqual(len(self.changes()), 1)

        self.write(ALLOWED)
        eventually(lambda: len(self.changes()) == 2)
        self.assertEqual(self.changes()[1]["rules"]["sha256"], before)
        self.check_invariants()
