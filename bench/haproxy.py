"""HAProxy as a plain proxy, set up as a competent operator would for this machine."""
import contextlib
import pathlib
import urllib.parse

import processes

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
  bind 127.0.0.1:{port}
  default_backend graph
backend graph
  http-request set-header Host {address}
  server graph {address} maxconn 256
"""


@contextlib.contextmanager
def proxy(root: pathlib.Path, origin: str, threads: int):
    """Yields its origin."""
    root.mkdir()
    port = processes.free_port()
    config = root / "haproxy.cfg"
    config.write_text(CONFIG.format(port=port, threads=threads,
                                    address=urllib.parse.urlsplit(origin).netloc))
    log = root / "log"
    with processes.running([BINARY, "-db", "-f", config], log) as process:
        processes.wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}"
