"""Ways to hold a guarded call at one of its outside steps until the test has done its worst.

    relay = stack.relay                          # of Stack(relayed=True)
    hold = relay.hold("answer", "permanentDelete")
    …start the call…; hold.wait(); …break something…; hold.release()

    lock = LogLock(cluster)                      # no append commits from here on
    …start the call…; lock.wait_for_append(); …break something…; lock.release()

Nothing here sleeps to get the order right.
"""
import socket
import ssl
import struct
import subprocess
import threading
import time

from postgres import PSQL

HELD_SECONDS_MAX = 30
GARBAGE = b"\x15\x00this is neither TLS nor HTTP\x00\r\n\r\n" + bytes(range(256))


def wait_until(true, what):
    """Asks again and again until `true()`; AssertionError when that takes too long."""
    deadline = time.monotonic() + HELD_SECONDS_MAX
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {HELD_SECONDS_MAX} s in vain for {what}")
        time.sleep(0.02)


class Hold:
    """One place where one connection waits; release() says how it goes on from there.

    pass: as if nothing had been; close: an end without a word; reset; half: half of the bytes, then
    the end; garbage: bytes that mean nothing, then the end."""

    def __init__(self, point, text):
        self.point = point
        self.text = text
        self.action = None
        self.reached = threading.Event()
        self.released = threading.Event()

    def wait(self):
        if not self.reached.wait(HELD_SECONDS_MAX):
            raise AssertionError(f"nothing reached the hold at {self.point} {self.text}")

    def release(self, action="pass"):
        if self.action is None:
            self.action = action
            self.released.set()


class Relay:
    """Stands between Holdfast and the simulator and speaks TLS to both.

    It can hold a new connection before TLS ("connect"), a request that it has read and Graph has
    not ("request"), and an answer that Graph has given ("answer"). It knows messages with
    Content-Length or without a body, which is all that a guarded call needs."""

    def __init__(self, certificates):
        self.server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_tls.load_cert_chain(certificates.certificate, certificates.key)
        self.client_tls = ssl.create_default_context(cafile=str(certificates.ca_file))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.origin = f"https://localhost:{self.port}"
        self.authority = f"localhost:{self.port}"
        self.lock = threading.Lock()
        self.holds = []
        self.connections = set()

    def start(self, simulator_port):
        self.simulator_port = simulator_port
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.release_all()
        self.listening.close()
        self.drop_connections()

    def hold(self, point, text=""):
        """Arms a hold for the next request with `text` in its target, or the next connection."""
        hold = Hold(point, text)
        with self.lock:
            self.holds.append(hold)
        if point == "connect":
            self.drop_connections()  # So that the next request needs a new one.
        return hold

    def release_all(self):
        with self.lock:
            holds, self.holds = self.holds, []
        for hold in holds:
            hold.release()

    def drop_connections(self):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.passes("connect", "", b"", connection):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self.server_tls.wrap_socket(connection, server_side=True) as client:
                    with self.lock:
                        self.connections.add(client)
                    try:
                        self.converse(client)
                    finally:
                        with self.lock:
                            self.connections.discard(client)
        except OSError:
            pass  # Either side has gone, which is what faults are about.
        finally:
            connection.close()

    def converse(self, client):
        with socket.create_connection(("127.0.0.1", self.simulator_port)) as onward, \
                self.client_tls.wrap_socket(onward, server_hostname="localhost") as graph:
            while request := read_message(client):
                target = request.split(b" ", 2)[1].decode()
                if not self.passes("request", target, request, client):
                    return
                graph.sendall(request)
                answer = read_message(graph)
                if not answer or not self.passes("answer", target, answer, client):
                    return
                client.sendall(answer)

    def passes(self, point, target, message, connection):
        """Stands still where a hold is armed. False: the connection has been ended."""
        with self.lock:
            found = [hold for hold in self.holds if hold.point == point and hold.text in target
                     and not hold.reached.is_set()]
            if not found:
                return True
            found[0].reached.set()
        found[0].released.wait()
        action = found[0].action
        if action == "pass":
            return True
        if action == "half":
            connection.sendall(message[:len(message) // 2])
        elif action == "garbage":
            connection.sendall(GARBAGE)
        elif action == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return False


class Network:
    """A way to the database that can be cut. What was sent before the cut, or during it, arrives
    once it has healed, as on a network that sends again: also from a sender who has given up."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.whole = threading.Event()
        self.whole.set()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self):
        self.whole.clear()

    def heal(self):
        self.whole.set()

    def stop(self):
        self.heal()
        self.listening.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(near,), daemon=True).start()

    def connect(self, near):
        self.whole.wait()
        try:
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        try:
            while piece := source.recv(65536):
                self.whole.wait()
                sink.sendall(piece)
            self.whole.wait()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                end.close()


def read_message(connection):
    """One whole HTTP message as bytes; empty when the peer has closed instead."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def psql(cluster, **more):
    """A session of the administrator; it takes commands on its standard input."""
    return subprocess.Popen([PSQL, "-XqAt", "-d", cluster.url()], stdin=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, **more)


def finish(session, last_words):
    """Ends a session; one whose server was killed has ended already."""
    try:
        session.communicate(last_words, timeout=HELD_SECONDS_MAX)
    except BrokenPipeError:
        session.wait()
        session.stdin.close()


def waiting_appends(cluster, where):
    """Process ids of the proxy's sessions that wait there in the middle of an append."""
    found = cluster.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'holdfast_proxy' "
                        f"AND query LIKE '%append_proxy%' AND {where}")
    return [int(pid) for pid in found.split()]


class LogLock:
    """Locks the log's head in a transaction of its own: every append waits before it writes."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.session = psql(cluster, stdout=subprocess.PIPE)
        self.session.stdin.write("BEGIN; SELECT next_index FROM holdfast.log_head FOR UPDATE;\n")
        self.session.stdin.flush()
        if not self.session.stdout.readline().strip():
            raise AssertionError("the log's head could not be locked")

    def waiting(self):
        return waiting_appends(self.cluster, "wait_event_type = 'Lock'")

    def wait_for_append(self, count=1):
        """Until so many wait, for the head or for others who wait for it."""
        wait_until(lambda: len(self.waiting()) >= count, f"{count} appends at the log's head")

    def cut_waiting(self):
        """Ends the sessions that wait; nothing of their appends is committed."""
        for pid in self.waiting():
            self.cluster.sql(f"SELECT pg_terminate_backend({pid}, 10000)")

    def release(self):
        if not self.session.stdin.closed:
            finish(self.session, "ROLLBACK;\n")


class StandbyWait:
    """Makes every commit wait, on the disk but not confirmed, for a standby that never comes."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.probe = None
        self.configure("SET synchronous_standby_names = 'nobody'")
        wait_until(self.holds, "commits to wait for a standby")

    def configure(self, what):
        self.cluster.sql(f"ALTER SYSTEM {what}")
        self.cluster.sql("SELECT pg_reload_conf()")

    def holds(self):
        if self.probe is None or self.probe.poll() is not None:
            self.probe = psql(self.cluster, stdout=subprocess.DEVNULL)
            self.probe.stdin.write("SELECT pg_logical_emit_message(true, 'holdfast', '');\n")
            self.probe.stdin.close()
        return self.cluster.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
                                "AND usename = 'postgres'")

    def waiting(self):
        return waiting_appends(self.cluster, "wait_event = 'SyncRep'")

    def wait_for_append(self):
        wait_until(self.waiting, "an append that waits for a standby")

    def cancel_waiting(self):
        """The waits end, and PostgreSQL reports success with a warning."""
        for pid in self.waiting():
            self.cluster.sql(f"SELECT pg_cancel_backend({pid})")

    def release(self):
        self.configure("RESET synchronous_standby_names")
        self.probe.wait()
