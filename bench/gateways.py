"""The gateways that record guarded calls as Holdfast does, written the way one would at first."""
import contextlib
import pathlib
import shutil
import subprocess

import processes

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
FASTIFY = PEERS / "fastify-pg"
MITMPROXY = PEERS / "mitmproxy" / "gateway.py"


@contextlib.contextmanager
def fastify_pg(bed, cluster, origin: str):
    """Fastify and pg, with a database of their own in the same cluster. Yields the origin."""
    root = bed.root / "fastify-pg"
    root.mkdir()
    _install_packages()
    cluster.sql("CREATE DATABASE fastify_pg", database="postgres")
    environment = {"UPSTREAM": origin, "DATABASE_URL": cluster.url(database="fastify_pg"),
                   "NODE_ENV": "production"}
    log = root / "log"
    with processes.running(["node", FASTIFY / "gateway.js"], log, environment) as process:
        line = processes.wait_for_line(log, "listening ", process)
        yield f"http://127.0.0.1:{line.split()[1]}"


@contextlib.contextmanager
def mitmproxy(bed, cluster, origin: str):
    """mitmproxy with an addon and psycopg2, and a database of its own. Yields the origin."""
    root = bed.root / "mitmproxy"
    root.mkdir()
    cluster.sql("CREATE DATABASE mitmproxy", database="postgres")
    port = processes.free_port()
    environment = {"UPSTREAM": origin, "DATABASE_URL": cluster.url(database="mitmproxy"),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    command = [shutil.which("mitmdump") or "/usr/bin/mitmdump", "--quiet", "--mode",
               f"reverse:{origin}", "--listen-host", "127.0.0.1", "--listen-port", port,
               "--set", f"confdir={root}", "--scripts", MITMPROXY]
    log = root / "log"
    with processes.running(command, log, environment) as process:
        processes.wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}"


def _install_packages() -> None:
    """npm ci, unless what is installed is what the lock file says."""
    lock = (FASTIFY / "package-lock.json").read_bytes()
    stamp = FASTIFY / "node_modules" / ".installed-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                          cwd=FASTIFY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("npm ci for the gateway: " + done.stderr.strip()[-400:])
    stamp.write_bytes(lock)
