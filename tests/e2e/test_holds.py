"""Legal holds and retention from the shell: two officers, an operator, and a log that stays provable."""
import json
import unittest

from partitions import split
from shared_log import wait_until
from stack import Stack

DESTROY = "/v1.0/me/messages/{}/permanentDelete"
CALLS = 130  # Two records each, and the first partition holds 256.


class Holds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(config={"migrate.retention.floor": "1s", "migrate.retention.anchored": False,
                                  "retention.age": "1s", "audit.log.partition_records": 256})
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.prepare()
        cls.stack.migrate()
        cls.stack.cluster.sql(split(256))
        for service in (cls.stack.audit, cls.stack.proxy):
            service.start()
        for service in (cls.stack.audit, cls.stack.proxy):
            service.wait_ready()
        for number in range(CALLS):
            cls.stack.request("POST", DESTROY.format(number), cls.stack.requester)

    def settled(self):
        """Everything signed and in search, and the first partition older than a second."""
        wait_until(lambda: self.stack.cluster.sql("""
            SELECT h.next_index = s.derived
                   AND h.next_index = (SELECT max(c.size) FROM holdfast.tree_checkpoints c)
                   AND (SELECT min(c.signed) FROM holdfast.tree_checkpoints c WHERE c.size >= 256)
                       < clock_timestamp() - interval '1 second'
              FROM holdfast.log_head h, holdfast.search_state s""") == "t", "everything signed")

    def holds(self, officer, *arguments, check=True):
        return self.stack.run("holds", *arguments, "--token-file",
                              str(self.stack.folder / f"{officer}.token"), check=check)

    def retention(self, *arguments):
        url = self.stack.cluster.url("holdfast_retention")
        return self.stack.run("retention", *arguments, "--set", f"retention.database.url={url}",
                              check=False)

    def test_a_hold_keeps_old_records_until_two_officers_lift_it(self):
        self.settled()
        actor = next(entry["actor"] for entry in self.stack.entries() if entry["kind"] == "intent")
        _, output, _ = self.holds("officer1", "place", actor["user"].upper(), "--reason", "CASE-812",
                                  "--format", "ndjson")
        hold = json.loads(output)["id"]
        status, output, _ = self.retention("status")
        self.assertEqual(status, 0)
        self.assertIn(f"stays: legal hold {hold}", output)
        self.assertEqual(self.retention("run")[:2], (0, "nothing to do\n"))
        status, _, errors = self.holds("officer1", "confirm", hold, check=False)
        self.assertEqual(status, 1)
        self.assertIn("somebody else has to confirm it", errors)
        self.assertIn("is now held", self.holds("officer2", "confirm", hold)[1])
        self.assertIn("is now lifting", self.holds("officer2", "lift", hold)[1])
        self.assertEqual(self.holds("officer2", "lift", hold, check=False)[0], 1)
        self.assertIn(hold, self.holds("auditor", "list")[1])
        self.assertIn("is now lifted", self.holds("lawyer", "lift", hold, "--reason", "closed")[1])
        self.assertNotIn(hold, self.holds("auditor", "list")[1])
        self.assertIn("CASE-812", self.holds("auditor", "list", "--all")[1])
        self.settled()
        status, output, errors = self.retention("run")
        self.assertEqual((status, errors), (0, ""))
        self.assertRegex(output, r"^dropped the records 0 to 255, record \d+\n$")
        self.stack.request("POST", DESTROY.format("after"), self.stack.requester)
        self.settled()
        status, output, errors = self.stack.run("verify", check=False)
        self.assertEqual((status, errors), (0, ""), output)
        self.assertIn("dropped      256 by retention", output)
        _, proof, _ = self.stack.run("records", "proof", "7")
        self.assertTrue(proof.startswith("c2sp.org/tlog-proof@v1\nindex 7\n"))
        self.assertRegex(self.retention("status")[1], r"0 to 255 +dropped 20\d\d-")

    def test_retention_says_what_it_lacks(self):
        status, _, errors = self.stack.run("retention", "run", check=False)
        self.assertEqual(status, 2)
        self.assertIn("retention.database.url", errors)
        status, _, errors = self.retention("run", "--set", "retention.age=0s")
        self.assertEqual(status, 2)
        self.assertIn("retention.age", errors)
        self.assertEqual(self.stack.run("migrate")[1], "nothing to do\n")


if __name__ == "__main__":
    unittest.main()
