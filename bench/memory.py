"""What a proxy holds in memory: when nobody calls, and with a thousand clients waiting."""
import contextlib
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
SETTLE_SECONDS = 2.0  # For what start-up and handshakes borrowed to be given back.


def run(bed, rounds: int, seconds: float) -> list[report.Row]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate = nginx.make_certificate(bed.root)
    with upstream.graph(bed.root / "graph") as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin, certificate=certificate) as (address, process), \
         contextlib.ExitStack() as clients:
        port = urllib.parse.urlsplit(address).port
        time.sleep(SETTLE_SECONDS)
        idle = processes.resident_mb(process.pid)
        for _ in range(CONNECTIONS):
            raw = socket.create_connection(("127.0.0.1", port), 30)
            client = clients.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
            client.sendall(b"GET /holdfast/livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("/holdfast/livez is not 200")
        time.sleep(SETTLE_SECONDS)
        connected = processes.resident_mb(process.pid)
    return [
        report.Row("memory", "idle proxy", 0, idle, unit="MB", target=f"< {IDLE_MB_MAX:g} MB",
                   met=idle < IDLE_MB_MAX),
        report.Row("memory", "idle TLS connections", CONNECTIONS, connected, unit="MB",
                   target=f"< {CONNECTED_MB_MAX:g} MB", met=connected < CONNECTED_MB_MAX),
    ]
