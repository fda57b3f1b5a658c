"""The log of requests, each exactly as it came."""
import base64
import collections

from .http1 import rfc3339


class Entry:
    __slots__ = ("number", "method", "target", "headers", "body", "raw", "received", "did",
                 "status", "acted", "notes", "fault", "connection")

    def __init__(self, request, raw, connection):
        self.method = request.method if request else None
        self.target = request.target if request else None
        self.headers = request.headers if request else []
        self.body = request.body if request else b""
        self.received = request.received if request else None
        self.raw = raw
        self.connection = connection
        self.number = 0
        self.did = "received"  # Until the answer is made.
        self.status = None     # Stays so when no answer was sent.
        self.acted = False
        self.notes = []
        self.fault = None

    def describe(self):
        return {"n": self.number, "time": rfc3339(self.received) if self.received else None,
                "connection": self.connection, "method": self.method, "target": self.target,
                "headers": [list(pair) for pair in self.headers],
                "body": base64.b64encode(self.body).decode(), "did": self.did,
                "acted": self.acted, "status": self.status, "fault": self.fault,
                "notes": self.notes, "raw": base64.b64encode(self.raw).decode()}


class RequestLog:
    """Keeps the newest `limit` entries; `n` counts all of them, so a gap would show."""

    def __init__(self, limit):
        self.entries = collections.deque(maxlen=limit)
        self.count = 0

    def add(self, entry):
        self.count += 1
        entry.number = self.count
        self.entries.append(entry)
        return entry

    def clear(self):
        self.entries.clear()
        self.count = 0
