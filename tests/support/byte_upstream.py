"""An upstream that knows nothing of Graph: it answers the bytes that a test gives it, streams as many
bytes as a target asks for, and keeps what it received.

    upstream = ByteUpstream(certificates)
    upstream.reply = b"HTTP/1.1 204 No Content\r\n\r\n"
    …a request through the proxy…
    upstream.received[-1].fields("via")

`?bytes=N` in a target is answered with N bytes; a body is counted, its start is kept.
"""
import re
import socket
import ssl
import threading

BLOCK = bytes(range(256)) * 4096
KEPT_BYTES_MAX = 1024 * 1024
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


def ok(body, *headers, content_type="application/json"):
    """The bytes of an ordinary answer."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", f"Content-Length: {len(body)}",
             *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def streamed(pieces, content_type="application/json"):
    """A reply whose content is never there as a whole: `pieces` is called for it each time."""
    def reply():
        yield (f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
               "Transfer-Encoding: chunked\r\n\r\n").encode()
        for piece in pieces():
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    return reply


class Received:
    """One request: its head byte for byte, the start of its body, and how long that was."""

    def __init__(self, head):
        self.head = head
        self.body = b""
        self.body_bytes = 0
        lines = head[:-4].decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        self.headers = [tuple(re.split(r":[ \t]*", line, maxsplit=1)) for line in lines[1:]]

    def fields(self, name):
        """The values of every header of that name, in order."""
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def take(self, part):
        self.body_bytes += len(part)
        if len(self.body) < KEPT_BYTES_MAX:
            self.body += bytes(part[:KEPT_BYTES_MAX - len(self.body)])


class ByteUpstream:
    def __init__(self, certificates):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificates.certificate, certificates.key)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listening.getsockname()[1]
        self.authority = f"localhost:{self.port}"
        self.origin = f"https://{self.authority}"
        self.reset()
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self):
        self.reply = NOTHING  # Or a function that gives its pieces.
        self.closes = False  # After the reply, properly; else the connection stays open.
        self.received = []

    def stop(self):
        self.listening.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.tls.wrap_socket(connection, server_side=True) as client:
                with client.makefile("rb", buffering=256 * 1024) as reader:
                    while self.serve_one(client, reader):
                        pass
        except (OSError, EOFError):
            connection.close()

    def serve_one(self, client, reader):
        """False when the connection is over."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return False
            head += line
        received = Received(head)
        self.read_body(reader, received)
        self.received.append(received)
        wanted = re.search(r"[?&]bytes=(\d+)", received.target)
        if wanted:
            self.stream(client, int(wanted.group(1)))
            return True
        for piece in self.reply() if callable(self.reply) else (self.reply,):
            client.sendall(piece)
        if not self.closes:
            return True
        client.unwrap()
        return False

    def read_body(self, reader, received):
        if received.fields("transfer-encoding"):
            while size := int(reader.readline(), 16):
                self.read_exactly(reader, received, size)
                reader.readline()
            reader.readline()
        for length in received.fields("content-length"):
            self.read_exactly(reader, received, int(length))

    def read_exactly(self, reader, received, left):
        while left:
            part = reader.read1(min(left, 256 * 1024))
            if not part:
                raise EOFError
            received.take(part)
            left -= len(part)

    def stream(self, client, left):
        client.sendall(ok(b"", content_type="application/octet-stream")
                       .replace(b"Content-Length: 0", b"Content-Length: %d" % left))
        block = memoryview(BLOCK)
        while left:
            part = block[:min(left, len(block))]
            client.sendall(part)
            left -= len(part)
