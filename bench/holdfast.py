"""Holdfast, running, as it is set up for a bench."""
import contextlib
import json
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import nginx
import processes
import upstream

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKERS = 2  # Of every side.
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
  limits: {limits}
{tls}
upstream:
  origin: {origin}
  connections_per_address: 512  # All load comes from one, and the others share nothing out.
{trust}
rules:
  file: {root}/rules.yaml
  two_people: false
logging:
  level: warning
"""
TLS = """  tls:
    certificate_file: {certificate}
    key_file: {key}"""


def _wait_ready(url: str, process, log: pathlib.Path) -> None:
    deadline = time.monotonic() + processes.START_SECONDS_MAX
    anyone = ssl._create_unverified_context() if url.startswith("https:") else None
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=anyone):
                return
        except urllib.error.HTTPError as answer:
            why = answer.read().decode(errors="replace")
        except OSError as problem:
            why = str(problem)
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise RuntimeError(f"holdfast proxy does not get ready: {why} | {tail}")
        time.sleep(0.05)


def migrate(bed, cluster) -> None:
    """Holdfast's tables in the cluster's database "holdfast"."""
    config = bed.root / "migrate.yaml"
    config.write_text(f'migrate: {{ database: {{ url: "{cluster.url()}" }} }}\n')
    done = subprocess.run([bed.build / "holdfast", "migrate", "--config", config],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("holdfast migrate: " + done.stderr.strip())


@contextlib.contextmanager
def proxy(bed, cluster, origin: str, certificate: nginx.Certificate | None = None,
          trusted: nginx.Certificate | None = None, limits: dict | None = None, rules: str = RULES):
    """A migrated database and a proxy with its records in it; `certificate` is its own, `trusted`
    its upstream's, `limits` are other ones than its own. Yields (origin, process)."""
    root = bed.root / "holdfast"
    (root / "spool").mkdir(parents=True)
    migrate(bed, cluster)
    port = processes.free_port()
    (root / "rules.yaml").write_text(rules)
    config = root / "holdfast.yaml"
    tls = TLS.format(certificate=certificate.certificate, key=certificate.key) if certificate else ""
    config.write_text(CONFIG.format(
        root=root, port=port, workers=WORKERS, origin=origin, url=cluster.url("holdfast_proxy"),
        limits=json.dumps(limits or {}), tls=tls,
        trust=f"  ca_file: {trusted.certificate}" if trusted else ""))
    log = root / "log"
    with processes.running([bed.build / "holdfast", "proxy", "--config", config], log) as process:
        address = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        _wait_ready(address + "/holdfast/readyz", process, log)
        yield address, process
