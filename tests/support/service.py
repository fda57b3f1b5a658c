"""One process of Holdfast under test or in the demo: started, watched, waited for, ended."""
import ctypes
import http.client
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.parse

LOG_TAIL_BYTES = 3000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class StartError(Exception):
    """A process that did not become ready; the text holds the end of its log."""


def die_with_parent():
    """Run in a new child: no process outlives a harness that was killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def fetch(url, ca_file, token=None, timeout=5, method="GET", body=None, headers=None,
          client=None):
    """(status, headers, body) of one request; OSError when there is no answer. `client` is what
    the client shows of its own: the files of a certificate and its key."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(ca_file))
        if client:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context,
                                                 timeout=timeout)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except http.client.HTTPException as problem:
        raise OSError(str(problem) or type(problem).__name__) from problem
    finally:
        connection.close()


class Service:
    """A long-running command with a readiness URL, asked with the certificate of `client`. Its
    output goes to a file of its own."""

    def __init__(self, name, command, ready_url, ca_file, log_path, environment=None, client=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.ready_url = ready_url
        self.ca_file = ca_file
        self.log_path = pathlib.Path(log_path)
        self.environment = environment
        self.client = client
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, preexec_fn=die_with_parent)
        return self

    def wait_ready(self, seconds=30):
        deadline, last = time.monotonic() + seconds, "nothing listens"
        while True:
            if self.process.poll() is not None:
                raise StartError(f"{self.name} ended with status {self.process.returncode}:\n"
                                 + self.log_tail())
            try:
                status, _, body = fetch(self.ready_url, self.ca_file, timeout=5,
                                        client=self.client)
                if status == 200:
                    return self
                last = f"{status} {body[:300].decode(errors='replace')}"
            except OSError as problem:
                last = str(problem)
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} is not ready after {seconds} s ({self.ready_url}: "
                                 f"{last}):\n{self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self):
        text = self.log_path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        return text.strip() or "(it wrote nothing)"

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def stop(self, seconds=40):
        """SIGTERM, and SIGKILL when draining takes too long. Returns the exit status."""
        if self.process is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.process.wait() if self.process else None
