"""Rules that change while the proxy runs."""
import json
import os
import signal
import time

from base import StackCase
from service import fetch
from stack import Stack

WAIT_SECONDS = 60
ALLOWED = """schema: 1
revision: "allowed"
rules:
  - { id: anything, title: Anything may be destroyed, effect: allow }
"""
LIMITED = """schema: 1
revision: "limited"
rules:
  - { id: anything, effect: allow, limit: { count: 5, per: 1h } }
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


class WatchedRules(StackCase):
    config = {}

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(rules=ALLOWED, config={"rules.watch_interval": "100ms", **cls.config},
                          settings={"track_commit_timestamp": "on"})
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator

    def write(self, text):
        fresh = self.stack.folder / "rules.new"
        fresh.write_text(text)
        os.replace(fresh, self.stack.rules_file)

    def failures(self):
        lines = self.stack.proxy.log_path.read_text().splitlines()
        return [line for line in lines if "rules not reloaded, the old ones stay" in line]


class RulesReload(WatchedRules):
    def changes(self):
        return [entry for entry in self.stack.entries() if entry["kind"] == "rules"]

    def files_are_well(self):
        page = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)[2].decode()
        return "\nholdfast_rules_files_ok 1\n" in page

    def decision_of(self, answer):
        return self.record(answer[1]["Holdfast-Record"])["decision"]

    def test_other_rules_are_recorded_and_broken_ones_change_nothing(self):
        answer = self.call("POST", self.path(0))
        self.assertEqual(answer[0], 204)
        before = self.decision_of(answer)["rules_sha256"]

        self.write(DENIED)
        eventually(lambda: len(self.changes()) == 2)
        change = self.changes()[1]
        self.assertEqual(change["writer"]["role"], "proxy")
        self.assertEqual(change["rules"]["event"], "activated")
        self.assertEqual(change["rules"]["generation"], 2)
        self.assertEqual(change["rules"]["revision"], "denied")
        self.assertEqual(change["rules"]["before"]["sha256"], before)
        # The record comes first: the rules are in force a moment later.
        eventually(lambda: self.call("POST", self.path(1))[0] == 403)
        answer = self.call("POST", self.path(1))
        self.expect_error(answer, 403, "HoldfastDenied")
        self.assertEqual(self.decision_of(answer)["rules_sha256"], change["rules"]["sha256"])
        self.assertEqual(self.decision_of(answer)["rules_generation"], 2)

        # One whose tests fail, noticed without being asked, and one that is no YAML, on SIGHUP.
        self.assertTrue(self.files_are_well())
        self.write(DENIED + FAILING_TEST)
        eventually(self.failures)
        eventually(lambda: not self.files_are_well())
        self.write("schema: 1\nrules: [\n")
        known = len(self.failures())
        self.stack.proxy.signal(signal.SIGHUP)
        eventually(lambda: len(self.failures()) > known)
        self.expect_error(self.call("POST", self.path(1)), 403, "HoldfastDenied")
        self.assertEqual(len(self.changes()), 2)
        self.write(DENIED)
        eventually(self.files_are_well)

        draft = self.stack.folder / "draft.yaml"
        draft.write_text(DENIED)
        replay = ("rules", "replay", "--from", "2020-01-01T00:00:00Z", str(draft), "--format",
                  "ndjson")
        status, output, error = self.stack.run(*replay, check=False)
        self.assertEqual(status, 1, error)
        changed = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([(change["was"], change["would_be"]) for change in changed],
                         [({"effect": "allow", "rules": ["anything"]},
                           {"effect": "deny", "rules": ["nothing"]})])
        self.assertIn("1 of ", error)
        status, output, error = self.stack.run(*replay[:-2], check=False)
        self.assertEqual(status, 1, error)
        self.assertIn("the effect is deny; it was allow", output)
        # Allowed as before, by a rule that now has a limit: told by the generation of then.
        draft.write_text(LIMITED)
        status, output, error = self.stack.run(*replay, check=False)
        self.assertEqual(status, 1, error)
        changed = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([change["changes"] for change in changed
                          if change["was"]["effect"] == change["would_be"]["effect"]],
                         [["the limit is anything with 5 calls in 1h for each actor, none beyond; "
                           "it was none"]])
        self.assertNotIn("are not known", error)
        draft.write_text(ALLOWED)
        status, output, error = self.stack.run(*replay[:-2], "--to", "2020-01-02T00:00:00Z",
                                               check=False)
        self.assertEqual((status, output), (0, ""), error)

        self.write(ALLOWED)
        eventually(lambda: len(self.changes()) == 3)
        self.assertEqual(self.changes()[2]["rules"]["sha256"], before)
        self.assertEqual(self.changes()[2]["rules"]["generation"], 3)
        self.check_invariants()


class RulesBeforeADrain(WatchedRules):
    """A proxy that says it is about to drain still serves, by the rules that there are then."""
    config = {"proxy.drain_delay": "1h"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(cls.stack.proxy.kill)  # Which has an hour to end.

    def test_rules_change_until_the_drain_begins(self):
        self.assertEqual(self.call("POST", self.path(0))[0], 204)
        self.stack.proxy.signal(signal.SIGTERM)
        eventually(lambda: self.stack.request("GET", "/holdfast/readyz")[0] == 503)
        self.write(DENIED)
        eventually(lambda: self.call("POST", self.path(1))[0] == 403)
        self.write("schema: 1\nrules: [\n")
        eventually(self.failures)
        known = len(self.failures())
        self.stack.proxy.signal(signal.SIGHUP)
        eventually(lambda: len(self.failures()) > known)
        self.stack.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.stack.proxy.process.wait(WAIT_SECONDS), 0)


class TwoPeople(StackCase):
    """What loosens takes another admin, or whoever owns the database; at start-up too."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(rules=DENIED, config={"rules.watch_interval": "100ms",
                                                "rules.two_people": True},
                          settings={"track_commit_timestamp": "on"})
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.prepare()
        cls.stack.migrate()
        cls.stack.audit.start().wait_ready()
        cls.stack.proxy.start()
        cls.simulator = cls.stack.simulator

    def rules(self, *arguments, who="admin"):
        status, output, error = self.stack.run(
            "rules", *arguments, "--token-file", str(self.stack.folder / f"{who}.token"),
            check=False)
        return status, output + error

    def generations(self):
        output = self.rules("list", "--format", "ndjson", who="auditor")[1]
        return [json.loads(line) for line in output.splitlines()]

    def newest(self, number):
        eventually(lambda: self.generations()[:1] and self.generations()[0]["generation"] == number)
        return self.generations()[0]

    def ready(self):
        return self.stack.request("GET", "/holdfast/readyz")

    def write(self, text):
        fresh = self.stack.folder / "rules.new"
        fresh.write_text(text)
        os.replace(fresh, self.stack.rules_file)

    def test_loosening_takes_another_person(self):
        first = self.newest(1)
        self.assertEqual(first["state"], "pending")
        eventually(lambda: b"waits for an admin" in self.ready()[2])
        self.expect_error(self.call("POST", self.path(0)), 503, "HoldfastAuditUnavailable")
        # Nobody else, and nothing else, is enough.
        for who, sha256 in (("officer1", first["sha256"]), ("admin", "0" * 64)):
            status, text = self.rules("approve", "1", "--sha256", sha256, who=who)
            self.assertEqual(status, 1, text)
        status, text = self.rules("approve", "1", "--sha256", first["sha256"], "--comment", "seen")
        self.assertEqual(status, 0, text)
        eventually(lambda: self.ready()[0] == 200)
        self.expect_error(self.call("POST", self.path(0)), 403, "HoldfastDenied")

        self.write(ALLOWED)
        second = self.newest(2)
        self.assertEqual((second["state"], len(second["loosens"])), ("pending", 2))
        self.expect_error(self.call("POST", self.path(0)), 403, "HoldfastDenied")
        status, text = self.rules("show", "2", who="auditor")
        self.assertIn("rule nothing is gone", text)
        self.assertEqual(self.rules("show", "2", "--format", "yaml")[1], ALLOWED)
        # A restart is no way around it.
        self.stack.proxy.stop()
        self.stack.proxy.start().wait_ready()
        self.expect_error(self.call("POST", self.path(0)), 403, "HoldfastDenied")
        self.assertEqual(self.rules("reject", "2", "--sha256", second["sha256"], "--reason",
                                    "too much")[0], 0)
        self.write(ALLOWED.replace('"allowed"', '"allowed again"'))
        third = self.newest(3)
        status, _, error = self.stack.run("rules", "recover", "3", "--sha256", third["sha256"],
                                          "--person", "root", "--reason", "no admin is left",
                                          check=False)
        self.assertEqual(status, 0, error)
        eventually(lambda: self.call("POST", self.path(0))[0] == 204)
        changes = [entry["rules"] for entry in self.stack.entries() if entry["kind"] == "rules"]
        self.assertEqual([change["event"] for change in changes],
                         ["offered", "approved", "offered", "rejected", "offered", "recovered"])
        self.assertEqual(changes[1]["by"]["name"], "admin")
        self.assertEqual(changes[5]["recovery"]["reason"], "no admin is left")
        self.check_invariants()
