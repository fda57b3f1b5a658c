#!/usr/bin/env python3
"""A private PostgreSQL 15 cluster for tests, demos and benches; nothing of it outlives its user.

    with Cluster() as cluster:                  # starts; creates the database "holdfast"
        connect(cluster.url("holdfast_proxy"))

    python3 tests/support/postgres.py run [--durable] -- CMD…
        runs CMD with PGHOST, PGPORT, PGUSER, PGDATABASE and PGDATA set; exits with its code
    python3 tests/support/postgres.py control start|stop|kill|restart
        for CMD itself: acts on the cluster whose PGDATA is set

Runs as root (the server then runs as the user `postgres`) and as an ordinary user. Logins need no
password; the server listens on 127.0.0.1 and on a socket in its own directory only. A guard process
removes server and directory when the owner ends in any way, SIGKILL included.

Where CLUSTER_TEMPLATE names a folder, data directories are copies of it, which take a tenth of the
time; the first cluster makes it.
"""
from __future__ import annotations

import argparse
import fcntl
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")
# The program itself: the one on the path is a Perl script that looks for it.
PSQL = str(BINARIES / "psql")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
# Unix socket paths hold 107 bytes; the file name takes about 20 of them.
SOCKET_DIRECTORY_LENGTH_MAX = 80
# A cluster has a thousand files, and making one takes several times as long on a disk.
MEMORY = pathlib.Path("/dev/shm")
MEMORY_FREE_BYTES_MIN = 4 << 30


def _as_server_user() -> dict:
    """Arguments for subprocess that drop root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _status(data: pathlib.Path) -> list[str]:
    """The lines of the server's pid file; empty when there is none."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _alive(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def _server_pid(data: pathlib.Path) -> int | None:
    lines = _status(data)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    # A stale pid file may name a stranger.
    return pid if str(data).encode() in command and _alive(pid) else None


def _children(pid: int) -> list[int]:
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(entry.name))
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL (pid {pids[0]}) does not stop")
        time.sleep(0.01)


def _start(data: pathlib.Path, environment: dict[str, str] | None = None) -> None:
    log = data.parent / "server.log"
    with open(log, "ab") as output:
        server = subprocess.Popen(
            [BINARIES / "postgres", "-D", data], stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, cwd=data.parent, start_new_session=True,
            env={**os.environ, **(environment or {})}, **_as_server_user())
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        lines = _status(data)
        if (len(lines) > 7 and lines[0] == str(server.pid) and lines[7].strip() == "ready"):
            server.returncode = 0  # Watched by its pid file; keeps Popen from warning about it.
            return
        if server.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace").splitlines()[-8:]
            raise RuntimeError("PostgreSQL does not start: " + " | ".join(tail))
        time.sleep(0.01)


def _stop(data: pathlib.Path, number: int = signal.SIGINT) -> None:
    pid = _server_pid(data)
    if pid is not None:
        members = [pid, *_children(pid)]
        for member in members:
            _signal(member, signal.SIGCONT)  # A test may have stopped one.
        _signal(pid, number)
        _wait_gone(members)


def _kill(data: pathlib.Path) -> None:
    pid = _server_pid(data)
    if pid is not None:
        members = [pid, *_children(pid)]
        lines = _status(data)
        for member in members:
            _signal(member, signal.SIGKILL)
        _wait_gone(members)
        # What a dead server leaves: a System V segment, and lock files that would stop the next
        # start for as long as nobody has reaped the process.
        if len(lines) > 6:
            subprocess.run(["ipcrm", "-m", lines[6].split()[-1]], stderr=subprocess.DEVNULL,
                           check=False)
        for lock in (data / "postmaster.pid", *data.parent.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)


def _remove(root: pathlib.Path) -> None:
    _stop(root / "data", signal.SIGQUIT)
    shutil.rmtree(root, ignore_errors=True)


def _make_root(durable: bool) -> pathlib.Path:
    """A folder for a cluster; in memory, where there is plenty and nothing has to last."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and \
        shutil.disk_usage(MEMORY).free >= MEMORY_FREE_BYTES_MIN
    return pathlib.Path(tempfile.mkdtemp(prefix="holdfast-pg-",
                                         dir=MEMORY if roomy and not durable else None))


def _initdb(data: pathlib.Path) -> None:
    done = subprocess.run(
        [BINARIES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=data.parent, check=False, **_as_server_user())
    if done.returncode != 0:
        raise RuntimeError("initdb: " + " | ".join(done.stdout.splitlines()[-8:]))


def copy_data(data: str | pathlib.Path, to: str | pathlib.Path) -> None:
    """Whole, with owners and modes; instead of what an interrupted copy left there."""
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", data, to], check=True)


def _settings(durable: bool, socket_directory: pathlib.Path | None) -> dict[str, str]:
    return {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(socket_directory or ""),
        "max_connections": "200",
        "shared_buffers": "64MB",
        "dynamic_shared_memory_type": "mmap",  # In the data directory: goes with it.
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on",
        # What no commit waited for is lost in a crash for certain, not by chance.
        "wal_writer_delay": "200ms" if durable else "10s",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }


class Cluster:
    """One cluster. Constructing it makes the data directory, a copy of `data` where that is given;
    start() runs the server.

    stop(), kill() (as a crash) and restart() keep data and port; remove() ends everything and is
    called by the context manager, and by the guard process if it is not.
    """

    def __init__(self, durable: bool = False, settings: dict[str, str] | None = None,
                 server_environment: dict[str, str] | None = None, data: str | None = None):
        self._server_environment = server_environment or {}
        self.root = _make_root(durable)
        self.data = self.root / "data"
        self.port = 0
        self._guard = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, "guard", self.root], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, start_new_session=True, cwd="/")
        self._socket_directory = self.root
        if len(str(self.root)) > SOCKET_DIRECTORY_LENGTH_MAX:
            self._socket_directory = None
        user = _as_server_user()
        if user:
            os.chown(self.root, user["user"], user["group"])
        self.root.chmod(0o755)
        self._has_database = data is not None
        if data:
            copy_data(data, self.data)
        else:
            self._make_data()
        self._settings = _settings(durable, self._socket_directory) | (settings or {})

    def _make_data(self) -> None:
        template = os.environ.get("CLUSTER_TEMPLATE")
        if not template:
            _initdb(self.data)
            return
        with open(f"{template}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(template):
                _initdb(self.data)
                copy_data(self.data, f"{template}.new")
                os.rename(f"{template}.new", template)
                return
        copy_data(template, self.data)

    def _configure(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        # Included last by PostgreSQL itself, so these win over what initdb wrote.
        (self.data / "postgresql.auto.conf").write_text("".join(lines) + f"port = {self.port}\n")

    def start(self) -> "Cluster":
        if self.port:
            _start(self.data, self._server_environment)
            return self
        for attempt in range(5):
            self._configure()
            try:
                _start(self.data, self._server_environment)
                break
            except RuntimeError:
                # Somebody may have taken the port in between.
                if attempt == 4:
                    raise
        if not self._has_database:
            self.sql("CREATE DATABASE holdfast", database="postgres")
        return self

    def stop(self) -> None:
        _stop(self.data)

    def kill(self) -> None:
        _kill(self.data)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stops the server and its backends in their tracks, as a machine that hangs would."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        pid = _server_pid(self.data)
        if pid is not None:
            for member in (pid, *_children(pid)):
                _signal(member, number)

    def remove(self) -> None:
        if self._guard.poll() is None:
            self._guard.stdin.close()  # It does the work, and only once.
            self._guard.wait()

    def url(self, user: str = "postgres", database: str = "holdfast") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def environment(self, database: str = "holdfast") -> dict[str, str]:
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres",
                "PGDATABASE": database, "PGDATA": str(self.data)}

    def sql(self, text: str, user: str = "postgres", database: str = "holdfast") -> str:
        """Runs SQL through psql; returns its unaligned output without the final newline."""
        done = subprocess.run(
            [PSQL, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(user, database)],
            input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("psql: " + done.stderr.strip())
        return done.stdout.rstrip("\n")

    def __enter__(self) -> "Cluster":
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_: object) -> None:
        self.remove()


def _run(command: list[str], durable: bool) -> int:
    with Cluster(durable=durable) as cluster:
        child = subprocess.Popen(command, env={**os.environ, **cluster.environment()})
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _: _signal(child.pid, received))
        code = child.wait()
    return code if code >= 0 else 128 - code


def _guard(root: pathlib.Path) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()  # Returns when the owner closes the pipe or dies.
    _remove(root)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run a command beside a new cluster")
    run.add_argument("--durable", action="store_true", help="keep fsync on")
    run.add_argument("command", nargs="+", metavar="-- CMD")
    control = actions.add_parser("control", help="act on the cluster whose PGDATA is set")
    control.add_argument("what", choices=["start", "stop", "kill", "restart"])
    guard = actions.add_parser("guard", help="for internal use")
    guard.add_argument("root", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.action == "guard":
        return _guard(arguments.root)
    if arguments.action == "run":
        # CTest asks a test binary for its cases; that needs no cluster.
        if "--gtest_list_tests" in arguments.command:
            os.execvp(arguments.command[0], arguments.command)
        return _run(arguments.command, arguments.durable)
    data = pathlib.Path(os.environ["PGDATA"])
    if arguments.what == "kill":
        _kill(data)
    if arguments.what in ("stop", "restart"):
        _stop(data)
    if arguments.what in ("start", "restart"):
        _start(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
