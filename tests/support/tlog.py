"""Verifies a Holdfast log from outside, by the specifications alone: RFC 6962, C2SP signed-note,
tlog-checkpoint, tlog-tiles and tlog-proof. Uses nothing of Holdfast; openssl checks signatures.

    log = Log(fetch, verifier_key)          # fetch(path below /log/) -> bytes
    size, root = log.checkpoint()
    log.check_all()                         # every tile and entry against the checkpoint
"""
import base64
import hashlib
import subprocess
import tempfile

SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


class Wrong(Exception):
    """The log is not what it says it is."""


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """RFC 6962, 2.1, by its recursive definition, over leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


def verify_inclusion(leaf, index, size, proof, root):
    """RFC 9162, 2.1.3.2."""
    expect(index < size, "index beyond the tree")
    node, last = index, size - 1
    for sibling in proof:
        expect(last != 0, "proof too long")
        if node & 1 or node == last:
            leaf = node_hash(sibling, leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    expect(last == 0 and leaf == root, "the proof does not lead to the root")


def verify_signature(public_key, message, signature):
    with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as text, \
            tempfile.NamedTemporaryFile() as signed:
        for file, content in ((key, SPKI_PREFIX + public_key), (text, message),
                              (signed, signature)):
            file.write(content)
            file.flush()
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
             key.name, "-in", text.name, "-sigfile", signed.name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    expect(done.returncode == 0, f"signature: {done.stdout.decode().strip()}")


def open_checkpoint(note, verifier_key):
    """(size, root) of a note that the key has signed."""
    name, key_id, key = verifier_key.split("+", 2)
    key_id, key = bytes.fromhex(key_id), base64.b64decode(key, validate=True)
    expect(key[0] == 1 and len(key) == 33, "not an Ed25519 key")
    expect(hashlib.sha256(name.encode() + b"\n" + key).digest()[:4] == key_id, "key id")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    found = False
    for line in signatures.splitlines():
        mark, signer, signature = line.split(" ")
        expect(mark == "\u2014", "a line that is no signature")
        signature = base64.b64decode(signature, validate=True)
        if signer == name and signature[:4] == key_id:
            verify_signature(key[1:], text.encode(), signature[4:])
            found = True
    expect(found, "the key has not signed")
    origin, size, root = text.splitlines()
    expect(origin == name, "another origin")
    return int(size), base64.b64decode(root, validate=True)


def open_proof(text, verifier_key, entry):
    """The index of an entry that the tlog-proof proves to be in the log."""
    head, _, note = text.partition("\n\n")
    first, index, *hashes = head.splitlines()
    expect(first == "c2sp.org/tlog-proof@v1" and index.startswith("index "), "form of the proof")
    size, root = open_checkpoint(note, verifier_key)
    verify_inclusion(leaf_hash(entry), int(index[6:]), size,
                     [base64.b64decode(line, validate=True) for line in hashes], root)
    return int(index[6:])


def tile_path(level, index, width=256):
    path = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        path = f"x{index % 1000:03}/{path}"
    return f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")


class Log:
    def __init__(self, fetch, verifier_key):
        self.fetch, self.verifier_key = fetch, verifier_key

    def checkpoint(self):
        return open_checkpoint(self.fetch("checkpoint").decode(), self.verifier_key)

    def hashes(self, level, size):
        """All hashes that a tree of that size has at a level of tiles."""
        count, found = size >> (8 * level), []
        for begin in range(0, count, 256):
            width = min(256, count - begin)
            tile = self.fetch(tile_path(level, begin // 256, width))
            expect(len(tile) == 32 * width, "length of a tile")
            found += [tile[at:at + 32] for at in range(0, len(tile), 32)]
        return found

    def entries(self, size):
        found = []
        for begin in range(0, size, 256):
            width = min(256, size - begin)
            bundle, count = self.fetch(tile_path("entries", begin // 256, width)), 0
            while bundle:
                length = int.from_bytes(bundle[:2], "big")
                expect(len(bundle) >= 2 + length, "length of an entry")
                found.append(bundle[2:2 + length])
                bundle, count = bundle[2 + length:], count + 1
            expect(count == width, "entries in a bundle")
        return found

    def check_all(self):
        """Everything from the entries up; returns them."""
        size, root = self.checkpoint()
        entries = self.entries(size)
        below = [leaf_hash(entry) for entry in entries]
        expect(root_of(below) == root, "the entries do not lead to the root")
        for level in range(8):
            expect(self.hashes(level, size) == below, f"tiles of level {level}")
            below = [root_of(below[at:at + 256]) for at in range(0, len(below) // 256 * 256, 256)]
        return entries
