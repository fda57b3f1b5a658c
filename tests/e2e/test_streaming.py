"""Bodies flow: whatever their size and however slow their reader, the proxy stays small and quick.

128 MiB by default and 64 MiB of JSON, 1 GiB and 256 MiB with FULL_TESTS."""
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import ssl
import statistics
import sys
import threading
import time
import unittest

from byte_upstream import ok, streamed
from holds import wait_until
from service import fetch
from wire import WireCase

MIB = 1024 * 1024
FULL = bool(os.environ.get("FULL_TESTS"))
SIZE = (1024 if FULL else 128) * MIB
JSON_SIZE = (256 if FULL else 64) * MIB
RESIDENT_MAX = 64 * MIB
READERS = 50
SLOW_BYTES = 256 * 1024  # That each of them has at least taken.
SLOW_SECONDS = 30 if FULL else 3
ROUNDS = 5  # Of quiet and of slow readers, in turns, so that both meet a machine as busy.
ASKED = 200  # Requests that a p99 is taken from; they span several ticks.


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_ms(rounds):
    return [[round(seconds * 1000, 2) for seconds in each] for each in rounds]


def page(links, text, size):
    """A page of messages, piece by piece, about that many bytes. Two origins: of the links in it,
    and of what only looks like some."""
    message = json.dumps({
        "@odata.etag": 'W/"CQAAABYAAAD"', "id": "AAMkAGI0SUUjfo-RPNJNXcSO9k3JelIcGEQ",
        "attachments@odata.context": f"{links}/v1.0/$metadata#users('a')/messages('b')",
        "attachments@odata.nextLink": f"{links}/v1.0/me/messages/b/attachments?$skip=10",
        "webLink": f"{text}/v1.0/", "body": {"contentType": "text", "content": "x" * 600}}).encode()
    several = b",".join([message] * 256)
    yield b'{"@odata.context":"%s/v1.0/$metadata#messages","value":[' % links.encode()
    for _ in range(size // len(several)):
        yield several + b","
    yield message + b'],"@odata.nextLink":"%s/v1.0/me/messages?$skip=1"}' % links.encode()


def one_token(begin, byte, end):
    """JSON of one token that never seems to end."""
    yield begin
    for _ in range(JSON_SIZE // MIB):
        yield byte * MIB
    yield end


class Streaming(WireCase):
    def setUp(self):
        super().setUp()
        self.pid = self.stack.proxy.process.pid
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # The peak starts anew.

    def check_resident(self):
        """The most memory that the proxy has had since the test began."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
        print(f"resident at most {peak / MIB:.1f} MiB")
        # Sanitizers keep what is freed; what they cost is not the proxy's.
        binary = self.stack.binary.read_bytes()
        if not any(sanitizer in binary for sanitizer in (b"__asan_init", b"__tsan_init")):
            self.assertLess(peak, RESIDENT_MAX)

    def download_head(self, size):
        return self.head(f"GET /v1.0/me/drive/root:/big:/content?bytes={size} HTTP/1.1")

    def test_a_download(self):
        with self.connect() as connection:
            connection.sendall(self.download_head(SIZE))
            buffer, taken, head = bytearray(256 * 1024), 0, b""
            begun = time.monotonic()
            while not head or taken < SIZE:
                count = connection.recv_into(buffer)
                self.assertGreater(count, 0, f"ended after {taken} bytes")
                if not head:
                    head, _, rest = bytes(buffer[:count]).partition(b"\r\n\r\n")
                    count = len(rest)
                taken += count
            seconds = time.monotonic() - begun
        self.assertIn(b"Content-Length: %d\r\n" % SIZE, head + b"\r\n")
        self.assertEqual(taken, SIZE)
        print(f"{SIZE / MIB / seconds:.0f} MiB/s")
        self.check_resident()

    def upload(self, line, content_type, size):
        """By its length and in chunks."""
        block = bytes(MIB)
        for framing in (f"Content-Length: {size}", "Transfer-Encoding: chunked"):
            with self.subTest(framing), self.connect() as connection:
                self.upstream.reset()
                begun = time.monotonic()
                connection.sendall(self.head(line, framing, f"Content-Type: {content_type}"))
                chunked = "chunked" in framing
                for _ in range(size // MIB):
                    connection.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
                connection.sendall(b"0\r\n\r\n" if chunked else b"")
                self.assertIn(b" 204 ", connection.recv(1000))
                print(f"{size / MIB / (time.monotonic() - begun):.0f} MiB/s")
                self.assertEqual(self.upstream.received[0].body_bytes, size)
        self.check_resident()

    def test_an_upload(self):
        self.upload("PUT /v1.0/me/drive/root:/big:/content HTTP/1.1", "application/octet-stream",
                    SIZE)

    def test_an_upload_of_json(self):
        self.upload("POST /v1.0/me/messages HTTP/1.1", "application/json", JSON_SIZE)

    def check_json(self, pieces, wanted):
        """The upstream answers with `pieces`; `wanted` is what the client must get."""
        self.upstream.reply = streamed(pieces)
        connection = http.client.HTTPSConnection(
            "localhost", self.stack.proxy_port, timeout=60,
            context=ssl.create_default_context(cafile=str(self.stack.ca_file)))
        connection.request("GET", "/v1.0/me/messages",
                           headers={"Authorization": f"Bearer {self.stack.requester}"})
        answer, got, expected = connection.getresponse(), hashlib.sha256(), hashlib.sha256()
        while part := answer.read(MIB):
            got.update(part)
        connection.close()
        for piece in wanted:
            expected.update(piece)
        self.assertEqual(got.hexdigest(), expected.hexdigest())

    def test_a_page_of_json(self):
        graph = self.upstream.origin
        self.check_json(lambda: page(graph, graph, JSON_SIZE),
                        page(self.stack.proxy_url, graph, JSON_SIZE))
        self.check_resident()

    def test_json_of_one_token(self):
        origin, inside = self.upstream.origin.encode(), self.stack.proxy_url.encode()
        for name, begin, byte, end in (
                ("text", b'{"value":"', b"x", b'"}'), ("escapes", b'{"value":"', b"\\\\", b'"}'),
                ("number", b"[", b"1", b"]"), ("key", b'{"', b"k", b'":1}'),
                ("blanks", b"[", b" ", b"]"), ("link", b'{"@odata.nextLink":"ORIGIN/', b"x", b'"}'),
                ("link elsewhere", b'{"@odata.nextLink":"', b"x", b'"}')):
            with self.subTest(name):
                self.check_json(lambda: one_token(begin.replace(b"ORIGIN", origin), byte, end),
                                one_token(begin.replace(b"ORIGIN", inside), byte, end))
        self.check_resident()

    def latencies(self):
        """Of ordinary requests, one after the other on one connection, in seconds."""
        self.upstream.reply = ok(b'{"id":"1"}')
        request, taken = self.head("GET /v1.0/me HTTP/1.1"), []
        with self.connect() as connection:
            for _ in range(ASKED):
                begun = time.monotonic()
                connection.sendall(request)
                answer = connection.recv(16384)
                taken.append(time.monotonic() - begun)
                self.assertTrue(answer.endswith(b'{"id":"1"}'), answer)
        return taken

    def p99s(self):
        """Of what is asked in a round's time, in seconds."""
        begun, found = time.monotonic(), []
        while not found or time.monotonic() - begun < SLOW_SECONDS / ROUNDS:
            found.append(percentile(self.latencies(), 0.99))
        return found

    def others_in_flight(self):
        """Requests in flight, but for the one that asks."""
        told = fetch(self.stack.proxy_url + "/holdfast/metrics", self.stack.ca_file)[2].decode()
        return float(re.search(r"^holdfast_requests_in_flight (\S+)$", told, re.MULTILINE)[1]) - 1

    def test_slow_readers(self):
        # The readers and the upstream are threads of this process: they must not keep the one that
        # measures waiting for Python itself.
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.0001)
        alone, beside, bytes_taken = [], [], 0
        for _ in range(ROUNDS):
            wait_until(lambda: self.others_in_flight() == 0, "the readers to be gone")
            alone.append(self.p99s())
            with self.slow_readers(self.download_head(1024 * MIB)) as taken:
                wait_until(lambda each=taken: min(each) > 0, "every reader to read")
                beside.append(self.p99s())
                self.assertEqual(self.others_in_flight(), READERS)
            bytes_taken += sum(taken)
        # Medians: what else the machine does spoils some p99s, slow readers would spoil all theirs.
        quiet, loaded = (statistics.median(itertools.chain(*rounds)) for rounds in (alone, beside))
        print(f"p99 {quiet * 1000:.2f} ms alone, {loaded * 1000:.2f} ms beside {READERS} slow "
              f"readers, who took {bytes_taken / MIB:.0f} MiB")
        self.assertLess(loaded, 3 * quiet + 0.002,
                        f"p99s alone {in_ms(alone)}, beside slow readers {in_ms(beside)}")
        self.check_resident()

    @contextlib.contextmanager
    def slow_readers(self, request):
        """While they read the answers to it; how many bytes each has taken."""
        readers = [self.connect(receive_buffer=64 * 1024) for _ in range(READERS)]
        stop, taken = threading.Event(), [0] * READERS
        reading = threading.Thread(target=self.read_slowly, args=(readers, taken, stop))
        try:
            for reader in readers:
                reader.sendall(request)
                reader.setblocking(False)
            reading.start()
            yield taken
            stop.set()
            reading.join()
        finally:
            stop.set()
            for reader in readers:
                reader.close()

    def test_slow_readers_of_json(self):
        graph = self.upstream.origin
        self.upstream.reply = streamed(lambda: page(graph, graph, 256 * MIB))
        with self.slow_readers(self.head("GET /v1.0/me/messages HTTP/1.1")) as taken:
            begun = time.monotonic()
            wait_until(lambda: min(taken) >= SLOW_BYTES
                       and time.monotonic() - begun >= (SLOW_SECONDS if FULL else 0), "readers")
        self.check_resident()

    def read_slowly(self, readers, taken, stop):
        """Each reader takes at most 2 KiB every 10 ms."""
        while not stop.wait(0.01):
            for index, reader in enumerate(readers):
                try:
                    taken[index] += len(reader.recv(2048))
                except ssl.SSLWantReadError:
                    pass


if __name__ == "__main__":
    unittest.main()
