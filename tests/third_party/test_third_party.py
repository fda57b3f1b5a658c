"""Others verify a log that Holdfast wrote: Go's sumdb/note and sumdb/tlog, and OpenSSL by hand."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import unittest
import urllib.request

from shared_log import SharedLog

GO = os.environ.get("GO", "/usr/bin/go")
DEBIAN_GO_PATH = "/usr/share/gocode"
PROGRAM = pathlib.Path(os.environ["VERIFY_LOG"])
SOURCE = pathlib.Path(__file__).with_name("verify_log.go")
# The DER of an Ed25519 public key (RFC 8410) up to the key itself.
PUBLIC_KEY_PREFIX = bytes.fromhex("302a300506032b6570032100")


def build():
    """The Go program, from Debian's packages alone."""
    environment = {**os.environ, "GOPATH": DEBIAN_GO_PATH, "GO111MODULE": "off", "GOFLAGS": "",
                   "GOCACHE": str(PROGRAM.parent / "go-cache"), "GOPROXY": "off",
                   "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    environment.pop("GOROOT", None)
    subprocess.run([GO, "build", "-o", str(PROGRAM), str(SOURCE)], env=environment, check=True)


class ThirdParty(unittest.TestCase):
    def setUp(self):
        self.log = SharedLog.load()
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.log.folder))
        self.addCleanup(shutil.rmtree, self.folder)

    def go(self, *arguments, key=None, prefix=None, status=0):
        what, *rest = arguments
        done = subprocess.run(
            [str(PROGRAM), what, prefix or f"{self.log.audit_url}/log", key or self.log.verifier_key,
             *map(str, rest)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
            env={"CA_FILE": self.log.ca_file, "TOKEN_FILE": self.log.token_file})
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr if status else done.stdout

    def get(self, path):
        context = ssl.create_default_context(cafile=self.log.ca_file)
        token = pathlib.Path(self.log.token_file).read_text().strip()
        request = urllib.request.Request(self.log.audit_url + path,
                                         headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.read()

    def entry(self, index):
        path = self.folder / f"entry-{index}"
        path.write_bytes(bytes.fromhex(self.log.sql(
            "holdfast", f"SELECT encode(entry, 'hex') FROM holdfast.log WHERE index = {index}")))
        return path

    def test_third_party_go_opens_the_checkpoint(self):
        self.assertGreaterEqual(int(self.go("checkpoint").split()[1]), self.log.size)

    def test_third_party_go_refuses_a_checkpoint_of_another_key(self):
        other = self.folder / "log.key"
        _, key, _ = self.log.run("keygen", str(other), "--origin", self.log.origin)
        self.assertIn("no verifiable signatures", self.go("checkpoint", key=key.strip(), status=1))

    def test_third_party_go_proves_inclusion(self):
        for index in (0, 255, 256, 300, self.log.size - 1):
            self.go("inclusion", index, self.entry(index))

    def test_third_party_go_refuses_another_entry(self):
        entry = self.entry(300)
        content = bytearray(entry.read_bytes())
        content[100] ^= 1
        entry.write_bytes(content)
        self.assertIn("invalid transparency proof", self.go("inclusion", 300, entry, status=1))

    def test_third_party_go_proves_consistency(self):
        self.go("consistency", self.log.old)
        self.go("consistency", self.log.newest)

    def test_third_party_go_rebuilds_every_tile_from_the_entries(self):
        self.go("tiles")

    def test_third_party_openssl_verifies_the_signature_by_hand(self):
        note = self.get("/log/checkpoint").decode()
        text, _, signature = note.rpartition("\n\n")
        name, key_id, key = self.log.verifier_key.split("+", 2)
        mark, signer, encoded = signature.strip().split(" ")
        self.assertEqual((mark, signer), ("\u2014", name))
        signed, public = base64.b64decode(encoded), base64.b64decode(key)
        self.assertEqual(signed[:4].hex(), key_id)
        self.assertEqual(hashlib.sha256(name.encode() + b"\n" + public).digest()[:4], signed[:4])
        (self.folder / "text").write_text(text + "\n")
        (self.folder / "signature").write_bytes(signed[4:])
        (self.folder / "key.der").write_bytes(PUBLIC_KEY_PREFIX + public[1:])
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER",
                   "-inkey", "key.der", "-sigfile", "signature", "-in", "text"]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "Signature Verified Successfully\n"))
        (self.folder / "text").write_text(text.replace("\n", "\n1", 1) + "\n")
        self.assertNotEqual(subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, check=False).returncode, 0)

    def test_third_party_a_proof_is_followed_by_hand(self):
        """As docs/audit_format.md tells an auditor to, with nothing but SHA-256."""
        index = 300
        head, _, note = self.get(f"/api/v1/records/{index}/proof").decode().partition("\n\n")
        _, line, *hashes = head.splitlines()
        self.assertEqual(line, f"index {index}")
        size, root = note.splitlines()[1:3]
        node, last = index, int(size) - 1
        leaf = hashlib.sha256(b"\0" + self.entry(index).read_bytes()).digest()
        for sibling in map(base64.b64decode, hashes):
            if node % 2 == 1 or node == last:
                leaf = hashlib.sha256(b"\1" + sibling + leaf).digest()
                while node % 2 == 0:
                    node, last = node // 2, last // 2
            else:
                leaf = hashlib.sha256(b"\1" + leaf + sibling).digest()
            node, last = node // 2, last // 2
        self.assertEqual((last, base64.b64encode(leaf).decode()), (0, root))

    def test_third_party_the_key_the_service_names_is_the_one_that_signs(self):
        state = json.loads(self.get("/api/v1/integrity"))
        self.assertEqual(state["keys"], [self.log.verifier_key])


if __name__ == "__main__":
    build()
