"""SIGTERM while calls are under way: what was read is answered, and all of it is in the log.

DRAINS says how often a proxy under load is told to end; the seed is printed, and SEED sets it.
"""
import collections
import contextlib
import dataclasses
import enum
import json
import math
import os
import pathlib
import random
import resource
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
DRAIN_SECONDS_MAX = 60  # On a machine that has much else to do.
FIRST_REQUEST_SECONDS = 1  # That a new connection has for its first request, in a drain.


class Answers:
    """What comes back on one connection, answer by answer."""

    def __init__(self, connection):
        self.connection = connection
        self.received = b""  # Of the next one.

    def next(self):
        """(status, fields, body); OSError where the connection ends before that."""
        head = self.up_to(b"\r\n\r\n", 0).decode()
        at = len(head) + 4
        fields = {name.lower(): value.strip() for name, _, value in
                  (line.partition(":") for line in head.split("\r\n")[1:])}
        if fields.get("transfer-encoding") == "chunked":
            at, body = self.chunks(at)
        else:
            body = self.bytes_at(at, int(fields.get("content-length", "0")))
            at += len(body)
        self.received = self.received[at:]
        return int(head.split(" ", 2)[1]), fields, body

    def chunks(self, at):
        """Where they end, and what is in them."""
        size, body = None, b""
        while size != 0:
            line = self.up_to(b"\r\n", at)
            size = int(line, 16)
            at += len(line) + 2
            body += self.bytes_at(at, size + 2)[:-2]
            at += size + 2
        return at, body

    def up_to(self, end, at):
        """What stands from there on before `end`."""
        while (found := self.received.find(end, at)) < 0:
            self.receive()
        return self.received[at:found]

    def bytes_at(self, at, size):
        while len(self.received) < at + size:
            self.receive()
        return self.received[at:at + size]

    def receive(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise OSError("the connection has ended")
        self.received += piece


class Place(enum.Enum):
    """Where on its connection a call stood that got no byte of an answer."""
    FIRST = "first"    # Among the first that the connection brought.
    KEPT = "kept"      # Sent when all before it had been answered.
    WITHIN = "within"  # Sent together with one that was answered, as if more were to come.
    BEHIND = "behind"  # The same, but that answer said that it was the last.


@dataclasses.dataclass
class Unanswered:
    known: Answered
    place: Place
    asked: float  # When all of it had been handed to the system.


class Client(threading.Thread):
    """Makes calls until the proxy takes no more connections, and knows what became of each."""

    def __init__(self, stack, seed):
        super().__init__(daemon=True)
        self.stack = stack
        self.random = random.Random(seed)
        self.tls = ssl.create_default_context(cafile=str(stack.ca_file))
        self.calls, self.unanswered, self.problems = [], [], []
        self.turned_away = []  # When they connected, who could ask nothing.
        self.answers = self.announced = 0

    def run(self):
        try:
            self.make_calls()
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(f"a client has failed: {problem!r}")

    def make_calls(self):
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", self.stack.proxy_port), 30)
            except OSError:
                return  # Nobody listens any more.
            connected = time.monotonic()
            try:
                connection = self.tls.wrap_socket(sock, server_hostname="localhost")
            except OSError:
                self.turned_away.append(connected)
                return
            with connection:
                self.converse(connection)

    def converse(self, connection):
        """Calls over one connection, one or many, sometimes several in one go."""
        answers, place = Answers(connection), Place.FIRST
        for _ in range(self.random.choice((1, 3, 1000))):
            calls = [self.next_call() for _ in range(self.random.choice((1, 1, 1, 4)))]
            with contextlib.suppress(OSError):  # What was answered before can be read all the same.
                connection.sendall(b"".join(request for _, request in calls))
            asked = time.monotonic()
            with contextlib.suppress(OSError):
                while calls and place is not Place.BEHIND:
                    place = self.understand(calls[0][0], *answers.next())
                    calls.pop(0)
            if answers.received:
                self.problems.append(f"half an answer, or too many: {answers.received[:500]!r}")
            self.unanswered += [Unanswered(known, place, asked) for known, _ in calls]
            if calls or place is Place.BEHIND:
                return
            place = Place.KEPT

    def understand(self, known, status, fields, body):
        """Notes an answer; where what was sent together with its call stands."""
        self.answers += 1
        known.status, known.record = status, fields.get("holdfast-record")
        if b'"error"' in body:
            known.code = json.loads(body)["error"]["code"]
        if fields.get("connection") != "close":
            return Place.WITHIN
        self.announced += 1
        return Place.BEHIND

    def next_call(self):
        name = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        known = Answered(name)
        self.calls.append(known)
        line = f"POST /v1.0/me/messages/{name}/permanentDelete HTTP/1.1"
        if self.random.random() < 0.3:
            line = f"GET /v1.0/me/messages/{name} HTTP/1.1"
        return known, (f"{line}\r\nHost: localhost\r\nAuthorization: Bearer "
                       f"{self.stack.requester}\r\nclient-request-id: {name}\r\n\r\n").encode()


def lost(client, told):
    """What a client lost that was told nothing, though the proxy had it, or had said it would.

    `told`: when the proxy was told to end. Whatever reached it before is answered. Behind that it
    may end a connection on which nothing has come (RFC 9112, 9.5), but a new one only when that has
    had its time; and one that is kept only once nobody can connect any more, so that a client loses
    at most one of those."""
    until = {Place.FIRST: told + FIRST_REQUEST_SECONDS, Place.KEPT: told, Place.WITHIN: math.inf,
             Place.BEHIND: -math.inf}
    problems = [f"read and not answered: {each}, {each.asked - told:.3f} s after the signal"
                for each in client.unanswered if each.asked < until[each.place]]
    problems += [f"turned away before it was told: {connected}" for connected in client.turned_away
                 if connected < told]
    kept = {each.asked for each in client.unanswered if each.place is Place.KEPT}
    if len(kept) > 1:
        problems.append(f"two kept connections of one client were ended: {kept}")
    return problems


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
        chance, clients, problems, slowest = random.Random(SEED), [], [], 0
        for _ in range(DRAINS):
            ended, told, seconds = self.drain_once(chance)
            clients += ended
            problems += [problem for client in ended for problem in lost(client, told)]
            slowest = max(slowest, seconds)
        arrivals = self.graph.arrivals()
        log = entries_with_commit_times(self.stack)
        calls = [known for client in clients for known in client.calls]
        unanswered = [each for client in clients for each in client.unanswered]
        print(f"{len(calls)} calls, {sum(client.announced for client in clients)} times the last "
              f"answer said so, not answered {self.places(unanswered)}, turned away "
              f"{sum(len(client.turned_away) for client in clients)}, slowest drain "
              f"{slowest:.2f} s, "
              f"{collections.Counter((known.status, known.code) for known in calls)}")
        delivered = [(call_key(each["method"], each["target"], each["client_request_id"]),
                      each["time"]) for each in arrivals if each["method"] == "POST"]
        problems += [problem for client in clients for problem in client.problems]
        problems += self.half_processed(unanswered, arrivals, log)
        problems += unheralded(log, delivered) + badly_ended(log) + incomplete(self.stack)
        problems += contradictions(log, calls, delivered)
        self.assertEqual(problems[:20], [])
        self.assertEqual({known.status for known in calls} - {200, 204, 404, None}, set())
        self.assertGreater(sum(client.announced for client in clients), 0)

    def drain_once(self, chance):
        """Ends a proxy with calls in flight; its clients, when it was told, how long it took."""
        proxy = self.stack.proxy.start().wait_ready()
        clients = [Client(self.stack, chance.random()) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        enough = chance.randrange(CLIENTS, 12 * CLIENTS)
        wait_until(lambda: sum(client.answers for client in clients) >= enough, "answers")
        told = time.monotonic()
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.process.wait(DRAIN_SECONDS_MAX), 0, proxy.log_tail())
        seconds = time.monotonic() - told
        still_open = self.stack.cluster.sql("SELECT count(*) FROM holdfast.open_operations")
        self.assertEqual(still_open, "0", "guarded calls without an outcome")
        for client in clients:
            client.join(30)
            self.assertFalse(client.is_alive(), "a client hangs")
        return clients, told, seconds

    @staticmethod
    def places(unanswered):
        return dict(collections.Counter(each.place.value for each in unanswered))

    def half_processed(self, unanswered, arrivals, log):
        """Calls that got no answer and were not as if they had never been made."""
        seen = {each["client_request_id"] for each in arrivals}
        seen |= {entry["request"]["client_request_id"] for entry, _ in log if "request" in entry}
        return [f"begun and not answered: {each}" for each in unanswered
                if each.known.client_request_id in seen]


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


class Knocking(threading.Thread):
    """Connects again and again, each time until the proxy ends that, and until it is refused."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.ended = 0
        self.forgotten = False

    def run(self):
        while not self.forgotten:
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), HELD_SECONDS_MAX)
            except OSError:
                return
            with connection:
                try:
                    connection.sendall(b"?")  # Or the kernel may drop it without a word.
                    connection.recv(1)
                except TimeoutError:
                    self.forgotten = True
                except OSError:
                    pass
            self.ended += 1


@unittest.skipIf("undefined" in os.environ.get("SANITIZERS", ""),
                 "UBSan opens a pipe to find out whether memory can be read")
class DrainWithoutDescriptors(HeldCase):
    """Clients have taken them all when the proxy is told to end, which it does with a call to wait
    for: what it forgets of the others stays open meanwhile."""
    options = {"relayed": True,
               "config": {**SETTINGS, "upstream.response_timeout": "60s",
                          "identity.probe_timeout": "60s", "proxy.drain_timeout": "1h"}}

    @classmethod
    def tearDownClass(cls):
        cls.stack.proxy.kill()  # Which has an hour to end.

    def test_drain_without_descriptors_forgets_nobody(self):
        hold, proxy = self.hold("answer"), self.stack.proxy
        used = {int(each.name) for each in
                pathlib.Path(f"/proc/{proxy.process.pid}/fd").iterdir()}
        free = min(set(range(len(used) + 1)) - used)
        # One is left, with which a client can be accepted, but not be served.
        hard = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (free + 1, hard))
        clients = [Knocking(self.stack.proxy_port) for _ in range(8)]
        for client in clients:
            client.start()
        wait_until(lambda: min(client.ended for client in clients) >= 3, "clients turned away")
        proxy.signal(signal.SIGTERM)
        for client in clients:
            client.join(2 * HELD_SECONDS_MAX)
        self.assertEqual([client.forgotten for client in clients], [False] * len(clients))
        self.assertTrue(proxy.running())
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.assertEqual(proxy.process.wait(HELD_SECONDS_MAX), 0)
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
