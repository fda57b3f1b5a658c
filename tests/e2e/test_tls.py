"""TLS and where calls come from, as the real binary does it: reload, client certificates, PROXY
headers, the way out through an egress proxy."""
import base64
import collections
import http.client
import json
import shutil
import signal
import socket
import ssl
import threading
import time

from base import REQUESTER, StackCase
from certificates import Certificates, openssl
from egress import EgressProxy
from stack import Stack

WAIT_SECONDS = 20


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


class TlsCase(StackCase):
    def context(self, ca_file=None):
        return ssl.create_default_context(cafile=str(ca_file or self.stack.ca_file))

    def connect(self, port=None, source="127.0.0.1", first=b"", context=None):
        """A TLS connection to the proxy, with bytes in front of it."""
        raw = socket.create_connection(("127.0.0.1", port or self.stack.proxy_port), timeout=20,
                                       source_address=(source, 0))
        raw.sendall(first)
        return (context or self.context()).wrap_socket(raw, server_hostname="localhost")

    def send(self, connection, method, target, headers=(), close=True):
        """(status, body) of one request of the requester's."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost",
                 f"Authorization: Bearer {self.stack.requester}", *headers]
        if method == "POST":
            lines.append("Content-Length: 0")
        if close:
            lines.append("Connection: close")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return int(answer.split(b" ")[1]) if answer else None, answer

    def last_intent(self):
        return [entry for entry in self.stack.entries() if entry["kind"] == "intent"][-1]


class ReloadCase(TlsCase):
    """SIGHUP, with a stack of its own."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator


class Reload(ReloadCase):
    """The certificate may change."""

    def serial(self, connection):
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))

    def log_of(self, service):
        return [json.loads(line) for line in service.log_path.read_text().splitlines()
                if line.startswith("{")]

    def reload(self, service, message):
        known = len(self.log_of(service))
        service.signal(signal.SIGHUP)
        eventually(lambda: any(message in json.dumps(line)
                               for line in self.log_of(service)[known:]))
        return [line for line in self.log_of(service)[known:] if message in json.dumps(line)][0]

    def renew(self):
        """A new authority and certificate in the place of the old ones."""
        made = Certificates(self.stack.folder / "renewed")
        shutil.copy(made.certificate, self.stack.certificates.certificate)
        shutil.copy(made.key, self.stack.certificates.key)
        return self.context(made.ca_file)

    def test_a_new_certificate_drops_no_connection_of_either_role(self):
        ports = (self.stack.proxy_port, self.stack.audit_port)
        targets = ("/holdfast/livez", "/livez")
        open_ones = [self.connect(port) for port in ports]
        for connection, target in zip(open_ones, targets):
            self.assertEqual(self.send(connection, "GET", target, close=False)[0], 200)
        renewed = self.renew()
        for service in (self.stack.proxy, self.stack.audit):
            self.reload(service, "TLS files reloaded")
        for connection, port, target in zip(open_ones, ports, targets):
            self.assertEqual(self.send(connection, "GET", target)[0], 200)
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.connect(port)
            with self.connect(port, context=renewed) as fresh:
                self.assertNotEqual(self.serial(fresh), self.serial(connection))
                self.assertEqual(self.send(fresh, "GET", target)[0], 200)
            connection.close()
        # One that cannot be used changes nothing and is named.
        broken = self.stack.certificates.key
        broken.write_text("-----BEGIN PRIVATE KEY-----\nhalf of a key\n")
        for service, port, target in zip((self.stack.proxy, self.stack.audit), ports, targets):
            said = self.reload(service, "not reloaded, the old ones stay")
            self.assertIn(str(broken), said["reason"])
            with self.connect(port, context=renewed) as fresh:
                self.assertEqual(self.send(fresh, "GET", target)[0], 200)


class ReloadUnderLoad(ReloadCase):
    """SIGHUP after SIGHUP, while connections are kept, made and resumed and guarded calls go."""
    RELOADS = 20
    CLIENTS = 4  # Of each kind.

    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.problems = []
        self.served = collections.Counter()
        self.counting = threading.Lock()

    def count(self, kind, number=1):
        with self.counting:
            self.served[kind] += number

    def keep_one(self):
        client = http.client.HTTPSConnection("localhost", self.stack.proxy_port,
                                             timeout=WAIT_SECONDS, context=self.context())
        self.addCleanup(client.close)
        headers = {"Authorization": f"Bearer {self.stack.requester}"}

        def ask():
            # No such message: Graph says so, to a call that was let through and recorded.
            for method, target, expected in (
                    ("GET", "/v1.0/me?$select=id", 200),
                    ("POST", "/v1.0/me/messages/AAMkAGI2TG93AAA=/permanentDelete", 404)):
                client.request(method, target, headers=headers)
                answer = client.getresponse()
                answer.read()
                self.assertEqual(answer.status, expected)
            self.assertIsNotNone(answer.headers["Holdfast-Record"])
        return ask

    def make_new_ones(self):
        def ask():
            with self.connect() as connection:
                self.assertEqual(self.send(connection, "GET", "/holdfast/livez")[0], 200)
        return ask

    def resume_each(self):
        context = self.context()
        session = None

        def ask():
            nonlocal session
            raw = socket.create_connection(("127.0.0.1", self.stack.proxy_port), WAIT_SECONDS)
            with context.wrap_socket(raw, server_hostname="localhost",
                                     session=session) as connection:
                self.assertEqual(self.send(connection, "GET", "/holdfast/livez")[0], 200)
                self.count("resumed", connection.session_reused)
                session = connection.session
        return ask

    def ask_until_over(self, kind):
        try:
            ask = getattr(self, kind)()
            while not self.over.is_set():
                ask()
                self.count(kind)
        except Exception as problem:  # Whatever it is, it is what this test looks for.
            self.problems.append(f"{kind}: {problem!r}")

    def reloads(self):
        return self.stack.proxy.log_path.read_text().count("TLS files reloaded")

    def test_hangups_fail_nobody(self):
        kinds = ("keep_one", "make_new_ones", "resume_each")
        clients = [threading.Thread(target=self.ask_until_over, args=(kind,))
                   for kind in kinds for _ in range(self.CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in range(self.RELOADS):
                before = dict(self.served)
                self.stack.proxy.signal(signal.SIGHUP)
                # Each kind has been served since.
                eventually(lambda: self.problems or self.reloads() == number + 1 and all(
                    self.served[kind] > before.get(kind, 0) + self.CLIENTS for kind in kinds))
        finally:
            self.over.set()
            for client in clients:
                client.join()
        self.assertEqual(self.problems, [])
        self.assertEqual(self.reloads(), self.RELOADS)
        # Every session was taken but those that there were not yet, from before a reload too.
        self.assertEqual(self.served["resume_each"] - self.served["resumed"], self.CLIENTS)


class ClientCertificates(TlsCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        folder = cls.stack.folder
        cls.certificate, cls.key = folder / "client.crt", folder / "client.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", 2, "-subj", "/O=Contoso/CN=retention app", "-keyout", cls.key, "-out",
                cls.certificate, "-addext", "subjectAltName=DNS:retention.contoso.example")
        cls.stack.changes |= {"proxy.tls.client_certificates": "optional",
                              "proxy.tls.client_ca_file": str(cls.certificate)}
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator

    def test_what_a_client_proved_stands_in_the_record(self):
        context = self.context()
        context.load_cert_chain(self.certificate, self.key)
        with self.connect(context=context) as connection:
            self.assertEqual(self.send(connection, "POST", self.path())[0], 204)
        known = self.last_intent()["request"]["client_certificate"]
        self.assertEqual(known["subject"], "CN=retention app,O=Contoso")
        self.assertEqual(known["names"], ["DNS:retention.contoso.example"])
        self.assertRegex(known["sha256"], "^[0-9a-f]{64}$")
        with self.connect() as connection:
            self.assertEqual(self.send(connection, "POST", self.path(1))[0], 204)
        self.assertNotIn("client_certificate", self.last_intent()["request"])


class ProxyHeaders(TlsCase):
    """The load balancer is 127.0.0.2; everybody else comes as before."""
    options = {"config": {"proxy.proxy_protocol": "v2",
                          "proxy.trusted_proxies": ["127.0.0.2/32"]}}
    SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
    CLIENT = SIGNATURE + bytes([0x21, 0x11, 0, 12, 203, 0, 113, 9, 127, 0, 0, 1, 0x30, 0x39, 1, 187])
    UNKNOWN = SIGNATURE + bytes([0x21, 0, 0, 0])
    BALANCER = SIGNATURE + bytes([0x20, 0, 0, 0])

    def source_of(self, **options):
        """The source_ip of a guarded call's record."""
        headers = options.pop("headers", ())
        with self.connect(**options) as connection:
            status, answer = self.send(connection, "POST", self.path(), headers)
        self.assertEqual(status, 204, answer)
        self.simulator.reset()
        return self.last_intent()["request"].get("source_ip")

    def test_the_balancer_says_who_the_client_is(self):
        forwarded = ["X-Forwarded-For: 198.51.100.7"]
        self.assertEqual(self.source_of(source="127.0.0.2", first=self.CLIENT), "203.0.113.9")
        # The client is nobody's balancer: what it forwards is not believed.
        self.assertEqual(self.source_of(source="127.0.0.2", first=self.CLIENT, headers=forwarded),
                         "203.0.113.9")
        self.assertIsNone(self.source_of(source="127.0.0.2", first=self.UNKNOWN,
                                         headers=forwarded))
        self.assertEqual(self.source_of(source="127.0.0.2", first=self.BALANCER), "127.0.0.2")
        self.assertEqual(self.source_of(source="127.0.0.2", first=self.BALANCER,
                                        headers=forwarded), "198.51.100.7")

    def test_who_must_send_a_header_must_and_nobody_else_may(self):
        for options in ({"source": "127.0.0.2"},
                        {"source": "127.0.0.2", "first": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"},
                        {"first": self.CLIENT}):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.connect(**options)
        self.assertEqual(self.source_of(), "127.0.0.1")


class Egress(TlsCase):
    @classmethod
    def setUpClass(cls):
        cls.egress = EgressProxy()
        cls.addClassCleanup(cls.egress.stop)
        cls.stack = Stack(settings={"track_commit_timestamp": "on"})
        credentials = cls.stack.folder / "egress.credentials"
        credentials.write_text("holdfast:s3cret\n")
        cls.stack.changes |= {"upstream.egress_proxy": cls.egress.origin,
                              "upstream.egress_credentials_file": str(credentials)}
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator

    def test_everything_leaves_through_the_proxy_and_a_refusal_is_not_sent(self):
        self.assertEqual(self.call("POST", self.path())[0], 204)
        self.assertEqual(self.call("GET", f"/v1.0/users/{REQUESTER}")[0], 200)
        origin = self.simulator.origin.removeprefix("https://")
        self.assertGreaterEqual(len(self.egress.asked), 2)
        expected = "Basic " + base64.b64encode(b"holdfast:s3cret").decode()
        for target, headers in self.egress.asked:
            self.assertEqual(target, origin)
            self.assertEqual(headers["Proxy-Authorization"], expected)
        self.egress.refuse_with = 407
        answer = self.call("POST", self.path(1))
        inner = self.expect_error(answer, 502, "HoldfastUpstreamUnreachable")
        intent = self.record(inner["holdfast"]["record"])
        self.assertEqual(self.outcome_of(intent)["result"], "not_sent")
        self.assertIn("407", self.outcome_of(intent)["reason"])
        self.assertNotIn("s3cret", json.dumps(self.stack.entries()))
        self.assertNotIn("s3cret", self.stack.proxy.log_path.read_text())
        self.egress.refuse_with = None
        self.assertEqual(self.call("POST", self.path(1))[0], 204)
        self.check_invariants()
