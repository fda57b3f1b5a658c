"""Keeps one Holdfast and one Graph for all hostile cases, and plays each case on request.

    keeper.py start FOLDER       returns once all is up; CTest runs it before the first case
    keeper.py stop FOLDER        checks what must hold over all cases, and ends everything

A case itself is ask.py, so small that hundreds of them cost little. The keeper ends with the
process that `start` ran under, however that dies, and everything it started ends with the keeper.
"""
import fcntl
import os
import pathlib
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "support")]

import cases_flow  # noqa: E402
from cases import one_case  # noqa: E402
from check import check, strays  # noqa: E402
from exchange import SimulatorLog, new_tag, round_trip  # noqa: E402

START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 90
CONFIG = {"proxy.threads": 1,  # So that a round trip shows that what came before has been read.
          "proxy.limits.target_bytes": f"{cases_flow.TARGET_BYTES_MAX // 1024}KiB",
          "proxy.limits.header_bytes": f"{cases_flow.HEAD_BYTES_MAX // 1024}KiB",
          "proxy.limits.header_count": cases_flow.HEADER_COUNT_MAX,
          "proxy.limits.buffered_body_bytes": f"{cases_flow.BUFFERED_BYTES_MAX // 1024}KiB",
          "logging.level": "warning"}


class Keeper:
    def __init__(self):
        from stack import Stack
        self.stack = Stack(plain=True, config=CONFIG, settings={"track_commit_timestamp": "on"})
        self.stack.start(roles=("proxy",))
        self.port = self.stack.proxy_port
        self.log = SimulatorLog(self.stack.simulator.port)
        self.authority = f"localhost:{self.stack.simulator.port}"
        # The caller is known from here on, so that every request at Graph belongs to a case.
        target = "/v1.0/me/messages/hostile-first/permanentDelete"
        status, _, body = self.stack.request("POST", target, self.stack.requester)
        if status != 400 or b"ErrorInvalidIdMalformed" not in body:
            raise RuntimeError(f"a guarded call is answered {status} {body[:500]!r}")

    def play(self, name):
        tag = new_tag()
        case = one_case(name, tag, self.stack.requester)
        return check(case, tag, self.port, self.log, self.authority)

    def final_problems(self):
        """What must hold over all that was played, checked once nothing is under way."""
        from invariants import check_invariants
        round_trip(self.port, "/v1.0/me?settle=hostile-last", 30)
        self.stack.audit.start().wait_ready()  # Signs the log, so that it can be verified.
        problems = check_invariants(self.stack, [])
        problems += [f"reached Graph and is nobody's: {entry['raw'][:200]!r}"
                     for entry in strays(self.log.since(0))]
        if not self.stack.proxy.running():
            problems.append("the proxy has died: " + self.stack.proxy.log_tail())
        return problems


class Requests(socketserver.StreamRequestHandler):
    """One case's name in; "passed", or what is wrong with it, out."""

    def handle(self):
        name = self.rfile.readline().decode().strip()
        try:
            problems = self.server.keeper.play(name)
        except Exception:  # pylint: disable=broad-except
            problems = [traceback.format_exc()]
        self.wfile.write("\n".join(problems or ["passed"]).encode())


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def serve(folder, parent):
    """The keeper process: lives until it is told to stop or the parent is gone."""
    lock = open(folder / "lock", "w", encoding="utf-8")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=lambda: (select.select([parent], [], []), stopping.set()),
                     daemon=True).start()
    keeper = Keeper()
    try:
        with Server(str(folder / "socket"), Requests) as server:
            server.keeper = keeper
            threading.Thread(target=server.serve_forever, daemon=True).start()
            (folder / "pid").write_text(str(os.getpid()))
            stopping.wait()
            server.shutdown()
        (folder / "result").write_text("\n".join(keeper.final_problems()))
    finally:
        keeper.stack.stop()


def start(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run of these tests is using this build folder")
    for name in ("pid", "socket", "result"):
        (folder / name).unlink(missing_ok=True)
    # CTest, which starts this, not the shell that dies with this process.
    parent = os.pidfd_open(os.getppid())
    os.set_inheritable(parent, True)
    with open(folder / "log", "wb") as log:
        child = subprocess.Popen([sys.executable, "-B", __file__, "serve", folder, str(parent)],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 pass_fds=[parent], start_new_session=True)
    deadline = time.monotonic() + START_SECONDS_MAX
    while not (folder / "pid").exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.terminate()
            sys.exit("the keeper does not start:\n" + (folder / "log").read_text()[-4000:])
        time.sleep(0.02)


def stop(folder):
    try:
        keeper = os.pidfd_open(int((folder / "pid").read_text()))
    except (OSError, ValueError):
        sys.exit("the keeper is gone:\n" + (folder / "log").read_text()[-4000:])
    signal.pidfd_send_signal(keeper, signal.SIGTERM)
    if not select.select([keeper], [], [], STOP_SECONDS_MAX)[0]:
        signal.pidfd_send_signal(keeper, signal.SIGKILL)
        sys.exit("the keeper does not end")
    if not (folder / "result").exists():
        sys.exit("the keeper failed:\n" + (folder / "log").read_text()[-4000:])
    problems = (folder / "result").read_text()
    if problems:
        sys.exit(problems)


def main():
    action, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if action == "serve":
        serve(folder, int(sys.argv[3]))
    else:
        {"start": start, "stop": stop}[action](folder)


if __name__ == "__main__":
    main()
