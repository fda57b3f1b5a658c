"""Starting and stopping what a bench runs beside itself. Everything ends with the bench."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen, log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise RuntimeError(f"{process.args[0]} does not listen on {port}: {tail}")
        time.sleep(0.02)


@contextlib.contextmanager
def running(command: list, log: pathlib.Path, environment: dict | None = None):
    """One process with its children, in a group of its own; killed if it does not stop."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_line(log: pathlib.Path, beginning: str, process: subprocess.Popen) -> str:
    """The first line of the process's output that begins so."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith(beginning):
                return line
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise RuntimeError(f"{process.args[0]} says no '{beginning}': {tail}")
        time.sleep(0.02)


def resident_mb(pid: int) -> float:
    """Resident memory of one process, in megabytes of 10^6 bytes."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
