"""The two sides of a comparison, running: Holdfast, and the gateway it is measured against."""
import contextlib
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

import processes
import upstream

ROOT = pathlib.Path(__file__).resolve().parent.parent
GATEWAY = ROOT / "bench" / "peers" / "fastify-pg"
WORKERS = 2  # Of either side.
RULES = """
schema: 1
revision: bench
default: deny
rules:
  - id: bench
    title: The bench may purge messages of one mailbox
    effect: allow
    when: { action: permanentDelete, resource: message, mailbox: { domain: contoso.com } }
tests:
  - name: the bench may
    given: { actor: { user: %s }, action: permanentDelete, resource: message, mailbox: %s }
    expect: { effect: allow, by: [bench] }
""" % (upstream.USER_ID, upstream.UPN)
CONFIG = """
proxy:
  listen: 127.0.0.1:{port}
  threads: {workers}
  spool_dir: {root}/spool
  database: {{ url: "{url}" }}
{tls}
upstream:
  origin: {origin}
rules:
  file: {root}/rules.yaml
logging:
  level: warning
"""
TLS = """  tls:
    certificate_file: {root}/proxy.crt
    key_file: {root}/proxy.key"""


def _wait_ready(url: str, process, log: pathlib.Path) -> None:
    deadline = time.monotonic() + processes.START_SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as answer:
            why = answer.read().decode(errors="replace")
        except OSError as problem:
            why = str(problem)
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise RuntimeError(f"holdfast proxy does not get ready: {why} | {tail}")
        time.sleep(0.05)


def _make_certificate(root: pathlib.Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", root / "proxy.key",
         "-out", root / "proxy.crt"], check=True, capture_output=True)


def migrate(bed, cluster) -> None:
    """Holdfast's tables in the cluster's database "holdfast"."""
    config = bed.root / "migrate.yaml"
    config.write_text(f'migrate: {{ database: {{ url: "{cluster.url()}" }} }}\n')
    done = subprocess.run([bed.build / "holdfast", "migrate", "--config", config], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError("holdfast migrate: " + done.stderr.strip())


@contextlib.contextmanager
def holdfast(bed, cluster, origin: str, tls: bool = False):
    """A migrated database and a proxy with its records in it. Yields (port, process)."""
    root = bed.root / "holdfast"
    (root / "spool").mkdir(parents=True)
    migrate(bed, cluster)
    if tls:
        _make_certificate(root)
    port = processes.free_port()
    (root / "rules.yaml").write_text(RULES)
    config = root / "holdfast.yaml"
    config.write_text(CONFIG.format(
        root=root, port=port, workers=WORKERS, origin=origin,
        url=cluster.url("holdfast_proxy"), tls=TLS.format(root=root) if tls else ""))
    log = root / "log"
    with processes.running([bed.build / "holdfast", "proxy", "--config", config], log) as process:
        if tls:
            processes.wait_for_port(port, process, log)
        else:
            _wait_ready(f"http://127.0.0.1:{port}/holdfast/readyz", process, log)
        yield port, process


@contextlib.contextmanager
def fastify_pg(bed, cluster, origin: str):
    """The gateway with a database of its own in the same cluster. Yields (port, process)."""
    root = bed.root / "gateway"
    root.mkdir()
    _install_gateway()
    cluster.sql("CREATE DATABASE gateway", database="postgres")
    environment = {"UPSTREAM": origin, "DATABASE_URL": cluster.url(database="gateway"),
                   "NODE_ENV": "production"}
    log = root / "log"
    with processes.running(["node", GATEWAY / "gateway.js"], log, environment) as process:
        line = processes.wait_for_line(log, "listening ", process)
        yield int(line.split()[1]), process


def _install_gateway() -> None:
    """npm ci, unless what is installed is what the lock file says."""
    lock = (GATEWAY / "package-lock.json").read_bytes()
    stamp = GATEWAY / "node_modules" / ".installed-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                          cwd=GATEWAY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("npm ci for the gateway: " + done.stderr.strip()[-400:])
    stamp.write_bytes(lock)
