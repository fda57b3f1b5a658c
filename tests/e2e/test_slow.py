"""Many slow clients at once, and what others notice of them; and descriptors running out.

slowhttptest holds the connections; a client of ours measures beside it, in rounds. What counts is the
median of the rounds' p99 against the median of the same client's rounds in the same minute without the
slow ones, because machines differ and are busy. FULL_TESTS=1 takes a thousand slow clients and demands
no more than three times the normal; by default there are fewer, and only a stall is a failure: the best
round beside them against the worst without.
"""
import http.client
import os
import pathlib
import re
import resource
import shutil
import ssl
import statistics
import subprocess
import time
import unittest

from base import StackCase
from service import fetch

FULL = bool(os.environ.get("FULL_TESTS"))
CONNECTIONS = 1000 if FULL else 250
ROUNDS, ROUND_REQUESTS = (9, 1000) if FULL else (3, 60)
RATIO_MAX, TRIES = (3, 3) if FULL else (20, 3)
ATTACK_SECONDS = 600  # It is ended earlier, when it has been measured.


class Measuring:
    """One client on one connection: how long its requests take."""

    def __init__(self, case):
        context = ssl.create_default_context(cafile=str(case.stack.ca_file))
        self.connection = http.client.HTTPSConnection(
            "localhost", case.stack.proxy_port, context=context, timeout=30)
        self.headers = {"Authorization": f"Bearer {case.stack.requester}"}
        self.case = case

    def p99(self, requests=ROUND_REQUESTS):
        times = []
        for _ in range(requests):
            begun = time.monotonic()
            self.connection.request("GET", "/v1.0/me?$select=id", headers=self.headers)
            answer = self.connection.getresponse()
            answer.read()
            times.append(time.monotonic() - begun)
            self.case.assertEqual(answer.status, 200)
        times.sort()
        return times[int(len(times) * 0.99)]

    def rounds(self):
        return [self.p99() for _ in range(ROUNDS)]

    def close(self):
        self.connection.close()


class Slow(StackCase):
    # Slow clients are to stay for as long as it takes to measure beside them.
    options = {"config": {"proxy.timeouts.header": "5m", "proxy.timeouts.body": "5m",
                          "proxy.limits.connections_per_address": 2 * CONNECTIONS,
                          "proxy.limits.queued_answer_bytes": "16KiB"}}

    def setUp(self):
        super().setUp()
        self.assertIsNotNone(shutil.which("slowhttptest"), "tools/packages.txt lists slowhttptest")
        self.client = Measuring(self)
        self.addCleanup(self.client.close)

    def metric(self, sample):
        _, _, body = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)
        found = re.search(rf"^{re.escape(sample)} (\S+)$", body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    def wait_until(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)

    def attack(self, *mode):
        command = ["slowhttptest", "-c", str(CONNECTIONS), "-r", "400", "-l", str(ATTACK_SECONDS),
                   "-p", "30", "-v", "0", "-u", f"https://localhost:{self.stack.proxy_port}/v1.0/me",
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

    def check(self, *mode):
        ratios = []
        for _ in range(TRIES):
            self.quiet()
            normal = self.client.rounds()
            end = self.attack(*mode)
            self.wait_until(
                lambda: self.metric("holdfast_connections") > 0.9 * CONNECTIONS,
                "the connections of the attack are not open together")
            beside = self.client.rounds()
            held = self.metric("holdfast_connections")
            end()
            self.quiet()
            normal += self.client.rounds()
            self.assertTrue(self.stack.proxy.running())
            ratios.append(statistics.median(beside) / statistics.median(normal) if FULL
                          else min(beside) / max(normal))
            print(f"{mode[0]}: p99 {1000 * statistics.median(normal):.2f} ms, beside {held:.0f} "
                  f"connections {1000 * statistics.median(beside):.2f} ms", flush=True)
            if ratios[-1] <= RATIO_MAX:
                return
        self.fail(f"p99 rose {ratios} times")

    def test_hostile_slow_headers(self):
        self.check("-H", "-i", "2", "-x", "8")

    def test_hostile_slow_body(self):
        self.check("-B", "-i", "2", "-s", "8192", "-x", "8")

    def test_hostile_slow_read(self):
        self.check("-X", "-w", "256", "-y", "512", "-n", "2", "-z", "16", "-k", "3")

    def test_hostile_out_of_descriptors(self):
        """Clients that take every descriptor are let go; nobody spins meanwhile."""
        process = self.stack.proxy.process
        descriptors = pathlib.Path(f"/proc/{process.pid}/fd")
        self.client.p99(1)
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
            self.client.p99()  # Who is in is served on.
            end()
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
        self.quiet()
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        self.assertTrue(self.metric('holdfast_limit_refusals_total{limit="descriptors"}') > 0
                        or "cannot be accepted" in self.stack.proxy.log_tail())

    @staticmethod
    def cpu_seconds(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
