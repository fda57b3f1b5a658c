"""Many slow clients at once, and what others notice of them; and descriptors running out.

slowhttptest holds the connections; a client of ours with another address measures beside it, in
rounds: on a connection from before, and with a new one for each request. What counts is the median of
the rounds' p99 against the median of the same client's rounds in the same minute without the slow ones,
because machines differ and are busy. FULL_TESTS=1 takes a thousand slow clients and demands no more than
three times the normal; by default there are fewer, and only a stall is a failure: the best round beside
them against the worst without. The slow ones hold on for as long as they are measured, which is looked
at after each round.
"""
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import time
import unittest

from base import StackCase
from service import fetch

FULL = bool(os.environ.get("FULL_TESTS"))
CONNECTIONS = 1000 if FULL else 250
ROUNDS, KEPT_REQUESTS, NEW_REQUESTS = (9, 1000, 200) if FULL else (3, 60, 30)
RATIO_MAX, TRIES = (3, 3) if FULL else (20, 3)
ATTACK_SECONDS = 600  # It is ended earlier, when it has been measured.
SLOW, OTHER = "127.0.0.1", "127.0.0.2"  # Where who comes from.
SHARE = 256  # upstream.connections_per_address, unless something else is configured.
QUEUED = 16 * 1024
# Larger than what a connection's buffers and the proxy itself can hold of it.
LARGE = json.dumps(["x" * 1000] * 500)


def p99(times):
    return sorted(times)[int(len(times) * 0.99)]


class Measuring:
    """A client from an address of its own: how long its requests take."""

    def __init__(self, case):
        self.case = case
        self.kept = self.connect()

    def connect(self):
        context = ssl.create_default_context(cafile=str(self.case.stack.ca_file))
        return http.client.HTTPSConnection("localhost", self.case.stack.proxy_port, context=context,
                                           timeout=30, source_address=(OTHER, 0))

    def ask(self, connection):
        begun = time.monotonic()
        connection.request("GET", "/v1.0/me?$select=id",
                           headers={"Authorization": f"Bearer {self.case.stack.requester}"})
        answer = connection.getresponse()
        answer.read()
        self.case.assertEqual(answer.status, 200)
        return time.monotonic() - begun

    def ask_anew(self):
        begun = time.monotonic()
        connection = self.connect()
        self.ask(connection)
        taken = time.monotonic() - begun
        connection.close()
        return taken

    def round(self):
        """The p99 of requests on the connection from before, and of those with a new one each."""
        return (p99([self.ask(self.kept) for _ in range(KEPT_REQUESTS)]),
                p99([self.ask_anew() for _ in range(NEW_REQUESTS)]))

    def close(self):
        self.kept.close()


class SlowCase(StackCase):
    def metric(self, sample):
        _, _, body = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)
        found = re.search(rf"^{re.escape(sample)} (\S+)$", body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    def refused_by(self, limit):
        return self.metric(f'holdfast_limit_refusals_total{{limit="{limit}"}}')

    def wait_until(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)


class Slow(SlowCase):
    # Slow clients are to stay for as long as it takes to measure beside them.
    options = {"config": {"proxy.timeouts.header": "5m", "proxy.timeouts.body": "5m",
                          "proxy.timeouts.write": "5m", "proxy.timeouts.idle": "10m",
                          "upstream.connect_timeout": "60s",  # All of them connect at once.
                          "proxy.limits.connections_per_address": 2 * CONNECTIONS,
                          "proxy.limits.queued_answer_bytes": f"{QUEUED}B"}}

    def setUp(self):
        super().setUp()
        self.assertIsNotNone(shutil.which("slowhttptest"), "tools/packages.txt lists slowhttptest")
        self.client = Measuring(self)
        self.addCleanup(self.client.close)

    def attack(self, *mode, path="/v1.0/me"):
        command = ["slowhttptest", "-c", str(CONNECTIONS), "-r", "400", "-l", str(ATTACK_SECONDS),
                   "-p", "30", "-v", "0", "-u", f"https://localhost:{self.stack.proxy_port}{path}",
                   *mode]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def end():
            process.terminate()
            process.wait(10)

        self.addCleanup(end)
        return end

    def quiet(self):
        self.wait_until(lambda: self.metric("holdfast_connections") < 20, "connections stay open")

    def missing(self, held):
        """Of `held`, the least that metrics must say: what they say less of."""
        return {name: value for name, least in held.items() if (value := self.metric(name)) < least}

    def rounds(self, held=None):
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(self.client.round())
            self.assertEqual(self.missing(held or {}), {}, "the attack does not last")
        return rounds

    def check(self, *mode, held, **attack):
        held = {"holdfast_connections": 0.9 * CONNECTIONS, **held}
        ratios = []
        for _ in range(TRIES):
            self.quiet()
            normal = self.rounds()
            end = self.attack(*mode, **attack)
            self.wait_until(lambda: not self.missing(held), f"the attack does not hold {held}", 180)
            beside = self.rounds(held)
            end()
            self.quiet()
            normal += self.rounds()
            self.assertTrue(self.stack.proxy.running())
            ratios.append([])
            for name, slow, usual in zip(("kept", "new"), zip(*beside), zip(*normal)):
                ratios[-1].append(statistics.median(slow) / statistics.median(usual) if FULL
                                  else min(slow) / max(usual))
                print(f"{mode[0]}: p99 over {name} connections {1000 * statistics.median(usual):.2f} ms, "
                      f"beside the attack {1000 * statistics.median(slow):.2f} ms", flush=True)
            if max(ratios[-1]) <= RATIO_MAX:
                return
        self.fail(f"p99 over kept and new connections rose {ratios} times")

    def test_hostile_slow_headers(self):
        self.check("-H", "-i", "2", "-x", "8", held={})

    def test_hostile_slow_body(self):
        self.check("-B", "-i", "2", "-s", "8192", "-x", "8",
                   held={"holdfast_requests_in_flight": 0.9 * CONNECTIONS})

    def test_hostile_slow_read(self):
        """Each takes an answer that no buffer holds, as far as its address may."""
        self.simulator.fault("status", {"status": 200, "body": LARGE}, times=0,
                             target_contains="/large")
        waiting = 0.9 * min(CONNECTIONS, SHARE)
        self.check("-X", "-w", "256", "-y", "512", "-n", "2", "-z", "16", "-k", "3",
                   path="/v1.0/me/large",
                   held={"holdfast_requests_in_flight": waiting,
                         "holdfast_upstream_connections": waiting,
                         "holdfast_queued_answer_bytes": waiting * QUEUED})

    def test_hostile_out_of_descriptors(self):
        """Clients that take every descriptor are let go; nobody spins meanwhile."""
        process = self.stack.proxy.process
        descriptors = pathlib.Path(f"/proc/{process.pid}/fd")
        self.client.ask(self.client.kept)
        used = len(list(descriptors.iterdir()))
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 20, limits[1]))
        try:
            end = self.attack("-H", "-i", "30")
            # A connection takes up to four while it is let in.
            self.wait_until(lambda: len(list(descriptors.iterdir())) > used + 20 - 4,
                            "descriptors do not run out")
            begun, busy = time.monotonic(), self.cpu_seconds(process.pid)
            time.sleep(1.5)
            share = (self.cpu_seconds(process.pid) - busy) / (time.monotonic() - begun)
            self.assertLess(share, 0.5, "the proxy spins")
            for _ in range(KEPT_REQUESTS):
                self.client.ask(self.client.kept)  # Who is in is served on.
            end()
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
        self.quiet()
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        self.assertTrue(self.refused_by("descriptors") > 0
                        or "cannot be accepted" in self.stack.proxy.log_tail())

    @staticmethod
    def cpu_seconds(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sharing(SlowCase):
    """More slow clients with one address than there are connections to Graph."""

    CLIENTS, ALL = 12, 8
    share = 4
    options = {"config": {"proxy.threads": 1, "proxy.timeouts.body": "5m", "proxy.timeouts.write": "5m",
                          "upstream.connections": ALL, "upstream.connections_per_address": share}}

    def connect(self, address):
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", self.stack.proxy_port))
        connection = context.wrap_socket(connection, server_hostname="localhost")
        self.addCleanup(connection.close)
        return connection

    def begin(self, line, *headers, content=b"", address=SLOW):
        """A connection with a request that is not complete, or whose answer nobody takes."""
        connection = self.connect(address)
        lines = [line, f"Host: localhost:{self.stack.proxy_port}",
                 f"Authorization: Bearer {self.stack.requester}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + content)
        return connection

    def answer_for(self, address):
        """To an ordinary request: its status, when to come again, and its body."""
        connection = self.begin("GET /v1.0/me HTTP/1.1", "Connection: close", address=address)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.getheader("Retry-After"), answer.read().decode()

    def expect_overloaded(self, address):
        status, again, content = self.answer_for(address)
        self.assertEqual((status, again), (503, "1"), content)
        self.assertEqual(json.loads(content)["error"]["code"], "HoldfastOverloaded")
        return content

    def download(self):
        return self.begin("GET /v1.0/me/large HTTP/1.1")

    def upload(self):
        """Beyond what is read before a connection is taken; the rest never comes."""
        return self.begin("PUT /v1.0/me/large HTTP/1.1", "Content-Length: 1000000",
                          "Content-Type: application/octet-stream", content=bytes(100_000))

    def hold(self, begin):
        """As many as can take all connections that their address may, and be refused for more."""
        self.simulator.fault("status", {"status": 200, "body": LARGE}, times=0,
                             target_contains="/large")
        held = [begin() for _ in range(self.share)]
        self.wait_until(lambda: self.metric("holdfast_upstream_connections") >= self.share,
                        f"{self.share} connections to Graph")
        before = self.refused_by("upstream_connections_per_address")
        held += [begin() for _ in range(self.CLIENTS - self.share)]
        self.wait_until(lambda: self.refused_by("upstream_connections_per_address")
                        == before + self.CLIENTS - self.share, f"the rest of {self.CLIENTS} to be refused")
        self.wait_for_in_flight(self.share)
        return held

    def wait_for_in_flight(self, count):
        """Requests beside the one that asks."""
        self.wait_until(lambda: self.metric("holdfast_requests_in_flight") == count + 1,
                        f"{count} requests in flight")

    def release(self, held):
        for connection in held:
            connection.close()
        self.wait_for_in_flight(0)


class Shares(Sharing):
    def check(self, begin):
        held = self.hold(begin)
        for _ in range(3):
            self.assertEqual(self.answer_for(OTHER)[0], 200)
        self.assertIn("upstream.connections_per_address", self.expect_overloaded(SLOW))
        self.assertEqual(self.call("POST", self.path())[0], 204, "guarded calls are not counted")
        self.release(held)
        self.assertEqual(self.answer_for(SLOW)[0], 200)

    def test_hostile_slow_downloads_of_one_address_leave_connections_to_others(self):
        self.check(self.download)

    def test_hostile_slow_uploads_of_one_address_leave_connections_to_others(self):
        self.check(self.upload)


class NoShares(Sharing):
    """That those are slow enough to harm everybody, if they may."""

    share = Sharing.ALL
    options = {"config": {**Sharing.options["config"], "upstream.connections_per_address": share}}

    def check(self, begin):
        held = self.hold(begin)
        self.expect_overloaded(OTHER)
        self.assertGreater(self.refused_by("upstream_connections"), 0)
        self.release(held)
        self.assertEqual(self.answer_for(OTHER)[0], 200)

    def test_hostile_slow_downloads(self):
        self.check(self.download)

    def test_hostile_slow_uploads(self):
        self.check(self.upload)


if __name__ == "__main__":
    unittest.main()
