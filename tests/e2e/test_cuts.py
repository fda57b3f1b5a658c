"""Graph cuts its connections at random moments, thousands of times, while calls are made.

Whatever it does: no guarded call reaches it twice, none that it has seen is called not_sent, each
has one terminal record, and every answer says what the log says. An ordinary GET goes out again at
most once, after a kept connection has ended without a byte of an answer; nothing else ever does.

CUTS says how many cuts are wanted; the seed of the random moments is printed, and SEED sets it.
"""
import collections
import http.client
import os
import pathlib
import random
import ssl
import tempfile
import threading
import time
import unittest
import uuid

from certificates import Certificates
from cutting_graph import EARLY_CUTS, CuttingGraph
from invariants import (Answered, badly_ended, call_key, contradictions, incomplete, settled_log,
                        terminal_records, unheralded)
from stack import Stack

FULL = bool(os.environ.get("FULL_TESTS"))
CUTS = int(os.environ.get("CUTS", 10_000 if FULL else 500))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
CLIENTS = 32
SECONDS_MAX = 1500 if FULL else 200
KEPT_SECONDS_MAX = 60  # Far more than the first attempt takes.
# What a kept connection may have done to a GET that is then sent again.
UNANSWERED = (*EARLY_CUTS, "unread")


def cut_on_kept(arrivals):
    """The guarded calls among them that tempt a client to send them again: the connection seems to
    be at fault, for it was used before and was cut without a byte of an answer."""
    return [each for each in arrivals if each["target"].endswith("/permanentDelete")
            and each["exchange"] > 0 and each["cut"] in EARLY_CUTS]


class Caller(threading.Thread):
    """A client that makes one call after the other over a connection that it keeps."""

    def __init__(self, stack, seed, stopping):
        super().__init__(daemon=True)
        self.stack = stack
        self.random = random.Random(seed)
        self.stopping = stopping
        self.tls = ssl.create_default_context(cafile=str(stack.ca_file))
        self.guarded, self.others = [], []

    def run(self):
        connection = self.connect()
        while not self.stopping.is_set():
            try:
                self.make_call(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self.connect()
        connection.close()

    def connect(self):
        return http.client.HTTPSConnection("localhost", self.stack.proxy_port, context=self.tls,
                                           timeout=60)

    def make_call(self, connection, kind=None):
        kind = kind or self.random.choices(("guarded", "upload", "get"), (6, 2, 2))[0]
        name = uuid.UUID(int=self.random.getrandbits(128), version=4)
        known, body = Answered(str(name)), None
        if kind == "guarded":
            method, target = "POST", f"/v1.0/me/messages/{name}/permanentDelete"
            self.guarded.append(known)
        elif kind == "upload":
            method, target = "POST", f"/v1.0/me/sendMail?{name}"
            body = b"x" * self.random.choice((10, 300_000))
            self.others.append((method, target, known))
        else:
            method, target = "GET", f"/v1.0/me/messages/{name}"
            self.others.append((method, target, known))
        connection.request(method, target, body=body, headers={
            "Authorization": f"Bearer {self.stack.requester}",
            "client-request-id": known.client_request_id})
        answer = connection.getresponse()
        content = answer.read()
        known.status, known.record = answer.status, answer.headers.get("Holdfast-Record")
        if b'"Holdfast' in content:
            known.code = content.partition(b'"code":"')[2].partition(b'"')[0].decode()
        elif answer.status >= 400:
            known.code = "ErrorItemNotFound"


class Cuts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {CUTS} cuts")
        folder = tempfile.TemporaryDirectory(prefix="holdfast-cuts-")
        cls.addClassCleanup(folder.cleanup)
        certificates = Certificates(pathlib.Path(folder.name))
        cls.graph = CuttingGraph(certificates, SEED)
        cls.addClassCleanup(cls.graph.stop)
        cls.stack = Stack(settings={"track_commit_timestamp": "on"},
                          config={"upstream.origin": cls.graph.origin,
                                  "upstream.ca_file": str(certificates.ca_file)})
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.start()

    def test_fault_connections_cut_at_random(self):
        # The caller is known from here on: a question that is cut begins nothing.
        status, _, body = self.stack.request(
            "POST", f"/v1.0/me/messages/{uuid.uuid4()}/permanentDelete", self.stack.requester)
        self.assertIn(status, (204, 404), body)
        callers = [self.meet_a_cut_on_a_kept_connection(), *self.make_calls()]
        arrivals = self.graph.arrivals()
        guarded = [known for caller in callers for known in caller.guarded]
        others = [call for caller in callers for call in caller.others]
        log = settled_log(self.stack)
        delivered = [(call_key(each["method"], each["target"], each["client_request_id"]),
                      each["time"]) for each in arrivals
                     if each["target"].endswith("/permanentDelete")]
        self.report(log, arrivals, delivered, others)
        problems = (unheralded(log, delivered) + badly_ended(log) + incomplete(self.stack)
                    + contradictions(log, guarded, delivered) + self.resent(others, arrivals))
        self.assertEqual(problems[:20], [])
        self.assertTrue(all(known.status is not None for known in guarded), "answers missing")
        self.assertGreater(len(cut_on_kept(arrivals)), 0)

    def meet_a_cut_on_a_kept_connection(self):
        """Guarded calls, each right behind a GET of the same client, which leaves them a connection
        that was just used, until one took it and was cut on it. Where the time between the two was
        too long, the call had a new connection; and as nothing was cut then, the proxy trusts kept
        ones as before."""
        self.graph.cut_guarded_on_kept()
        caller = Caller(self.stack, SEED, threading.Event())
        connection = caller.connect()
        deadline = time.monotonic() + KEPT_SECONDS_MAX
        while not cut_on_kept(self.graph.arrivals()) and time.monotonic() < deadline:
            caller.make_call(connection, "get")
            caller.make_call(connection, "guarded")
        connection.close()
        return caller

    def make_calls(self):
        """Until there were as many cuts as wanted."""
        stopping, chance = threading.Event(), random.Random(SEED)
        callers = [Caller(self.stack, chance.random(), stopping) for _ in range(CLIENTS)]
        self.graph.cut(True)
        for caller in callers:
            caller.start()
        deadline = time.monotonic() + SECONDS_MAX
        while self.graph.cuts() < CUTS and time.monotonic() < deadline:
            time.sleep(0.05)
        stopping.set()
        for caller in callers:
            caller.join(60)
            self.assertFalse(caller.is_alive(), "a call hangs")
        self.assertGreaterEqual(self.graph.cuts(), CUTS)
        return callers

    def resent(self, others, arrivals):
        """Ordinary calls that arrived more often than they may."""
        seen = collections.defaultdict(list)
        for arrival in arrivals:
            seen[(arrival["method"], arrival["target"])].append(arrival)
        problems = []
        for method, target, known in others:
            found = seen[(method, target)]
            if known.code == "HoldfastUpstreamUnreachable" and found:
                problems.append(f"{method} {target} was sent, its client was told it was not")
            if len(found) < 2:
                continue
            first, second = found[:2]
            if (len(found) > 2 or method != "GET" or first["exchange"] == 0
                    or second["exchange"] > 0 or first["cut"] not in UNANSWERED):
                problems.append(f"{method} {target} was sent again: {found}")
        return problems

    def report(self, log, arrivals, delivered, others):
        """Figures for whoever reads the test's output."""
        endings = terminal_records(log)
        results = collections.Counter(result for ended in endings.values() for result in ended)
        arrived = {key[1] for key, _ in delivered}
        unseen = sum(entry["kind"] == "intent" and entry["request"]["target"] not in arrived
                     and endings[entry["operation_id"]] == ["unknown"] for entry, _ in log)
        cuts = collections.Counter(each["cut"] for each in arrivals)
        twice = len(arrivals) - len({(each["method"], each["target"]) for each in arrivals})
        print(f"{self.graph.cuts()} cuts; guarded calls {dict(results)}, unknown though never seen "
              f"by Graph: {unseen}, cut before their answer on a connection used before: "
              f"{len(cut_on_kept(arrivals))}; {len(others)} other calls, {twice} GETs sent again; "
              f"arrivals by cut {dict(cuts)}")


if __name__ == "__main__":
    unittest.main()
