"""SIGTERM while calls are under way: what was read is answered, and all of it is in the log.

DRAINS says how often a proxy under load is told to end; the seed is printed, and SEED sets it.
"""
import collections
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import tempfile
import threading
import time
import unittest
import uuid

from certificates import Certificates
from cutting_graph import CuttingGraph
from fault_case import (CALL, DONE, LOOKUP, PROBE, REQUESTER, SETTINGS, UNAVAILABLE, UNKNOWN,
                        UNREACHABLE, HeldCase)
from holds import HELD_SECONDS_MAX, LogLock, wait_until
from invariants import (Answered, badly_ended, call_key, contradictions, entries_with_commit_times,
                        incomplete, unheralded)
from stack import Stack

FULL = bool(os.environ.get("FULL_TESTS"))
DRAINS = int(os.environ.get("DRAINS", 200 if FULL else 5))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
CLIENTS = 64
DRAIN_SECONDS_MAX = 10


class Unread(Exception):
    """The connection ended without a byte of an answer."""


class Client(threading.Thread):
    """Makes calls until the proxy takes no more connections, and knows what became of each."""

    def __init__(self, stack, seed):
        super().__init__(daemon=True)
        self.stack = stack
        self.random = random.Random(seed)
        self.tls = ssl.create_default_context(cafile=str(stack.ca_file))
        self.calls, self.unread, self.problems = [], [], []
        self.answers = self.announced = 0

    def run(self):
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", self.stack.proxy_port), 30)
                connection = self.tls.wrap_socket(sock, server_hostname="localhost")
            except OSError:
                return  # Turned away before anything was asked.
            with connection:
                self.converse(connection)

    def converse(self, connection):
        """Calls over one connection, one or many."""
        for _ in range(self.random.choice((1, 3, 1000))):
            known, request = self.next_call()
            try:
                head, body = self.exchange(connection, request)
            except Unread:
                self.unread.append(known)
                return
            except OSError as problem:
                self.problems.append(f"half an answer: {known}: {problem!r}")
                return
            self.answers += 1
            known.status = int(head.split(" ", 2)[1])
            fields = {name.lower(): value.strip() for name, _, value in
                      (line.partition(":") for line in head.split("\r\n")[1:])}
            known.record = fields.get("holdfast-record")
            if b'"error"' in body:
                known.code = json.loads(body)["error"]["code"]
            if fields.get("connection") == "close":
                self.announced += 1
                return

    def next_call(self):
        name = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        known = Answered(name)
        self.calls.append(known)
        line = f"POST /v1.0/me/messages/{name}/permanentDelete HTTP/1.1"
        if self.random.random() < 0.3:
            line = f"GET /v1.0/me/messages/{name} HTTP/1.1"
        return known, (f"{line}\r\nHost: localhost\r\nAuthorization: Bearer "
                       f"{self.stack.requester}\r\nclient-request-id: {name}\r\n\r\n").encode()

    def exchange(self, connection, request):
        received, length = b"", None
        try:
            connection.sendall(request)
        except OSError as problem:
            raise Unread from problem
        while length is None or len(received) < length:
            try:
                piece = connection.recv(65536)
            except OSError as problem:
                if received:
                    raise
                raise Unread from problem
            if not piece:
                if received:
                    raise OSError("the answer ends early")
                raise Unread
            received += piece
            head, found, _ = received.partition(b"\r\n\r\n")
            if found and length is None:
                length = len(head) + 4
                for line in head.decode().split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        length += int(line.partition(":")[2])
        head, _, body = received.partition(b"\r\n\r\n")
        return head.decode(), body


class DrainUnderLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {DRAINS} drains")
        folder = tempfile.TemporaryDirectory(prefix="holdfast-drain-")
        cls.addClassCleanup(folder.cleanup)
        certificates = Certificates(pathlib.Path(folder.name))
        cls.graph = CuttingGraph(certificates, SEED)  # Which cuts nothing here.
        cls.addClassCleanup(cls.graph.stop)
        cls.stack = Stack(settings={"track_commit_timestamp": "on"},
                          config={"upstream.origin": cls.graph.origin,
                                  "upstream.ca_file": str(certificates.ca_file),
                                  "proxy.drain_timeout": f"{DRAIN_SECONDS_MAX}s"})
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.start(roles=("audit",))

    def test_drain_under_load_loses_nothing(self):
        chance, clients, slowest = random.Random(SEED), [], 0
        for _ in range(DRAINS):
            ended, seconds = self.drain_once(chance)
            clients += ended
            slowest = max(slowest, seconds)
        arrivals = self.graph.arrivals()
        log = entries_with_commit_times(self.stack)
        calls = [known for client in clients for known in client.calls]
        unread = [known for client in clients for known in client.unread]
        print(f"{len(calls)} calls, {sum(client.announced for client in clients)} times the last "
              f"answer said so, {len(unread)} calls not read, slowest drain {slowest:.2f} s, "
              f"{collections.Counter((known.status, known.code) for known in calls)}")
        delivered = [(call_key(each["method"], each["target"], each["client_request_id"]),
                      each["time"]) for each in arrivals if each["method"] == "POST"]
        problems = [problem for client in clients for problem in client.problems]
        problems += self.half_processed(unread, arrivals, log)
        problems += unheralded(log, delivered) + badly_ended(log) + incomplete(self.stack)
        problems += contradictions(log, calls, delivered)
        self.assertEqual(problems[:20], [])
        self.assertEqual({known.status for known in calls} - {200, 204, 404, None}, set())
        self.assertGreater(sum(client.announced for client in clients), 0)

    def drain_once(self, chance):
        """Ends a proxy with calls in flight; its clients, and how long it took."""
        proxy = self.stack.proxy.start().wait_ready()
        clients = [Client(self.stack, chance.random()) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        enough = chance.randrange(CLIENTS, 12 * CLIENTS)
        wait_until(lambda: sum(client.answers for client in clients) >= enough, "answers")
        begun = time.monotonic()
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.process.wait(DRAIN_SECONDS_MAX), 0, proxy.log_tail())
        seconds = time.monotonic() - begun
        still_open = self.stack.cluster.sql("SELECT count(*) FROM holdfast.open_operations")
        self.assertEqual(still_open, "0", "guarded calls without an outcome")
        for client in clients:
            client.join(30)
            self.assertFalse(client.is_alive(), "a client hangs")
        return clients, seconds

    def half_processed(self, unread, arrivals, log):
        """Calls that got no answer and were not as if they had never been made."""
        seen = {each["client_request_id"] for each in arrivals}
        seen |= {entry["request"]["client_request_id"] for entry, _ in log if "request" in entry}
        return [f"begun and not answered: {known}" for known in unread
                if known.client_request_id in seen]


class DrainTimeout(HeldCase):
    """The time for draining is over, and a call is still at one of its steps."""
    options = {"relayed": True,
               "config": {**SETTINGS, "upstream.response_timeout": "30s",
                          "identity.probe_timeout": "30s", "proxy.drain_timeout": "300ms"}}

    def terminate(self, told, *results, status=0):
        """Tells the proxy to end, whose call then ends so; what it left is in the database."""
        self.stack.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.answer(), told)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), status)
        self.assertIn(self.results(), [[[result]] if result else [] for result in results])

    def test_drain_ends_a_sent_call_as_unknown(self):
        self.hold("request")
        self.terminate(UNKNOWN, "unknown")
        self.settle("unknown")

    def test_drain_ends_a_call_that_graph_acted_on_as_unknown(self):
        self.hold("answer")
        self.terminate(UNKNOWN, "unknown")
        self.settle("unknown", acted=1)

    def test_drain_ends_a_call_without_a_connection_as_not_sent(self):
        self.hold("connect")
        self.terminate(UNREACHABLE, "not_sent")
        self.settle("not_sent", acted=0)

    def test_drain_ends_a_probe_and_begins_nothing(self):
        self.hold("request", PROBE, token=self.fresh_token())
        self.terminate(UNREACHABLE, None)
        self.settle(None, acted=0)

    def test_drain_ends_a_lookup_and_begins_nothing(self):
        owner = self.simulator.mailboxes[REQUESTER]["id"]
        self.hold("request", LOOKUP, owner=f"users/{owner}")
        self.terminate((403, "HoldfastDenied"), None)
        self.settle(None, acted=0)

    def test_drain_waits_for_no_intent_that_hangs(self):
        self.hold_intent()
        self.terminate(UNAVAILABLE, None)
        self.settle("not_sent", None, acted=0)

    def test_drain_records_the_outcome_of_a_call_whose_client_is_gone(self):
        hold = self.stack.relay.hold("answer", CALL)
        connection = self.begin_raw()
        hold.wait()
        connection.close()
        self.stack.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.assertEqual(self.results(), [["unknown"]])
        self.settle("unknown", acted=1)

    def test_drain_spools_the_outcome_when_the_database_hangs(self):
        self.hold("answer")
        self.stack.cluster.pause()
        self.stack.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.answer(), UNKNOWN)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.settle("unknown", acted=1)

    def test_drain_lets_an_outcome_be_recorded(self):
        lock = self.hold_outcome()
        self.stack.proxy.signal(signal.SIGTERM)
        wait_until(lambda: "they are ended" in self.stack.proxy.log_tail(), "the drain to end")
        lock.release()
        self.assertEqual(self.answer(), DONE)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.assertEqual(self.results(), [["executed"]])
        self.settle("executed", acted=1)


class DrainPatience(HeldCase):
    """There is time, and a second signal cuts it short."""
    options = {"relayed": True,
               "config": {**SETTINGS, "upstream.response_timeout": "30s",
                          "proxy.drain_timeout": "1h", "proxy.drain_delay": "1h"}}

    @classmethod
    def tearDownClass(cls):
        cls.stack.proxy.kill()  # Which has an hour to end.

    def terminate(self):
        self.stack.proxy.signal(signal.SIGTERM)

    def test_drain_says_so_first_and_serves_on(self):
        self.terminate()
        wait_until(lambda: self.stack.request("GET", "/holdfast/readyz")[0] == 503, "readyz")
        status, _, body = self.stack.request("GET", "/holdfast/readyz")
        self.assertEqual((status, json.loads(body)), (503, {"status": "draining"}))
        self.begin()
        self.assertEqual(self.answer(), DONE)
        self.terminate()  # Ends the delay.
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.settle("executed", acted=1)

    def test_drain_is_cut_short_by_another_signal(self):
        self.hold("answer")
        self.terminate()
        wait_until(lambda: self.stack.request("GET", "/holdfast/readyz")[0] == 503, "readyz")
        self.terminate()
        wait_until(self.is_closed, "the listener to close")
        self.assertIsNone(self.told.status)
        self.terminate()
        self.assertEqual(self.answer(), UNKNOWN)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.assertEqual(self.results(), [["unknown"]])
        self.settle("unknown", acted=1)

    def test_drain_waits_for_an_answer(self):
        hold = self.hold("answer")
        self.terminate()
        wait_until(lambda: self.stack.request("GET", "/holdfast/readyz")[0] == 503, "readyz")
        self.terminate()
        wait_until(self.is_closed, "the listener to close")
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.assertEqual(self.stack.proxy.process.wait(HELD_SECONDS_MAX), 0)
        self.settle("executed", acted=1)

    def is_closed(self):
        try:
            self.stack.request("GET", "/holdfast/livez")
        except OSError:
            return True
        return False


if __name__ == "__main__":
    unittest.main()
