"""Four proxies write into one log at once; two of them are killed and the database goes away twice.

Whatever dies: indexes stay dense, nothing is recorded twice, nothing that a client was told is
lost, every operation ends once, and the tree verifies from outside. SEED sets the moments, which
are random and whose seed is printed.
"""
import http.client
import os
import random
import ssl
import threading
import time
import unittest
import uuid

import tlog
from holds import wait_until
from invariants import Answered, check_invariants
from service import fetch
from stack import Stack

FULL = bool(os.environ.get("FULL_TESTS"))
SECONDS = 60 if FULL else 6
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
WRITERS = 4
REFUSED = 400  # Graph's answer to ids like these.
ACKNOWLEDGED_MIN = 40  # On a machine that is busy with everything else too.


class Client(threading.Thread):
    """One guarded call after the other at one proxy, for items that do not exist."""

    def __init__(self, stack, port, stopping):
        super().__init__(daemon=True)
        self.stack, self.port, self.stopping = stack, port, stopping
        self.tls = ssl.create_default_context(cafile=str(stack.ca_file))
        self.answered = []

    def run(self):
        connection = self.connect()
        while not self.stopping.is_set():
            try:
                self.make_call(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self.connect()
                self.stopping.wait(0.05)  # Nobody may be listening.
        connection.close()

    def connect(self):
        return http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=60)

    def make_call(self, connection):
        name = str(uuid.uuid4())
        known = Answered(name)
        self.answered.append(known)
        connection.request("POST", f"/v1.0/me/messages/{name}/permanentDelete", headers={
            "Authorization": f"Bearer {self.stack.requester}", "client-request-id": name})
        answer = connection.getresponse()
        content = answer.read()
        known.status, known.record = answer.status, answer.headers.get("Holdfast-Record")
        known.code = content.partition(b'"code":"')[2].partition(b'"')[0].decode() or None
        if answer.status == 503:
            self.stopping.wait(0.05)


class Writers(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}")
        self.chance = random.Random(SEED)
        self.stack = Stack(settings={"track_commit_timestamp": "on"}, proxies=WRITERS,
                           config={"proxy.threads": 1, "audit_log.lease": "3s",
                                   "audit_log.append_timeout": "1s",
                                   "upstream.connect_timeout": "3s"})
        self.addCleanup(self.stack.stop)
        self.stack.start()
        self.proxies = dict(zip(self.stack.proxy_ports, self.stack.proxies))

    def strike(self, begun):
        """Two proxies die and the database goes twice, each at a moment of its own."""
        first, second = self.chance.sample(sorted(self.proxies), 2)
        strikes = [self.proxies[first].kill, self.proxies[second].kill,
                   self.stack.cluster.restart, self.crash_database]
        moments = sorted(self.chance.uniform(0.1, 0.9) * SECONDS for _ in strikes)
        self.chance.shuffle(strikes)
        for moment, strike in zip(moments, strikes):
            time.sleep(max(0, begun + moment - time.monotonic()))
            strike()
        time.sleep(max(0, begun + SECONDS - time.monotonic()))
        return first, second

    def crash_database(self):
        self.stack.cluster.kill()
        self.stack.cluster.start()

    def test_race_writers_die_and_the_log_stays_whole(self):
        stopping = threading.Event()
        clients = [Client(self.stack, port, stopping) for port in self.proxies for _ in range(2)]
        for client in clients:
            client.start()
        back, gone = self.strike(time.monotonic())
        stopping.set()
        for client in clients:
            client.join(70)
        # One comes back and settles what it left. holdfast audit does so for the other, which comes
        # back later: what its clients were told may be in its spool alone.
        self.proxies[back].start()
        for port, proxy in self.proxies.items():
            if port != gone:
                proxy.wait_ready(60)
        wait_until(lambda: self.stack.cluster.sql("SELECT count(*) FROM holdfast.open_operations")
                   == "0", "every operation to end")
        self.proxies[gone].start().wait_ready(60)
        answered = [answer for client in clients for answer in client.answered]
        self.assertEqual(check_invariants(self.stack, answered), [])
        acknowledged = [answer for answer in answered if answer.status == REFUSED and answer.record]
        self.assertGreater(len(acknowledged), ACKNOWLEDGED_MIN)
        self.check_log({answer.record for answer in acknowledged})

    def check_log(self, acknowledged):
        entries = self.stack.entries()
        ids = [entry["id"] for entry in entries]
        self.assertEqual(len(ids), len(set(ids)), "a record stands in the log twice")
        self.assertLessEqual(acknowledged, set(ids))
        writers = {entry["writer"]["id"] for entry in entries if entry["kind"] == "intent"}
        self.assertEqual(len(writers), WRITERS)
        self.stack.audit.wait_ready(60)
        log = tlog.Log(self.fetch_log, self.stack.verifier_key)
        wait_until(lambda: log.checkpoint()[0] >= len(entries), "a checkpoint over everything")
        self.assertGreaterEqual(len(log.check_all()), len(entries))

    def fetch_log(self, path):
        status, _, body = fetch(f"{self.stack.audit_url}/log/{path}", self.stack.ca_file,
                                self.stack.officers["auditor"])
        self.assertEqual(status, 200, f"{path}: {body[:300]}")
        return body


if __name__ == "__main__":
    unittest.main()
