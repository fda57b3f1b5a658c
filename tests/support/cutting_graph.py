"""A Graph of few words that cuts its connections at random moments and forgets nothing.

    graph = CuttingGraph(certificates, seed)     # a process of its own, on graph.origin
    graph.cut(True)                              # from here on; before, it serves in peace
    graph.cut_guarded_on_kept()                  # or only guarded calls, on connections used before
    graph.cuts()                                 # how many connections it has cut
    graph.arrivals()                             # every request of which a byte had arrived
    graph.stop()

It answers the questions that Holdfast asks about callers and mailboxes, 204 or 404 to guarded calls,
and something to everything else. A cut comes on accept, within the TLS handshake, when a request has
arrived and is not read, half read or read, before the answer, within its head, within its body,
behind it, or later while the connection is idle; as FIN or RST, with or without close_notify.
Before each end it looks at what has arrived unread, so that nothing was sent that it does not list.
"""
import base64
import json
import pathlib
import random
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

from service import die_with_parent

IDLE_CUT_SECONDS_MAX = 0.08
ANSWER_SECONDS_MAX = 0.005
HANDSHAKE_CUTS = ("accept", "hello", "flight")
# Before the first byte of an answer, and from then on.
EARLY_CUTS = ("unread", "half_read", "read", "worked")
LATE_CUTS = ("in_head", "in_body", "answered", "idle")
REQUEST_BYTES_MAX = 4_000_000


class CuttingGraph:
    """The process, from the test's side."""

    def __init__(self, certificates, seed):
        command = [sys.executable, "-B", str(pathlib.Path(__file__).resolve()),
                   str(certificates.certificate), str(certificates.key), str(seed)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=die_with_parent)
        self.origin = f"https://localhost:{self.read()}"

    def read(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def cut(self, wanted):
        self.ask("cut" if wanted else "serve")

    def cut_guarded_on_kept(self):
        self.ask("cut_guarded_on_kept")

    def cuts(self):
        return self.ask("cuts")

    def arrivals(self):
        return self.ask("arrivals")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Cut(Exception):
    """The connection ends here, as planned."""


class Book:
    """What all connections write down."""

    def __init__(self):
        self.lock = threading.Lock()
        self.arrivals = []
        self.cuts = 0
        self.connections = 0
        self.mode = "serve"  # Or one of the other commands that say what is cut.

    def arrived(self, head, connection, exchange):
        """Called once for each request, as soon as its first line is known."""
        line, *fields = head.split("\r\n")
        method, _, rest = line.partition(" ")
        entry = {"method": method, "target": rest.partition(" ")[0], "time": time.time(),
                 "connection": connection, "exchange": exchange, "cut": None,
                 "client_request_id": None}
        for field in fields:
            name, _, value = field.partition(":")
            if name.lower() == "client-request-id":
                entry["client_request_id"] = value.strip()
        with self.lock:
            self.arrivals.append(entry)
        return entry


class Wire:
    """TLS on a socket, with every byte in our hands."""

    def __init__(self, sock, context):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.plain = b""

    def receive(self):
        """Waits for bytes and decrypts them; EOFError at the end."""
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.feed(data)

    def feed(self, data):
        self.incoming.write(data)
        try:
            while piece := self.tls.read(65536):
                self.plain += piece
        except ssl.SSLWantReadError:
            pass

    def feed_what_has_come(self):
        self.sock.setblocking(False)
        try:
            while data := self.sock.recv(65536):
                self.feed(data)
        except (OSError, ssl.SSLError):
            pass
        self.sock.setblocking(True)

    def handshake(self, cut):
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                self.feed(b"")  # What came behind the handshake.
                return
            except ssl.SSLWantReadError:
                flight = self.outgoing.read()
                if flight and cut == "flight":
                    self.sock.sendall(flight[:len(flight) // 2])
                    raise Cut from None
                if flight:
                    self.sock.sendall(flight)
                data = self.sock.recv(65536)
                if cut == "hello":
                    raise Cut from None
                if not data:
                    raise EOFError from None
                self.incoming.write(data)

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def say_goodbye(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.flush()


class Connection:
    def __init__(self, sock, context, book, seed):
        self.sock = sock
        self.context = context
        self.book = book
        self.random = random.Random(seed)
        self.wire = None
        self.exchange = 0
        with book.lock:
            book.connections += 1
            self.number = book.connections

    def run(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve()
        except Cut:
            with self.book.lock:
                self.book.cuts += 1
            self.end()
        except (OSError, EOFError, ssl.SSLError):
            self.sock.close()

    def serve(self):
        cut = None
        if self.book.mode == "cut" and self.random.random() < 0.15:
            cut = self.random.choice(HANDSHAKE_CUTS)
        if cut == "accept":
            raise Cut
        self.wire = Wire(self.sock, self.context)
        self.wire.handshake(cut)
        while True:
            # Chosen before the request comes: an unread one must not have been read.
            cut = None
            if self.book.mode == "cut" and self.random.random() < 0.5:
                cut = self.random.choice(EARLY_CUTS + LATE_CUTS)
            self.converse(cut)

    def converse(self, cut):
        if cut == "unread":
            if not self.wire.plain:
                select.select([self.sock], [], [])
            raise Cut
        head = self.read_head()
        entry = self.book.arrived(head, self.number, self.exchange)
        if (self.book.mode == "cut_guarded_on_kept" and self.exchange > 0
                and entry["target"].endswith("/permanentDelete")):
            cut = self.random.choice(("half_read", "read", "worked"))  # It is not unread any more.
        entry["cut"] = cut
        self.read_body(head, cut)
        if cut == "read":
            raise Cut
        time.sleep(self.random.random() * ANSWER_SECONDS_MAX)
        if cut == "worked":
            raise Cut
        answer_head, body = answer_to(entry, head, self.random)
        if cut == "in_head":
            self.wire.send(answer_head[:self.random.randrange(1, len(answer_head))])
            raise Cut
        if cut == "in_body" and body:
            self.wire.send(answer_head + body[:self.random.randrange(len(body))])
            raise Cut
        self.wire.send(answer_head + body)
        self.exchange += 1
        if cut == "idle":
            time.sleep(self.random.random() * IDLE_CUT_SECONDS_MAX)
        if cut in ("answered", "idle"):
            raise Cut

    def read_head(self):
        while b"\r\n\r\n" not in self.wire.plain:
            self.wire.receive()
        head, _, self.wire.plain = self.wire.plain.partition(b"\r\n\r\n")
        return head.decode()

    def read_body(self, head, cut):
        left = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                left = int(value)
        enough = left // 2 if cut == "half_read" else left
        while len(self.wire.plain) < enough:
            self.wire.receive()
        if cut == "half_read":
            raise Cut
        self.wire.plain = self.wire.plain[left:]

    def end(self):
        """Lists what has arrived and was not read, and ends the connection one way or another."""
        goodbye, reset = self.random.random() < 0.5, self.random.random() < 0.5
        try:
            if self.wire:
                if goodbye:
                    self.wire.say_goodbye()
                self.wire.feed_what_has_come()
                self.list_unread()
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
        except (OSError, ssl.SSLError):
            pass
        finally:
            self.sock.close()

    def list_unread(self):
        """At most one request: nobody pipelines here."""
        if self.wire.plain.startswith((b"GET /", b"POST /")):
            head = self.wire.plain.partition(b"\r\n\r\n")[0].decode(errors="replace")
            self.book.arrived(head, self.number, self.exchange)["cut"] = "unread"


def answer_to(entry, head, chance):
    """(head, body) of the answer."""
    target, status, body = entry["target"], "200 OK", b""
    if entry["method"] == "GET":
        body = json.dumps(names_of_caller(head)).encode()
        if "$select" not in target:
            body += b" " * chance.randrange(1, 20_000)
    elif chance.random() < 0.2:
        status, body = "404 Not Found", b'{"error":{"code":"ErrorItemNotFound","message":"no"}}'
    else:
        status = "204 No Content"
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"request-id: {target[-12:]}"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), body


def names_of_caller(head):
    """Who the token belongs to, as /me says it."""
    token = head.partition("Bearer ")[2].partition("\r\n")[0]
    claims = token.split(".")[1]
    user = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"]
    return {"id": user, "userPrincipalName": "alex@contoso.com", "mail": "alex@contoso.com",
            "proxyAddresses": ["SMTP:alex@contoso.com"]}


def accept_for_ever(listening, context, book, seed):
    chance = random.Random(seed)
    while True:
        sock, _ = listening.accept()
        connection = Connection(sock, context, book, chance.random())
        threading.Thread(target=connection.run, daemon=True).start()


def main():
    certificate, key, seed = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    book = Book()
    threading.Thread(target=accept_for_ever, args=(listening, context, book, int(seed)),
                     daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    for line in sys.stdin:
        command, answer = line.strip(), None
        if command in ("cut", "cut_guarded_on_kept", "serve"):
            book.mode = command
        with book.lock:
            if command == "cuts":
                answer = book.cuts
            elif command == "arrivals":
                answer = list(book.arrivals)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
