"""Clients that go away at every point of a connection: Graph gets one whole request of theirs or
none, nothing of them stays in the proxy, and it serves on."""
import contextlib
import re
import socket
import ssl
import struct
import unittest

from base import StackCase
from holds import wait_until
from service import fetch

BROKEN_OFF = "malformed: the connection closed inside a body"
LARGE = 8 * 1024 * 1024  # More than all buffers on the way hold of an answer that nobody takes.
GAUGES = ("holdfast_connections", "holdfast_requests_in_flight", "holdfast_guarded_in_flight",
          "holdfast_buffered_body_bytes", "holdfast_upstream_connections")
AT_ONCE_MAX = 64


class Client:
    """TLS of a client with its bytes in our hands."""

    def __init__(self, context, port):
        self.incoming, self.outgoing, self.ahead = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", port))

    def shakes(self):
        """Goes on with the handshake; whether it needs to hear more."""
        try:
            self.tls.do_handshake()
            return False
        except ssl.SSLWantReadError:
            return True

    def first_flight(self):
        """The bytes of it, not sent."""
        self.shakes()
        return self.outgoing.read()

    def second_flight(self):
        self.sock.sendall(self.first_flight())
        while not self.outgoing.pending:
            self.receive()
            self.shakes()
        return self.outgoing.read()

    def shake(self):
        self.sock.sendall(self.second_flight())
        while self.shakes():
            self.receive()
        return self

    def record(self, data):
        """The bytes that carry it, not sent."""
        self.tls.write(data)
        return self.outgoing.read()

    def send(self, data):
        self.sock.sendall(self.record(data))

    def receive(self):
        part = self.sock.recv(65536)
        if not part:
            raise EOFError
        self.incoming.write(part)

    def read(self):
        """Some of what was sent to us; empty at its end, however that came."""
        if self.ahead:
            ahead, self.ahead = self.ahead, b""
            return ahead
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                try:
                    self.receive()
                except (EOFError, ConnectionResetError):
                    return b""
            except ssl.SSLError:
                return b""

    def read_ahead(self):
        """What has come already, for the next read."""
        try:
            while True:
                self.ahead += self.tls.read(65536)
        except ssl.SSLError:
            pass

    def read_all(self):
        return b"".join(iter(self.read, b""))

    def read_until(self, text):
        heard = b""
        while text not in heard:
            part = self.read()
            if not part:
                raise AssertionError(f"ended after {heard!r}")
            heard += part
        return heard


def break_off(client):
    """The end of TCP without one of TLS."""
    with contextlib.suppress(OSError):  # The proxy may have ended it before.
        client.sock.shutdown(socket.SHUT_WR)


def say_goodbye(client):
    """Both; nothing more comes from us, and we read on."""
    client.read_ahead()
    with contextlib.suppress(OSError):  # And the other side has not said so.
        client.tls.unwrap()
    with contextlib.suppress(OSError):
        client.sock.sendall(client.outgoing.read())
    break_off(client)


def reset(client):
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


WAYS = (break_off, say_goodbye, reset)


class EarlyClose(StackCase):
    # A connection to Graph that nobody uses goes away at once: those that are left are in use.
    options = {"config": {"upstream.pool_idle_max": "10ms"}}

    def setUp(self):
        super().setUp()
        self.tls = ssl.create_default_context(cafile=str(self.stack.ca_file))
        self.assertEqual(self.call("POST", self.path(9))[0], 204)  # The caller is known.
        self.before = len(self.simulator.requests())
        item = self.ids("messages")[1]
        self.targets = {"plain": f"/v1.0/me/messages/{item}/move",
                        "guarded": f"/v1.0/me/messages/{item}/permanentDelete"}
        self.clients = []
        self.addCleanup(self.close_all)

    def close_all(self):
        for client in self.clients:
            client.sock.close()
        self.clients = []

    def client(self, tls=None):
        self.clients.append(Client(tls or self.tls, self.stack.proxy_port))
        return self.clients[-1]

    def head(self, line, *fields):
        lines = [line, "Host: localhost", f"Authorization: Bearer {self.stack.requester}", *fields]
        return "\r\n".join([*lines, "", ""]).encode()

    def gauges(self):
        page = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)[2].decode()
        found = dict(re.findall(r"^(\w+) (\S+)$", page, re.MULTILINE))
        return {name: float(found[name]) for name in GAUGES}

    def arrived(self):
        """What Graph got since, whole, once nothing is under way any more but our asking."""
        self.close_all()
        own = dict.fromkeys(GAUGES, 0.0) | {"holdfast_connections": 1.0,
                                            "holdfast_requests_in_flight": 1.0}
        wait_until(lambda: self.gauges() == own, "everything to be over")
        entries = self.simulator.requests()[self.before:]
        return [(entry["method"], entry["target"], entry["body"], entry["did"]) for entry in entries
                if entry["did"] != BROKEN_OFF]

    def check(self, *whole):
        """Exactly that has reached Graph, and the proxy serves as ever."""
        arrived = self.arrived()
        self.assertEqual([entry[:3] for entry in arrived], list(whole))
        self.assertFalse([entry for entry in arrived if entry[3].startswith("malformed")])
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        self.assertEqual(self.call("POST", self.path(8))[0], 204)
        self.check_invariants()

    def cut(self, make, every=1):
        """Of the bytes that make() -> (client, bytes) gives, only a beginning is sent: each one, or
        some."""
        size = len(make()[1])
        offsets = sorted({*range(0, size, every), *range(min(size, 10)), size - 1})
        for way in WAYS:
            for first in range(0, len(offsets), AT_ONCE_MAX):
                for at in offsets[first:first + AT_ONCE_MAX]:
                    client, data = make()
                    client.sock.sendall(data[:at])
                    way(client)
                self.close_all()

    def test_within_the_first_flight(self):
        def make():
            client = self.client()
            return client, client.first_flight()

        self.cut(make, every=4)
        self.check()

    def test_between_the_flights(self):
        for way in WAYS:
            for reads in (False, True):
                client = self.client()
                client.sock.sendall(client.first_flight())
                if reads:
                    client.receive()
                way(client)
        self.check()

    def test_within_the_second_flight(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls = ssl.create_default_context(cafile=str(self.stack.ca_file))
            tls.maximum_version = version

            def make():
                client = self.client(tls)
                return client, client.second_flight()

            self.cut(make, every=4)
        self.check()

    def test_within_the_record_of_a_request(self):
        request = self.head(f"POST {self.targets['guarded']} HTTP/1.1", "Content-Length: 0")

        def make():
            client = self.client().shake()
            return client, client.record(request)

        self.cut(make, every=32)
        self.check()

    def test_after_a_whole_request(self):
        client = self.client().shake()
        client.send(self.head(f"POST {self.targets['guarded']} HTTP/1.1", "Content-Length: 0"))
        say_goodbye(client)
        self.assertIn(b"HTTP/1.1 204 ", client.read_all())
        self.check(("POST", self.targets["guarded"], b""))

    def test_after_100_continue(self):
        for kind, target in self.targets.items():
            for way in WAYS:
                with self.subTest(kind=kind, way=way.__name__):
                    client = self.client().shake()
                    client.send(self.head(f"POST {target} HTTP/1.1", "Content-Length: 5",
                                          "Expect: 100-continue"))
                    self.assertEqual(client.read_until(b"\r\n\r\n"),
                                     b"HTTP/1.1 100 Continue\r\n\r\n")
                    way(client)
                    if way is say_goodbye:
                        self.assertIn(b"HTTP/1.1 400 ", client.read_all())
        self.check()

    def test_within_a_chunked_upload(self):
        sizes = {"plain": 32 * 1024, "guarded": 4 * 1024}
        for kind, target in self.targets.items():
            chunk = b"%x\r\n%s\r\n" % (sizes[kind], b"x" * sizes[kind])
            line = chunk.index(b"\n") + 1
            ends = (chunk[:1], chunk[:line - 1], chunk[:line], chunk[:sizes[kind] // 2], chunk[:-2],
                    chunk[:-1], chunk, chunk + b"0", chunk + b"0\r\n", chunk + b"0\r\n\r")
            for end in ends:
                for way in WAYS:
                    client = self.client().shake()
                    client.send(self.head(f"POST {target} HTTP/1.1", "Transfer-Encoding: chunked")
                                + chunk * 4)
                    client.send(end)
                    way(client)
                    if way is say_goodbye:
                        with self.subTest(kind=kind, end=end[-20:]):
                            self.assertIn(b"HTTP/1.1 400 ", client.read_all())
        self.check()

    def test_within_an_answer(self):
        for content_type in ("application/octet-stream", "application/json"):
            answer = {"status": 200, "headers": {"Content-Type": content_type},
                      "body": '{"value":"' + "x" * LARGE + '"}'}
            self.simulator.fault("status", answer, len(WAYS), target_contains="large")
            for way in WAYS:
                with self.subTest(content_type=content_type, way=way.__name__):
                    client = self.client().shake()
                    client.send(self.head("GET /v1.0/me/large HTTP/1.1"))
                    begun = client.read_until(b"xxx")
                    way(client)
                    if way is not reset:  # The other direction is not over.
                        self.assertGreater(len(begun + client.read_all()), LARGE)
        self.check(*[("GET", "/v1.0/me/large", b"")] * 2 * len(WAYS))


if __name__ == "__main__":
    unittest.main()
