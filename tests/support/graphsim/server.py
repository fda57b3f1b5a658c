"""The listening side: connections, requests in, answers and faults out."""
import asyncio
import socket
import ssl
import struct

from . import http1
from .control import Control
from .faults import Faults
from .http1 import Answer, Malformed
from .log import Entry, RequestLog
from .problem import CODES, error_answer
from .service import Call, Service

BACKLOG = 1024
HANDSHAKE_TIMEOUT_S = 15
GARBAGE = b"\x16\x03\x01\x00\xffthis is no HTTP\x00\r\n\r\n" + bytes(range(256))


def reset_on_close(sock):
    """Makes the next close of a socket an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    def __init__(self, tenant, tokens, authorities, scheme, requests_kept):
        self.authorities = authorities  # Lower-case host:port that this server answers to.
        self.scheme = scheme
        self.faults = Faults()
        self.log = RequestLog(requests_kept)
        self.service = Service(tenant, tokens)
        self.control = Control(tenant, tokens, self.faults, self.log, self.close_idle,
                               self.forget_delayed)
        self.idle = set()  # Writers of connections that wait for their next request.
        self.connections = 0
        self.forgotten = asyncio.Event()  # Set once the simulator is reset.
        self.tasks = set()

    async def serve(self, listening, tls):
        """Accepts for ever. A refused connection is reset before any TLS."""
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listening)
            if self.faults.at_accept():
                reset_on_close(sock)
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.spawn(self.adopt(sock, tls))

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def adopt(self, sock, tls):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20)
        protocol = asyncio.StreamReaderProtocol(reader)
        timeout = {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S} if tls else {}
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls,
                                                              **timeout)
        except (OSError, ssl.SSLError):
            sock.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self.connections += 1
        try:
            await self.converse(http1.Connection(reader), writer, self.connections)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()

    def forget_delayed(self):
        """A request that waits out a delay must not act on the mailboxes made after it."""
        self.forgotten.set()
        self.forgotten = asyncio.Event()

    async def wait_out(self, seconds):
        """False when the simulator was reset before the time was over."""
        try:
            await asyncio.wait_for(self.forgotten.wait(), seconds)
            return False
        except TimeoutError:
            return True

    def close_idle(self):
        for writer in list(self.idle):
            writer.transport.abort()
        self.idle.clear()

    async def converse(self, connection, writer, number):
        """Requests of one connection, strictly one after the other."""
        while True:
            request, head = None, b""
            try:
                self.idle.add(writer)
                head = await connection.read_head()
                self.idle.discard(writer)
                if head is None:
                    return
                request = http1.parse_head(head)
                request.raw = head
                framing = http1.body_framing(request)
                controls = request.target.startswith("/_control/")
                fault = None if controls else self.faults.for_request(request.method,
                                                                      request.target)
                if fault and fault.kind == "close_before_read":
                    self.record(request, number, fault).did = "close_before_read"
                    self.reset(writer)
                    return
                if request.fields.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.body, raw = await connection.read_body(framing)
                request.raw += raw
            except Malformed as problem:
                await self.answer_malformed(connection, writer, request, head, problem, number)
                return
            if controls:
                answer = self.control.answer(request)
                await self.send(writer, b"".join(answer.render()))
            elif not await self.serve_one(request, writer, fault, number):
                return
            if request.fields.get("connection", "").lower() == "close":
                return

    def record(self, request, number, fault):
        entry = self.log.add(Entry(request, request.raw, number))
        entry.fault = fault.kind if fault else None
        return entry

    async def answer_malformed(self, connection, writer, request, head, problem, number):
        raw = head + bytes(connection.taken if request else b"") + bytes(connection.buffer)
        entry = self.log.add(Entry(request, raw, number))
        entry.did, entry.status = f"malformed: {problem}", problem.status
        entry.notes.append(str(problem))
        answer = error_answer(problem.status, "BadRequest", f"Malformed request: {problem}.",
                              "", "")
        await self.send(writer, b"".join(answer.render(close=True)))

    async def serve_one(self, request, writer, fault, number):
        """Acts on a request and answers it; False when the connection is over."""
        entry = self.record(request, number, fault)
        if fault and fault.kind == "delay":
            if not await self.wait_out(fault.value / 1000):
                await self.drop(writer)
                return False
        answer = self.act(request, fault)
        entry.did, entry.acted, entry.notes = answer.did, answer.acted, answer.notes
        closes = request.fields.get("connection", "").lower() == "close"
        head, body = answer.render(close=closes, head_only=request.method == "HEAD")
        kind = fault.kind if fault else None
        if kind in ("close_after_act", "half_reply", "garbage"):
            if kind == "half_reply":
                whole = head + body
                await self.send(writer, whole[:len(whole) // 2])
            elif kind == "garbage":
                await self.send(writer, GARBAGE)
            # Without close_notify: a peer must not take what it got for the whole.
            await self.drop(writer)
            return False
        entry.status = answer.status
        if kind == "slow_body":
            await self.send_slowly(writer, head, body, fault.value / 1000)
        else:
            await self.send(writer, head + body)
        return True

    def act(self, request, fault):
        host = request.fields["host"].lower()
        origin = f"{self.scheme}://{host}"
        if host not in self.authorities:
            answer = error_answer(400, "BadRequest", f"Invalid Hostname {host}.", "", "")
            answer.notes.append(f"Host is {host}, not this server")
            return answer
        if request.method in ("HEAD", "OPTIONS"):
            return Answer(405, headers=[("Allow", "GET, POST, PATCH, PUT, DELETE")],
                          did="refused 405")
        call = Call(request.method, request.target, request.fields, request.body, origin)
        if not fault or fault.kind != "status":
            return self.service.answer(call)
        return self.forced_status(call, fault.value)

    def forced_status(self, call, wanted):
        """The answer of a status fault: Graph's shape unless a body is given."""
        real = self.service.answer(call) if wanted.get("act") else None
        status = wanted["status"]
        headers = dict(wanted.get("headers") or {})
        if status in (429, 503):
            headers.setdefault("Retry-After", "1")
        if 300 <= status < 400 and status != 304:
            headers.setdefault("Location", call.origin + "/v1.0/elsewhere")
        answer = error_answer(status, CODES.get(status, "UnknownError"),
                              "This answer was asked for by a fault.",
                              "00000000-0000-4000-8000-00000000fa17",
                              call.fields.get("client-request-id", ""), headers.items())
        answer.headers.append(("request-id", "00000000-0000-4000-8000-00000000fa17"))
        answer.headers.append(("Date", http1.http_date()))
        if "body" in wanted:
            answer.body = str(wanted["body"]).encode()
        elif status < 400:
            answer.body = b""
        answer.did = f"status {status}" + (f" after {real.did}" if real else "")
        answer.acted = bool(real and real.acted)
        return answer

    async def send(self, writer, data):
        writer.write(data)
        await writer.drain()

    async def send_slowly(self, writer, head, body, pause_s):
        kept = head if body else head[:-12]
        rest = body if body else head[-12:]
        await self.send(writer, kept)
        piece = max(1, len(rest) // 16)
        for start in range(0, len(rest), piece):
            await asyncio.sleep(pause_s)
            await self.send(writer, rest[start:start + piece])

    async def drop(self, writer):
        """Closes the connection under the TLS layer, after what was written has left."""
        while writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.001)
        writer.transport.abort()

    def reset(self, writer):
        reset_on_close(writer.get_extra_info("socket"))
        writer.transport.abort()
