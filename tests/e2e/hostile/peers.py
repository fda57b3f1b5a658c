"""nginx and HAProxy as plain proxies, each before a simulator of its own."""
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import time

from service import die_with_parent
from simulator import Simulator
from stack import free_ports

START_SECONDS_MAX = 30
# One worker each, so that an answered request shows that what came before it has been read.
NGINX = """
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log crit;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen plain
  bind 127.0.0.1:{port}
  server graph 127.0.0.1:{origin}
"""
CONFIGS = {"nginx": NGINX, "haproxy": HAPROXY}


def binary(name):
    """Servers lie where not everybody's PATH leads."""
    for folder in ("/usr/sbin", "/usr/local/sbin", *os.environ["PATH"].split(":")):
        if os.access(pathlib.Path(folder) / name, os.X_OK):
            return str(pathlib.Path(folder) / name)
    raise FileNotFoundError(f"{name} is not installed; see tools/packages.txt")


def version(name):
    """Upstream's version, without what Debian adds to it."""
    said = subprocess.run([binary(name), "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", said).group()


class Peer:
    """One of them, running. `port` is where it listens, `simulator` its Graph."""

    def __init__(self, name, folder):
        folder.mkdir()
        self.name, self.folder = name, folder
        self.simulator = Simulator(folder, authorities=["graph.test"])
        self.port, = free_ports(1)
        config = folder / f"{name}.conf"
        config.write_text(CONFIGS[name].format(
            root=folder, port=self.port, origin=self.simulator.port,
            user="user root;" if os.geteuid() == 0 else ""))
        arguments = {"nginx": ["-p", str(folder), "-c", str(config), "-e", str(folder / "log")],
                     "haproxy": ["-f", str(config), "-db"]}[name]
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen([binary(name), *arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)

    def wait_until_it_listens(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: "
                                   + (self.folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.simulator.stop()


@contextlib.contextmanager
def running(name, folder):
    peer = Peer(name, folder)
    try:
        peer.wait_until_it_listens()
        yield peer
    finally:
        peer.stop()
