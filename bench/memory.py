"""What a proxy holds in memory: when nobody calls, with a thousand TLS clients waiting, and what
each of ten thousand adds."""
import contextlib
import resource
import socket
import ssl
import time
import urllib.parse

import holdfast
import nginx
import processes
import report
import upstream

IDLE_MB_MAX = 40.0
CONNECTED_MB_MAX = 150.0
CONNECTIONS = 1_000
ADDED = 10_000
ADDED_KB_MAX = 32.0  # Of 1,024 bytes, for each.
ADDRESSES = 100  # That the clients come from.
SETTLE_SECONDS = 2.0  # For what start-up and handshakes borrowed to be given back.


class Clients:
    """Connections that have had one answer and now say nothing."""

    def __init__(self, port: int):
        self._port = port
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._open: list[socket.socket] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self._open:
            connection.close()

    def add(self, count: int) -> None:
        for _ in range(count):
            address = f"127.0.1.{len(self._open) % ADDRESSES + 1}"
            raw = socket.create_connection(("127.0.0.1", self._port), 30, (address, 0))
            client = self._context.wrap_socket(raw, server_hostname="localhost")
            client.sendall(b"GET /holdfast/livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("/holdfast/livez is not 200")
            # All that the server knows of it stays; what TLS takes here is of no interest.
            self._open.append(socket.socket(fileno=client.detach()))

    def check(self) -> None:
        for connection in self._open:
            with contextlib.suppress(BlockingIOError):
                if not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    raise RuntimeError("the proxy closed a connection that was to be idle")


def run(bed, rounds: int, seconds: float) -> list[report.Row]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    certificate = nginx.make_certificate(bed.root)
    most_of_all = 2 * (CONNECTIONS + ADDED)
    limits = {"connections": most_of_all, "connections_per_address": most_of_all}
    with upstream.graph(bed.root / "graph") as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin, certificate=certificate,
                        limits=limits) as (address, process), \
         Clients(urllib.parse.urlsplit(address).port) as clients:
        time.sleep(SETTLE_SECONDS)
        idle = processes.resident_mb(process.pid)
        clients.add(CONNECTIONS)
        time.sleep(SETTLE_SECONDS)
        connected = processes.resident_mb(process.pid)
        clients.add(ADDED)
        time.sleep(SETTLE_SECONDS)
        added = (processes.resident_mb(process.pid) - connected) * 1e6 / 1024 / ADDED
        clients.check()
    return [
        report.Row("memory", "idle proxy", 0, idle, unit="MB", target=f"< {IDLE_MB_MAX:g} MB",
                   met=idle < IDLE_MB_MAX),
        report.Row("memory", "idle TLS connections", CONNECTIONS, connected, unit="MB",
                   target=f"< {CONNECTED_MB_MAX:g} MB", met=connected < CONNECTED_MB_MAX),
        report.Row("memory", "each idle TLS connection more", ADDED, added, unit="KB",
                   target=f"<= {ADDED_KB_MAX:g} KB", met=added <= ADDED_KB_MAX),
    ]
