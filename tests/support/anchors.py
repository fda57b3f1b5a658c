"""What a log is anchored to, for tests, over HTTPS: a C2SP witness that follows the specification, a
time-stamp authority and a sink.

    service = AnchorService(folder, certificates, verifier_key)     # the log's key
    service.url + "/witness", "/tsa", "/sink"                       # service.policy names the witness
    service.faults["sink"] = "status"                               # or "garbage", "hang"
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile
import threading
import time

import tlog
from certificates import openssl
from receiver import Receiver
from timestamp_authority import TimestampAuthority


def verify_consistency(old_size, old_root, new_size, new_root, proof):
    """RFC 9162, 2.1.4.2."""
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:
        return not proof
    if old_size & (old_size - 1) == 0:
        proof = [old_root] + proof
    if not proof:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first = tlog.node_hash(sibling, first)
            second = tlog.node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = tlog.node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


class Witness:
    """C2SP tlog-witness, add-checkpoint, for one log. Remembers the newest checkpoint only."""

    def __init__(self, name, log_key):
        self.name, self.log_key = name, log_key
        self.size, self.root = 0, hashlib.sha256(b"").digest()
        self.size_type = "text/x.tlog.size"
        self.lock = threading.Lock()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-witness-"))
        self.key_file = self.folder / "witness.key"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.key_file)
        public = subprocess.run(["openssl", "pkey", "-in", str(self.key_file), "-pubout",
                                 "-outform", "DER"], stdout=subprocess.PIPE, check=True).stdout
        key = b"\x04" + public[-32:]
        self.public_key = public[-32:]
        self.key_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
        self.vkey = f"{name}+{self.key_id.hex()}+{base64.b64encode(key).decode()}"

    def sign(self, message):
        with tempfile.NamedTemporaryFile() as text:
            text.write(message)
            text.flush()
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey",
                                   str(self.key_file), "-in", text.name],
                                  stdout=subprocess.PIPE, check=True).stdout

    def add_checkpoint(self, body):
        """(status, content type, body)"""
        head, _, note = body.decode().partition("\n\n")
        first, *lines = head.splitlines()
        old = int(first.removeprefix("old "))
        try:
            size, root = tlog.open_checkpoint(note, self.log_key)
        except tlog.Wrong as problem:
            return (404 if "origin" in str(problem) else 403), "text/plain", str(problem).encode()
        if old > size:
            return 400, "text/plain", b"old size beyond the checkpoint"
        with self.lock:
            if old != self.size:
                return 409, self.size_type, f"{self.size}\n".encode()
            if old == size and root != self.root:
                return 409, "text/plain", b"another tree of that size was cosigned"
            proof = [base64.b64decode(line, validate=True) for line in lines]
            if not verify_consistency(old, self.root, size, root, proof):
                return 422, "text/plain", b"the proof does not verify"
            self.size, self.root = size, root
        return 200, "text/plain", f"{self.cosign(note)}\n".encode()

    def cosign(self, note):
        """The signature line, whatever the note is."""
        text, now = note.rpartition("\n\n")[0] + "\n", int(time.time())
        signature = self.sign(f"cosignature/v1\ntime {now}\n{text}".encode())
        payload = self.key_id + now.to_bytes(8, "big") + signature
        return f"\u2014 {self.name} {base64.b64encode(payload).decode()}"

    def check(self, note):
        """Whether the note has a valid cosignature of this witness."""
        text, _, signatures = note.rpartition("\n\n")
        for line in signatures.splitlines():
            _, name, signature = line.split(" ")
            raw = base64.b64decode(signature)
            if name == self.name and raw[:4] == self.key_id:
                message = f"cosignature/v1\ntime {int.from_bytes(raw[4:12], 'big')}\n{text}\n"
                tlog.verify_signature(self.public_key, message.encode(), raw[12:])
                return True
        return False


class AnchorService:
    def __init__(self, folder, certificates, log_key):
        self.folder = pathlib.Path(folder)
        self.witness = Witness("witness.test/w1", log_key)
        self.authority = TimestampAuthority(self.folder / "tsa")
        self.received = []  # Lines that the sink has taken, parsed.
        self.faults = {}  # Name of a service -> what it does instead of answering.
        self.released = threading.Event()  # Ends what hangs.
        self.receiver = Receiver(certificates, lambda path, _, body: self.answer(path, body))
        self.url = self.receiver.url
        self.policy = self.folder / "policy"
        self.policy.write_text(f"log {log_key}\nwitness w {self.witness.vkey} {self.url}/witness\n"
                               "quorum w\n")

    def stop(self):
        self.released.set()
        self.receiver.stop()

    def answer(self, path, body):
        name = path.split("/")[1]
        fault = self.faults.get(name)
        if fault == "hang":
            self.released.wait(60)
        if fault == "status":
            return 500, "text/plain", b"no"
        if fault == "garbage":
            return 200, "text/html", b"<html>\x00\xff"
        if path == "/witness/add-checkpoint":
            return self.witness.add_checkpoint(body)
        if path == "/tsa":
            return 200, "application/timestamp-reply", self.authority.reply(body)
        if path == "/sink":
            self.received += [json.loads(line) for line in body.splitlines()]
            return 204, "text/plain", b""
        return 404, "text/plain", b""
