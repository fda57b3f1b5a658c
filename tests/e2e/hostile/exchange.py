"""Plays a case's bytes on raw sockets and asks the simulator what of it arrived."""
import base64
import contextlib
import json
import os
import re
import socket
import struct

from case import FIN, RESET

ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
AT_ONCE_MAX = 64


def new_tag():
    return "hostile-" + os.urandom(4).hex()


class Heard:
    """What came back on one connection."""

    def __init__(self):
        self.data = b""
        self.ended = False  # By the other side, and by itself.

    def statuses(self):
        return [int(status) for status in ANSWER.findall(self.data)]


def act(connection, action):
    """Sends bytes, half-closes or resets. What the other side cannot be told it need not hear."""
    with contextlib.suppress(OSError):
        if action == FIN:
            connection.shutdown(socket.SHUT_WR)
        elif action == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.sendall(action)


def listen(connection, patience):
    """Reads to the end. Who waits for more is told after `patience` seconds that none comes."""
    heard = Heard()
    for told in (False, True):
        try:
            while part := connection.recv(65536):
                heard.data += part
            heard.ended = not told
            return heard
        except TimeoutError:
            act(connection, FIN)
        except OSError:  # A reset, or closed by the case itself.
            heard.ended = True
            return heard
    return heard


def round_trip(port, target, patience):
    """A request of its own: when it is answered, the proxy has also read what came before it."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: graph.test\r\n"
                           "Connection: close\r\n\r\n".encode())
        return listen(connection, patience).data


def play(connections, port, settle_target, patience):
    """Plays the connections side by side, action by action; what was heard on each."""
    heard = []
    for first in range(0, len(connections), AT_ONCE_MAX):
        together = connections[first:first + AT_ONCE_MAX]
        with contextlib.ExitStack() as stack:
            sockets = []
            for _ in together:
                opened = socket.create_connection(("127.0.0.1", port), timeout=patience)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets.append(stack.enter_context(opened))
            rounds = max(len(actions) for actions in together)
            for turn in range(rounds):
                for opened, actions in zip(sockets, together):
                    if turn < len(actions):
                        act(opened, actions[turn])
                # Byte by byte there are too many turns to wait for each, and no need.
                if turn + 1 < rounds <= 3 or RESET in together[0]:
                    round_trip(port, settle_target, patience)
            heard += [listen(opened, patience) for opened in sockets]
    return heard


class SimulatorLog:
    """The control interface of a simulator that speaks plain http."""

    def __init__(self, port):
        self.port = port

    def control(self, name):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(f"GET /_control/{name} HTTP/1.1\r\nHost: localhost:{self.port}\r\n"
                               "Connection: close\r\n\r\n".encode())
            answer = listen(connection, 30).data
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def count(self):
        return self.control("count")["count"]

    def since(self, number):
        entries = self.control(f"requests?since={number}")
        for entry in entries:
            entry["body"] = base64.b64decode(entry["body"])
            entry["raw"] = base64.b64decode(entry["raw"])
        return entries
