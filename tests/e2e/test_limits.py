"""That each key of proxy.limits and proxy.timeouts reaches its own limit: that one acts, as
docs/metrics.md says, and no other."""
import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
import unittest

from base import StackCase
from holds import wait_until
from service import fetch
from wire import Reply

LARGE = 8 * 1024 * 1024  # More than all buffers on the way hold of an answer that nobody takes.
CONNECTIONS, OF_ADDRESS = 24, 6
REQUESTS = 8  # And a quarter for one address.
BODY, BODIES = 4096, 16384
# In ms, all different: where two keys were mixed up, one of them would act too early.
TIMEOUTS = {"idle": 1000, "write": 1500, "body": 2000, "header": 2500, "handshake": 3000}


class LimitCase(StackCase):
    role = "proxy"  # Whose limits they are.

    def connect(self, address="127.0.0.1", tls=True, receive_buffer=None):
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(30)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", self.stack.proxy_port if self.role == "proxy"
                            else self.stack.audit_port))
        if not tls:
            return connection
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        connection = context.wrap_socket(connection, server_hostname="localhost")
        self.addCleanup(connection.close)
        return connection

    def head(self, line, *fields):
        lines = [line, "Host: localhost", f"Authorization: Bearer {self.bearer()}", *fields]
        return "\r\n".join([*lines, "", ""]).encode()

    def bearer(self):
        return self.stack.requester if self.role == "proxy" else self.stack.officers["admin"]

    @staticmethod
    def read_all(connection):
        """Until the proxy closes, however it does."""
        answer = b""
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
        return answer

    def ask(self, address, line, *fields, body=b""):
        """One request from that address, on a connection that closes after it."""
        connection = self.connect(address)
        connection.sendall(self.head(line, *fields, "Connection: close") + body)
        reply = Reply(self.read_all(connection))
        connection.close()
        return reply

    def hold(self, address, line, *fields, content=b""):
        """A request whose body is being read and does not come whole."""
        connection = self.connect(address)
        connection.sendall(self.head(line, *fields, "Expect: 100-continue"))
        told = b""
        while not told.endswith(b"\r\n\r\n"):
            part = connection.recv(1)
            self.assertTrue(part, f"ended after {told!r}")
            told += part
        self.assertEqual(Reply(told).status, 100, told)
        connection.sendall(content)
        return connection

    def page(self):
        status, _, body = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)
        self.assertEqual(status, 200)
        return body.decode()

    def counts(self):
        return {limit: int(float(count)) for limit, count in re.findall(
            r'^holdfast_limit_refusals_total\{limit="(\w+)"\} (\S+)$', self.page(), re.MULTILINE)}

    def counted_since(self, before):
        return {limit: count - before.get(limit, 0) for limit, count in self.counts().items()
                if count != before.get(limit, 0)}

    @contextlib.contextmanager
    def counting(self, **limits):
        """Just so much is counted within it."""
        before = self.counts()
        yield
        self.assertEqual(self.counted_since(before), limits)


class AuditLimits(LimitCase):
    role = "audit"
    options = {"config": {"audit.limits.requests_in_flight": 4}}

    def test_probes_are_answered_when_there_are_too_many_requests(self):
        for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"):
            self.hold(address, "POST /api/v1/tokens HTTP/1.1", "Content-Length: 10")
        reply = self.ask("127.0.0.6", "GET /api/v1/integrity HTTP/1.1")
        self.assertEqual((reply.status, b"too many requests" in reply.body), (503, True), reply.body)
        for address in ("127.0.0.2", "127.0.0.6"):
            for name in ("livez", "readyz", "metrics"):
                reply = self.ask(address, f"GET /{name} HTTP/1.1")
                self.assertEqual(reply.status, 200, reply.body)


class Limits(LimitCase):
    options = {"config": {
        "proxy.limits.connections": CONNECTIONS,
        "proxy.limits.connections_per_address": OF_ADDRESS,
        "proxy.limits.requests_in_flight": REQUESTS,
        "proxy.limits.guarded_in_flight": 1,
        "proxy.limits.header_bytes": "8KiB",
        "proxy.limits.header_count": 20,
        "proxy.limits.target_bytes": "512B",
        "proxy.limits.body_bytes": "64KiB",
        "proxy.limits.buffered_body_bytes": f"{BODY}B",
        "proxy.limits.buffered_bodies_bytes": f"{BODIES}B"}}

    def setUp(self):
        super().setUp()
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        # Kept, so that it is in when nobody else gets in.
        self.watching = http.client.HTTPSConnection("localhost", self.stack.proxy_port,
                                                    context=context, timeout=30)
        self.addCleanup(self.watching.close)
        wait_until(self.is_quiet, "the last test to be over")

    def is_quiet(self):
        try:
            return self.gauge("holdfast_connections") == 1
        except (OSError, http.client.HTTPException):
            self.watching.close()  # There is no room yet.
            return False

    def page(self):
        self.watching.request("GET", "/holdfast/metrics")
        answer = self.watching.getresponse()
        body = answer.read().decode()
        self.assertEqual(answer.status, 200, body)
        return body

    def gauge(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.page(), re.MULTILINE)[1])

    def hold_upload(self, address):
        return self.hold(address, "POST /v1.0/me/messages HTTP/1.1", "Content-Length: 10")

    def hold_batch(self, address):
        """All but the last byte of as much as one body may be."""
        return self.hold(address, "POST /v1.0/$batch HTTP/1.1", f"Content-Length: {BODY}",
                         content=b" " * (BODY - 1))

    def expect_overloaded(self, reply, retry_after):
        self.assertEqual(reply.status, 503, reply.body)
        self.assertIn(b"HoldfastOverloaded", reply.body)
        self.assertEqual(reply.fields("Retry-After"), retry_after)

    def expect_closed(self, address):
        self.assertEqual(self.read_all(self.connect(address, tls=False)), b"")

    def fill(self, address, count):
        """So many more connections from there, all let in."""
        now = self.gauge("holdfast_connections")
        for _ in range(count):
            self.connect(address, tls=False)
        wait_until(lambda: self.gauge("holdfast_connections") == now + count, "connections")

    def test_connections(self):
        with self.counting(connections_per_address=1):
            self.fill("127.0.0.2", OF_ADDRESS)
            self.expect_closed("127.0.0.2")
        with self.counting(connections=1):
            self.fill("127.0.0.3", OF_ADDRESS)
            self.fill("127.0.0.4", OF_ADDRESS)
            self.fill("127.0.0.5", CONNECTIONS - 1 - 3 * OF_ADDRESS)
            self.expect_closed("127.0.0.6")

    def test_requests_in_flight(self):
        with self.counting(requests_in_flight_per_address=1):
            for _ in range(REQUESTS // 4):
                self.hold_upload("127.0.0.2")
            self.expect_overloaded(self.ask("127.0.0.2", "GET /v1.0/me HTTP/1.1"), ["1"])
        with self.counting(requests_in_flight=1):
            for address in ("127.0.0.3", "127.0.0.4", "127.0.0.5"):
                for _ in range(REQUESTS // 4):
                    self.hold_upload(address)
            self.expect_overloaded(self.ask("127.0.0.6", "GET /v1.0/me HTTP/1.1"), ["1"])
            for address in ("127.0.0.2", "127.0.0.6"):
                for name in ("livez", "readyz", "metrics"):
                    reply = self.ask(address, f"GET /holdfast/{name} HTTP/1.1")
                    self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.gauge("holdfast_requests_in_flight"), REQUESTS)

    def test_guarded_in_flight(self):
        self.simulator.fault("delay", 2000, target_contains="permanentDelete")
        answers = []
        first = threading.Thread(target=lambda: answers.append(self.call("POST", self.path())))
        with self.counting(guarded_in_flight=1):
            first.start()
            wait_until(lambda: self.seen("permanentDelete"), "the call to reach Graph")
            reply = self.ask("127.0.0.2", f"POST {self.path(1)} HTTP/1.1", "Content-Length: 0")
            first.join()
        self.assertEqual(reply.status, 503, reply.body)
        self.assertIn(b"HoldfastAuditUnavailable", reply.body)
        self.assertEqual(reply.fields("Retry-After") + reply.fields("Holdfast-Record"), [])
        self.assertEqual(answers[0][0], 204)
        self.check_invariants()

    def test_heads(self):
        cases = [("header_bytes", 431, "/v1.0/me", ["A: " + "a" * 8192]),
                 ("header_count", 431, "/v1.0/me", ["A: a"] * 20),
                 ("target_bytes", 414, "/v1.0/me?$filter=" + "a" * 512, [])]
        for limit, status, target, fields in cases:
            with self.subTest(limit), self.counting(**{limit: 1}):
                reply = self.ask("127.0.0.2", f"GET {target} HTTP/1.1", *fields)
                self.assertEqual(reply.status, status, reply.body)

    def test_bodies(self):
        # The client of the second reads its answer only once it has sent everything.
        cases = [("body_bytes", "/v1.0/me/messages", 64 * 1024 + 1),
                 ("body_bytes", "/v1.0/me/drive/root:/big:/content", 2 * LARGE),
                 ("buffered_body_bytes", "/v1.0/$batch", BODY + 1)]
        for limit, target, size in cases:
            with self.subTest(limit, size=size), self.counting(**{limit: 1}):
                reply = self.ask("127.0.0.2", f"POST {target} HTTP/1.1",
                                 f"Content-Length: {size}", body=b" " * size)
                self.assertEqual(reply.status, 413, reply.body)

    def test_all_bodies(self):
        batch = b'{"requests":[{"id":"1","method":"GET","url":"/me"}]}'
        asked = ("POST /v1.0/$batch HTTP/1.1", "Content-Type: application/json",
                 f"Content-Length: {len(batch)}")
        held = 0
        for limit, addresses, refused in (
                ("buffered_bodies_bytes_per_address", ["127.0.0.2"], "127.0.0.2"),
                ("buffered_bodies_bytes", [f"127.0.0.{each}" for each in (3, 4, 5)], "127.0.0.6")):
            with self.subTest(limit), self.counting(**{limit: 1}):
                for address in addresses:
                    self.hold_batch(address)
                    held += BODY - 1
                wait_until(lambda least=held: self.gauge("holdfast_buffered_body_bytes") >= least,
                           "the bodies to be in memory")
                self.expect_overloaded(self.ask(refused, *asked, body=batch), [])
                if limit.endswith("_per_address"):
                    self.assertEqual(self.ask("127.0.0.6", *asked, body=batch).status, 200)


class Timeouts(LimitCase):
    options = {"config": {
        "proxy.limits.queued_answer_bytes": "16KiB",
        **{f"proxy.timeouts.{name}": f"{time_ms}ms" for name, time_ms in TIMEOUTS.items()}}}

    def test_each_ends_its_own_connection_and_not_early(self):
        self.simulator.fault("status", {"status": 200, "body": json.dumps("x" * LARGE)}, times=0,
                             target_contains="/large")
        before = self.counts()
        begun = time.monotonic()
        silent = self.connect(tls=False)
        idle = self.connect()
        header, body = self.connect(), self.connect()
        header.sendall(b"GET /v1.0/me HT")
        body.sendall(self.head("POST /v1.0/me/messages HTTP/1.1", "Content-Length: 10"))
        reader = self.connect(receive_buffer=4096)
        reader.sendall(self.head("GET /v1.0/me/large HTTP/1.1"))
        seen_after = {}

        def all_seen():
            for limit in self.counted_since(before):
                seen_after.setdefault(limit, 1000 * (time.monotonic() - begun))
            return len(seen_after) >= len(TIMEOUTS)

        wait_until(all_seen, "every timeout")
        self.assertEqual(self.counted_since(before), dict.fromkeys(TIMEOUTS, 1))
        self.assertEqual({limit: after for limit, after in seen_after.items()
                          if after < TIMEOUTS[limit]}, {}, "too early")
        self.assertEqual(self.read_all(silent), b"")
        self.assertEqual(self.read_all(idle), b"")
        self.assertEqual(Reply(self.read_all(header)).status, 408)
        self.assertEqual(Reply(self.read_all(body)).status, 408)
        self.assertLess(len(self.read_all(reader)), LARGE)


if __name__ == "__main__":
    unittest.main()
