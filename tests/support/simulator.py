"""Starts the Graph simulator for a test and talks to its control interface."""
import base64
import http.client
import json
import pathlib
import ssl
import subprocess
import sys

from service import die_with_parent

SCRIPT = pathlib.Path(__file__).resolve().parent / "graph_simulator.py"


class Simulator:
    """A running simulator. HTTPS where a certificate is given, else plain http."""

    def __init__(self, folder, certificate=None, key=None, ca_file=None, port=0, seed=1,
                 authorities=()):
        self.folder = pathlib.Path(folder)
        ready_file = self.folder / "simulator.json"
        command = [sys.executable, "-B", str(SCRIPT), "--port", str(port), "--seed", str(seed),
                   "--ready-file", str(ready_file)]
        command += ["--certificate", str(certificate), "--key", str(key)] if certificate \
            else ["--plain"]
        for authority in authorities:
            command += ["--authority", authority]
        self.tls = ssl.create_default_context(cafile=str(ca_file)) if certificate else None
        self.log_path = self.folder / "simulator.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log,
                                            preexec_fn=die_with_parent)
        if not self.process.stdout.readline().startswith(b"ready"):
            self.process.wait()
            raise RuntimeError("the simulator did not start: "
                               + self.log_path.read_text(errors="replace")[-2000:])
        ready = json.loads(ready_file.read_text())
        self.origin, self.port = ready["origin"], ready["port"]
        self.tokens, self.mailboxes = ready["tokens"], ready["mailboxes"]
        self.tenant_id, self.app_id = ready["tenant_id"], ready["app_id"]
        self.ready = ready

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("localhost", self.port, context=self.tls,
                                               timeout=30)
        return http.client.HTTPConnection("localhost", self.port, timeout=30)

    def request(self, method, target, token=None, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = self.connect()
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        result = answer.status, answer.headers, answer.read()
        connection.close()
        return result

    def control(self, method, name, value=None):
        body = None if value is None else json.dumps(value)
        status, _, answer = self.request(method, f"/_control/{name}", body=body)
        if status != 200:
            raise RuntimeError(f"control {name}: {status} {answer.decode()}")
        return json.loads(answer)

    def requests(self):
        """Every request received, in order; `body` and `raw` as bytes."""
        entries = self.control("GET", "requests")
        for entry in entries:
            entry["body"] = base64.b64decode(entry["body"])
            entry["raw"] = base64.b64decode(entry["raw"])
        return entries

    def fault(self, kind, value=None, times=1, method="", target_contains=""):
        return self.control("POST", "faults", {
            "fault": kind, "value": value, "times": times,
            "match": {"method": method, "target_contains": target_contains}})

    def reset(self):
        self.control("POST", "reset")

    def mailbox(self, user):
        return self.control("GET", f"mailboxes/{user}")

    def token(self, **wanted):
        return self.control("POST", "tokens", wanted)["token"]
