"""A list of the rules that follows eDiscovery's legal holds, from Graph to the decisions."""
import json
import os
import re
import unittest

from base import StackCase
from egress import EgressProxy
from holds import wait_until
from service import fetch
from stack import Stack

RULES = """schema: 1
revision: "{revision}"
lists:
  legal-hold: {{ file: lists/legal-hold.csv, max_age: {max_age} }}
rules:
  - {{ id: anything, effect: allow }}
  - {{ id: hold, effect: deny, when: {{ mailbox: {{ in: legal-hold }} }} }}
"""
EDISCOVERY = "ediscoveryCases"


class HoldSync(StackCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(rules=RULES.format(revision="holds", max_age="1h"),
                          config={"rules.watch_interval": "100ms", "rules.two_people": True,
                                  "audit.hold_sync.interval": "100ms"},
                          settings={"track_commit_timestamp": "on"})
        cls.addClassCleanup(cls.stack.stop)
        folder = cls.stack.folder / "lists"
        folder.mkdir()
        cls.list_file = folder / "legal-hold.csv"
        cls.stack.changes |= {"audit.hold_sync.list_file": str(cls.list_file),
                              "audit.hold_sync.token_file": str(cls.stack.folder / "graph.token")}
        cls.stack.prepare()
        cls.stack.migrate()
        cls.stack.audit.start().wait_ready()
        wait_until(cls.list_file.exists, "the list")
        cls.stack.proxy.start()
        cls.simulator = cls.stack.simulator

    def setUp(self):
        super().setUp()
        self.destroyed = 0

    def rules(self, *arguments):
        return self.stack.run("rules", *arguments, "--token-file",
                              str(self.stack.folder / "admin.token"), check=False)

    def generations(self):
        output = self.rules("list", "--format", "ndjson")[1]
        return [json.loads(line) for line in output.splitlines()]

    def newest(self, state):
        """The newest generation, once it is in that state."""
        wait_until(lambda: self.generations()[:1] and self.generations()[0]["state"] == state,
                   f"a generation that is {state}")
        return self.generations()[0]

    def approve_newest(self):
        waiting = self.newest("pending")
        status, output, error = self.rules("approve", str(waiting["generation"]), "--sha256",
                                           waiting["sha256"], "--comment", "as agreed")
        self.assertEqual(status, 0, output + error)
        self.newest("active")

    def destroy(self, user):
        """The status of an attempt on the next message of somebody's inbox."""
        token = self.simulator.ready["tokens"]["users"][user]
        status = self.call("POST", self.path(self.destroyed, user=user), token)[0]
        self.destroyed += status == 204
        return status

    def becomes(self, user, status):
        wait_until(lambda: self.destroy(user) == status, f"{status} for {user}")

    def write_rules(self, **values):
        fresh = self.stack.folder / "rules.new"
        fresh.write_text(RULES.format(**values))
        os.replace(fresh, self.stack.rules_file)

    def metric(self, name):
        page = fetch(self.stack.audit_url + "/metrics", self.stack.ca_file)[2].decode()
        return float(re.search(rf"^{name} (\S+)$", page, re.MULTILINE)[1])

    def test_holds_of_ediscovery_are_holds_here(self):
        case = self.simulator.control("GET", "ediscovery")[0]
        hold = case["holds"][0]
        change = {"case": case["case"], "hold": hold["hold"]}
        # Whose hold is on the second page, and in the second hold, is on the list as well.
        self.approve_newest()
        names = self.list_file.read_text().splitlines()
        self.assertEqual(names[2:], sorted(hold["emails"] + case["holds"][1]["emails"]))
        self.becomes("alex@contoso.com", 204)
        self.assertEqual([self.destroy(user) for user in ("held@contoso.com", "ceo@contoso.com")],
                         [403, 403])
        self.assertEqual(self.destroy("megan@contoso.com"), 204)  # Her case is closed.

        # Put on hold: at once, also where another is released at the same time. By an alias.
        self.simulator.control("POST", "ediscovery", {
            **change, "add": ["Alex.Wilber@contoso.com"], "remove": ["held@contoso.com"]})
        self.becomes("alex@contoso.com", 403)
        # Released: when an admin has agreed.
        self.newest("pending")
        self.assertEqual(self.destroy("held@contoso.com"), 403)
        self.approve_newest()
        self.becomes("held@contoso.com", 204)
        self.assertEqual(self.destroy("alex@contoso.com"), 403)

        self.fail_closed(change)
        self.check_invariants()

    def fail_closed(self, change):
        """Graph does not say everything: the list stays, grows old and then holds everybody."""
        before = self.list_file.read_text()
        self.simulator.fault("status", 503, times=10**6, method="GET",
                             target_contains="userSources?")  # The second page alone.
        self.simulator.control("POST", "ediscovery", {**change, "remove": ["former01@contoso.com"]})
        failures = self.metric("holdfast_hold_sync_failures_total")
        wait_until(lambda: self.metric("holdfast_hold_sync_failures_total") > failures + 1,
                   "a sync that fails")
        self.assertEqual(self.destroy("held@contoso.com"), 204)
        # Believed for less: that restricts, and is in force at once.
        self.write_rules(revision="short", max_age="1s")
        self.becomes("held@contoso.com", 403)
        wait_until(lambda: self.metric("holdfast_hold_sync_age_seconds") > 1, "the list's age")
        self.assertEqual(self.destroy("megan@contoso.com"), 403)
        self.assertEqual(self.list_file.read_text(), before)
        log = self.stack.audit.log_path.read_text()
        self.assertIn("the list of eDiscovery's holds stays as it was", log)
        self.assertIn("Graph answered 503", log)
        # Officers go on, and so does the list when Graph does.
        self.assertEqual(fetch(self.stack.audit_url + "/readyz", self.stack.ca_file)[0], 200)
        as_of = self.list_file.stat().st_mtime
        self.simulator.control("DELETE", "faults")
        wait_until(lambda: self.list_file.stat().st_mtime > as_of, "a list that is new")
        self.assertNotIn("former01", self.list_file.read_text())
        self.write_rules(revision="long", max_age="1h")
        wait_until(lambda: self.generations()[0]["revision"] == "long", "the offer")
        self.approve_newest()
        self.becomes("held@contoso.com", 204)
        self.assertEqual(self.destroy("alex@contoso.com"), 403)


class HoldSyncAsApplication(unittest.TestCase):
    """With an application's id and secret, by the way out that the proxy takes, for one hold."""

    def test_a_secret_serves_as_well(self):
        egress = EgressProxy()
        self.addCleanup(egress.stop)
        with Stack(config={"upstream.egress_proxy": egress.origin}) as stack:
            case = stack.simulator.control("GET", "ediscovery")[0]
            list_file = stack.folder / "board.csv"
            stack.audit.stop()
            stack.audit.command += [
                f"--set=audit.hold_sync.{key}={value}" for key, value in {
                    "list_file": list_file, "tenant": stack.simulator.tenant_id,
                    "holds": f"{case['case']}/{case['holds'][1]['hold']}",
                    "client_id": stack.simulator.app_id, "authority": stack.simulator.origin,
                    "client_secret_file": stack.folder / "graph.secret"}.items()]
            stack.audit.start().wait_ready()
            wait_until(list_file.exists, "the list")
            self.assertEqual(list_file.read_text().splitlines()[2:], ["ceo@contoso.com"])
            # The token and the list, and nothing else asked Graph here.
            self.assertGreaterEqual(len(egress.asked), 2)


if __name__ == "__main__":
    unittest.main()
