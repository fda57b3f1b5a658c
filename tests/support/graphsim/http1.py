"""HTTP/1.1 as a strict origin server reads and writes it.

Nothing here is forgiving: whatever RFC 9112 does not plainly allow, and some things it merely
tolerates, raise Malformed. The bytes of a request are kept exactly as they came.
"""
import datetime
import email.utils
import re
import time

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SINGLE_HEADERS = {"host", "content-length", "transfer-encoding", "content-type", "authorization",
                  "client-request-id", "expect"}

REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!$-;=?-\[\]^-~]*) HTTP/1\.([01])")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")

REASONS = {100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
           301: "Moved Permanently", 302: "Found", 304: "Not Modified", 307: "Temporary Redirect",
           400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
           411: "Length Required", 412: "Precondition Failed", 423: "Locked",
           424: "Failed Dependency", 429: "Too Many Requests", 500: "Internal Server Error",
           501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout", 505: "HTTP Version Not Supported", 507: "Insufficient Storage",
           509: "Bandwidth Limit Exceeded"}


class Malformed(Exception):
    """A request that no correct client sends. The connection is closed after the answer."""

    def __init__(self, why, status=400):
        super().__init__(why)
        self.status = status


class Request:
    """One request: what it said, and its bytes as they came."""

    __slots__ = ("method", "target", "headers", "fields", "body", "raw", "received")

    def __init__(self, method, target, headers):
        self.method = method
        self.target = target
        self.headers = headers  # [(name, value)] in order, as spelled.
        self.fields = {}        # Lower-case name -> value; repeated ones joined by ", ".
        for name, value in headers:
            key = name.lower()
            self.fields[key] = f"{self.fields[key]}, {value}" if key in self.fields else value
        self.body = b""
        self.raw = b""
        self.received = time.time()


class Answer:
    """One response, and what was done to earn it."""

    __slots__ = ("status", "headers", "body", "did", "acted", "chunked", "notes")

    def __init__(self, status, body=b"", headers=(), did="", acted=False, chunked=False):
        self.status = status
        self.body = body
        self.headers = list(headers)
        self.did = did
        self.acted = acted      # A mailbox was changed, or a recall submitted.
        self.chunked = chunked
        self.notes = []         # What was wrong with the request, for the request log.

    def render(self, close=False, head_only=False):
        """The head and the body as bytes for the wire."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = self.body
        if self.status != 204 and self.status >= 200:
            if self.chunked:
                lines.append("Transfer-Encoding: chunked")
                body = chunked(body)
            else:
                lines.append(f"Content-Length: {len(body)}")
        if close:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head, b"" if head_only or self.status == 204 else body


def chunked(body, piece=4096):
    parts = []
    for start in range(0, len(body), piece):
        part = body[start:start + piece]
        parts.append(b"%x\r\n%s\r\n" % (len(part), part))
    return b"".join(parts) + b"0\r\n\r\n"


def http_date(seconds=None):
    return email.utils.formatdate(seconds if seconds is not None else time.time(), usegmt=True)


def rfc3339(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_head(head):
    """A Request from the bytes of a head, its empty line included."""
    lines = head[:-4].split(b"\r\n")
    match = REQUEST_LINE.fullmatch(lines[0])
    if not match:
        raise Malformed("the request line is not METHOD SP /target SP HTTP/1.1")
    if match.group(3) != b"1":
        raise Malformed("HTTP/1.0", status=505)
    method = match.group(1).decode()
    if method not in METHODS:
        raise Malformed(f"unknown method {method}")
    headers, seen = [], set()
    for line in lines[1:]:
        field = HEADER_LINE.fullmatch(line)
        if not field:
            raise Malformed("a header line is malformed or folded")
        name = field.group(1).decode()
        key = name.lower()
        if key in SINGLE_HEADERS:
            if key in seen:
                raise Malformed(f"{name} is repeated")
            seen.add(key)
        headers.append((name, field.group(2).decode("latin-1").rstrip(" \t")))
    if "host" not in seen:
        raise Malformed("no Host")
    return Request(method, match.group(2).decode(), headers)


def body_framing(request):
    """The body's length, or "chunked". Raises Malformed where the framing is doubtful."""
    length = request.fields.get("content-length")
    coding = request.fields.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Malformed("Content-Length beside Transfer-Encoding")
        if coding.lower() != "chunked":
            raise Malformed("a Transfer-Encoding other than chunked")
        return "chunked"
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit():
        raise Malformed("Content-Length is not a number")
    if int(length) > BODY_BYTES_MAX:
        raise Malformed("the body is too large")
    return int(length)


class Connection:
    """The reading side of one connection: whole requests out of a byte stream."""

    def __init__(self, reader):
        self.reader = reader
        self.buffer = bytearray()
        self.taken = bytearray()  # Of the body being read, so that a broken one is seen whole too.

    async def fill(self):
        data = await self.reader.read(65536)
        self.buffer += data
        return bool(data)

    async def read_head(self):
        """The next request's head; None when the peer has closed between requests."""
        searched = 0
        self.taken.clear()
        while True:
            end = self.buffer.find(b"\r\n\r\n", max(0, searched - 3))
            partial = bytes(self.buffer if end < 0 else self.buffer[:end])
            # A CR at the very end may still get its LF.
            if BARE_LINE_END.search(partial[:-1] if partial.endswith(b"\r") else partial):
                raise Malformed("a bare CR or LF")
            if end >= 0:
                head = bytes(self.buffer[:end + 4])
                del self.buffer[:end + 4]
                return head
            if len(self.buffer) > HEAD_BYTES_MAX:
                raise Malformed("the head is too large")
            searched = len(self.buffer)
            if not await self.fill():
                if self.buffer:
                    raise Malformed("the connection closed inside a head")
                return None

    async def take(self, count):
        while len(self.buffer) < count:
            if not await self.fill():
                raise Malformed("the connection closed inside a body")
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        self.taken += data
        return data

    async def read_body(self, framing):
        """(body, raw bytes of the body)"""
        if framing != "chunked":
            body = await self.take(framing) if framing else b""
            return body, body
        body, raw = [], []
        while True:
            line = b""
            while not line.endswith(b"\r\n"):
                line += await self.take(1)
                if len(line) > 10:
                    raise Malformed("a chunk size with extensions, or too long")
            if not CHUNK_SIZE.fullmatch(line[:-2]):
                raise Malformed("a chunk size that is not hexadecimal")
            size = int(line[:-2], 16)
            if size > BODY_BYTES_MAX:
                raise Malformed("the body is too large")
            data = await self.take(size + 2)
            raw += [line, data]
            if not data.endswith(b"\r\n"):
                raise Malformed("a chunk without its line end, or a trailer")
            if size == 0:
                return b"".join(body), b"".join(raw)
            body.append(data[:-2])
