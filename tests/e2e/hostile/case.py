"""What a hostile case is, and the words in which the cases are written.

A case is bytes on one or more connections, what must come back on each, and what exactly must have
reached Graph. Every target holds the run's tag, so that many cases can share one Graph: what is
seen there with the tag is this case's doing, and what is seen without any tag is somebody's crime.
"""
import dataclasses

TAG_FORM = "hostile-00000000"  # All tags are as long as this one.
GRAPH = "graph"                # As an answer: whatever Graph said to the request forwarded for it.
HOST = "Host: graph.test"
FIN, RESET = "fin", "reset"    # Actions beside bytes: half-close, and close with a reset.
PLAIN, GUARDED = "plain", "guarded"


@dataclasses.dataclass(frozen=True)
class Forwarded:
    """One request as Graph must have got it."""
    method: str
    target: str
    body: bytes = b""


@dataclasses.dataclass
class Case:
    name: str
    connections: list  # Of each: bytes and actions in turn, each sent once the one before was read.
    answers: list      # On each connection: statuses, GRAPH for a forwarded request's.
    forwarded: list = dataclasses.field(default_factory=list)
    cut: bool = False  # A request whose head was fine may have reached Graph in part, and no more.
    may_close: bool = False  # Whether the connection is kept depends on what had come by then.
    optional: bool = False  # Nobody waits for the answer: it may not have been forwarded.


def encoded(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Kit:
    """Makes cases for one tag and one caller's token."""

    def __init__(self, tag, token):
        self.tag = tag
        self.authorization = f"Authorization: Bearer {token}"
        self.targets = {PLAIN: f"/v1.0/me/messages/{tag}/move",
                        GUARDED: f"/v1.0/me/messages/{tag}/permanentDelete"}
        self.smuggled_target = f"/v1.0/me/messages/{tag}-smuggled/permanentDelete"
        self.get_target = f"/v1.0/me?case={tag}"
        # What must never be taken for a request when it was sent as something else.
        self.smuggled = self.head(f"POST {self.smuggled_target} HTTP/1.1", "Content-Length: 0")
        # Follows every case on its connection: answered only if the connection is still in step.
        self.probe = self.head(f"GET /v1.0/me?probe={tag} HTTP/1.1", "Connection: close")

    def head(self, line, *fields, host=HOST):
        """A request head; fields are lines without their end, and may be bytes."""
        lines = [line, *([host] if host is not None else []), self.authorization, *fields]
        return b"\r\n".join(encoded(part) for part in lines) + b"\r\n\r\n"

    def post(self, kind, *fields, body=b"", host=HOST, version="HTTP/1.1"):
        return self.head(f"POST {self.targets[kind]} {version}", *fields, host=host) + body

    def get(self, *fields, host=HOST, version="HTTP/1.1"):
        return self.head(f"GET {self.get_target} {version}", *fields, host=host)

    def got(self):
        return Forwarded("GET", self.get_target)

    def posted(self, kind, body=b""):
        return Forwarded("POST", self.targets[kind], body)

    def refused(self, name, data, status=400):
        """Nothing of it reaches Graph, the answer is an error, and the connection ends."""
        return Case(name, [[data + self.probe]], [status])

    def refused_in_step(self, name, data, status=400, may_close=False):
        """Refused for what it asks; where it ends is plain, so the connection may go on."""
        return Case(name, [[data + self.probe]], [status, GRAPH], may_close=may_close)

    def accepted(self, name, data, *forwarded, kept=True):
        """Exactly these requests reach Graph, and the connection goes on unless told otherwise."""
        answers = [GRAPH] * (len(forwarded) + kept)
        return Case(name, [[data + self.probe]], answers, list(forwarded))

    def refused_posts(self, name, fields, body=b"", status=400):
        """The same trick with an ordinary call and with a guarded one."""
        return [self.refused(f"{kind}_{name}", self.post(kind, *fields, body=body), status)
                for kind in (PLAIN, GUARDED)]

    def accepted_posts(self, name, fields, body, content):
        return [self.accepted(f"{kind}_{name}", self.post(kind, *fields, body=body),
                              self.posted(kind, content)) for kind in (PLAIN, GUARDED)]
