"""What somebody can make who owns the database and has the log's signing key."""
import base64
import hashlib
import subprocess
import tempfile

import tlog


def literal(content):
    return f"'\\x{content.hex()}'::bytea"


def tiles_of(leaves):
    """SQL that makes the stored tiles those of these leaves."""
    rows = []
    level, hashes = 0, leaves
    while len(hashes) >= 256:
        roots = []
        for index in range(len(hashes) // 256):
            tile = hashes[index * 256:(index + 1) * 256]
            roots.append(tlog.root_of(tile))
            rows.append(f"({level}, {index}, {literal(roots[-1])}, {literal(b''.join(tile))})")
        level, hashes = level + 1, roots
    text = "DELETE FROM holdfast.tree_tiles;"
    if rows:
        text += ("INSERT INTO holdfast.tree_tiles (level, index, root, hashes) VALUES "
                 + ", ".join(rows) + ";")
    return text


def signed_note(origin, key_file, size, root):
    """A checkpoint as the log of that key would sign it."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    with tempfile.NamedTemporaryFile() as unsigned:
        unsigned.write(text.encode())
        unsigned.flush()
        signature = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key_file, "-in", unsigned.name],
            stdout=subprocess.PIPE, check=True).stdout
    public = subprocess.run(["openssl", "pkey", "-in", key_file, "-pubout", "-outform", "DER"],
                            stdout=subprocess.PIPE, check=True).stdout[-32:]
    key_id = hashlib.sha256(origin.encode() + b"\n\1" + public).digest()[:4]
    line = base64.b64encode(key_id + signature).decode()
    return f"{text}\n\u2014 {origin} {line}\n"


def only_checkpoint(size, root, note):
    """SQL that leaves this checkpoint and no other."""
    return ("DELETE FROM holdfast.tree_checkpoints; INSERT INTO holdfast.tree_checkpoints "
            f"(ordinal, size, root, note) VALUES (0, {size}, {literal(root)}, $note${note}$note$);")
