"""The wire itself: requests in bytes, and an upstream that answers bytes."""
import pathlib
import shutil
import socket
import ssl
import tempfile

from base import StackCase
from byte_upstream import ByteUpstream
from certificates import Certificates
from stack import Stack


class Reply:
    """One answer as it came: status, headers in order, and the bytes behind them."""

    def __init__(self, data):
        self.head, _, self.rest = data.partition(b"\r\n\r\n")
        lines = self.head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if lines[0] else None
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def fields(self, name):
        return [value for each, value in self.headers if each.lower() == name.lower()]

    @property
    def body(self):
        """The content, whatever its framing; None where that is broken off."""
        if self.fields("transfer-encoding") != ["chunked"]:
            lengths = [int(length) for length in self.fields("content-length")]
            return self.rest if lengths in ([], [len(self.rest)]) else None
        content, rest = b"", self.rest
        while True:
            size, found, rest = rest.partition(b"\r\n")
            if not found:
                return None
            if int(size, 16) == 0:
                return content if rest == b"\r\n" else None
            content, rest = content + rest[:int(size, 16)], rest[int(size, 16) + 2:]


class WireCase(StackCase):
    """A stack whose upstream is `cls.upstream`, which answers what the test tells it to."""

    config = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-upstream-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        certificates = Certificates(cls.folder)
        cls.upstream = ByteUpstream(certificates)
        cls.addClassCleanup(cls.upstream.stop)
        cls.stack = Stack(config={"upstream.origin": cls.upstream.origin,
                                  "upstream.ca_file": str(certificates.ca_file), **cls.config})
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.start()
        cls.simulator = cls.stack.simulator

    def setUp(self):
        super().setUp()
        self.upstream.reset()

    def connect(self, receive_buffer=None):
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self.stack.proxy_port))
        return context.wrap_socket(connection, server_hostname="localhost")

    def head(self, line, *more):
        lines = [line, f"Host: localhost:{self.stack.proxy_port}",
                 f"Authorization: Bearer {self.stack.requester}", *more, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def exchange(self, data):
        """Everything that comes back until the proxy closes."""
        with self.connect() as connection:
            connection.sendall(data)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except (ssl.SSLEOFError, ConnectionResetError):
                pass
            return answer

    def ask(self, line, *headers, body=b""):
        """One request on a connection that closes after it."""
        return Reply(self.exchange(self.head(line, *headers, "Connection: close") + body))

    def get(self, *headers, target="/v1.0/me/messages"):
        return self.ask(f"GET {target} HTTP/1.1", *headers)
