"""An nginx of our own: Graph's stand-in, and the plain proxy that Holdfast is measured against."""
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import urllib.parse

import processes

BINARY = "/usr/sbin/nginx"  # Not on everybody's PATH.
CONFIG = """
worker_processes {workers};
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log crit;
{user_line}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  {outside}
  server {{
    listen 127.0.0.1:{port} backlog=4096{tls};
    {server}
  }}
}}
"""
TLS = """
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
"""
# As a competent operator would set it up: connections to the upstream are kept, in number as many as
# there can be; what does not fit its buffers never goes to the disk; all else as it comes.
UPSTREAM = """
  upstream graph {{
    server {address};
    keepalive 256;
    keepalive_requests 100000000;
    keepalive_timeout 3600s;
  }}
"""
PROXY = """
    client_max_body_size 0;
    client_body_buffer_size 128k;
    proxy_max_temp_file_size 0;
    location / {{
      proxy_pass {scheme}://graph;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host {host};
      {upstream_tls}
    }}
"""
UPSTREAM_TLS = """
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {certificate};
      proxy_ssl_server_name on;
      proxy_ssl_name {host};
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""


@dataclasses.dataclass(frozen=True)
class Certificate:
    """For localhost and 127.0.0.1, signed by itself."""
    certificate: pathlib.Path
    key: pathlib.Path


def make_certificate(root: pathlib.Path) -> Certificate:
    made = Certificate(root / "tls.crt", root / "tls.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
    return made


@contextlib.contextmanager
def running(root: pathlib.Path, server: str, workers: int, outside: str = "",
            certificate: Certificate | None = None):
    """One server on a port of its own; with a certificate it speaks TLS. Yields the port."""
    port = processes.free_port()
    if certificate:
        server += TLS.format(certificate=certificate.certificate, key=certificate.key)
    config = root / "nginx.conf"
    config.write_text(CONFIG.format(
        root=root, port=port, workers=workers, outside=outside, server=server,
        tls=" ssl" if certificate else "",
        # As root it would hand its worker to a user that cannot reach the directory.
        user_line="user root;" if os.geteuid() == 0 else ""))
    log = root / "log"
    with processes.running([BINARY, "-p", root, "-c", config, "-e", root / "error.log"],
                           log) as process:
        processes.wait_for_port(port, process, log)
        yield port


@contextlib.contextmanager
def proxy(root: pathlib.Path, origin: str, workers: int, certificate: Certificate | None = None,
          trusted: Certificate | None = None):
    """A plain proxy before `origin`; `certificate` is its own, `trusted` its upstream's. Yields its
    origin."""
    root.mkdir()
    upstream = urllib.parse.urlsplit(origin)
    upstream_tls = ""
    if trusted:
        upstream_tls = UPSTREAM_TLS.format(certificate=trusted.certificate, host=upstream.hostname)
    # Not by name: it would resolve to two addresses, of which the upstream listens on one.
    outside = UPSTREAM.format(address=f"127.0.0.1:{upstream.port}")
    server = PROXY.format(scheme=upstream.scheme, host=upstream.netloc, upstream_tls=upstream_tls)
    with running(root, server, workers, outside, certificate) as port:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
