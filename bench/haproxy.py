"""HAProxy as a plain proxy, set up as a competent operator would for this machine."""
import contextlib
import pathlib
import urllib.parse

import processes
from nginx import Certificate

BINARY = "/usr/sbin/haproxy"  # Not on everybody's PATH.
CONFIG = """
global
  maxconn 4096
  nbthread {threads}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 100s
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}{tls}
  default_backend graph
backend graph
  http-request set-header Host {host}
  server graph 127.0.0.1:{upstream_port} maxconn 256{upstream_tls}
"""
TLS = " ssl crt {file} ssl-min-ver TLSv1.2"
UPSTREAM_TLS = " ssl verify required ca-file {file} sni str({name}) ssl-min-ver TLSv1.2"


@contextlib.contextmanager
def proxy(root: pathlib.Path, origin: str, threads: int, certificate: Certificate | None = None,
          trusted: Certificate | None = None):
    """A plain proxy before `origin`; `certificate` is its own, `trusted` its upstream's. Yields its
    origin."""
    root.mkdir()
    port = processes.free_port()
    upstream = urllib.parse.urlsplit(origin)
    tls = upstream_tls = ""
    if certificate:
        both = root / "tls.pem"
        both.write_text(certificate.certificate.read_text() + certificate.key.read_text())
        tls = TLS.format(file=both)
    if trusted:
        upstream_tls = UPSTREAM_TLS.format(file=trusted.certificate, name=upstream.hostname)
    config = root / "haproxy.cfg"
    # Not by name: it would resolve to two addresses, of which the upstream listens on one.
    config.write_text(CONFIG.format(port=port, threads=threads, tls=tls, host=upstream.netloc,
                                    upstream_port=upstream.port, upstream_tls=upstream_tls))
    log = root / "log"
    with processes.running([BINARY, "-db", "-f", config], log) as process:
        processes.wait_for_port(port, process, log)
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
