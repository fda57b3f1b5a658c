#!/usr/bin/env python3
"""Runs clang-tidy over the product's sources: check_tidy.py BUILD_DIR

The sources are looked at in the batches that they are compiled in, and a batch only when one of its
sources, a project header that these include, or .clang-tidy changed: the build directory keeps a stamp
for each. Prints what clang-tidy found; exits 1 if there is anything.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
FOLDERS = {"base", "http", "config", "graph", "identity", "audit", "approval", "proxy", "officers",
           "cli"}


def content_hash(batch: pathlib.Path) -> str:
    """Of the batch and everything of the project that it includes, directly or not."""
    seen, todo = set(), [batch]
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        todo += [ROOT / name for name in INCLUDE.findall(path.read_text())]
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for path in sorted(seen):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def place(path: pathlib.Path, build: pathlib.Path) -> pathlib.Path:
    """In the build directory, or, for a source that no batch has, in the project."""
    return path.relative_to(build if path.is_relative_to(build) else ROOT)


def check(batch: pathlib.Path, build: pathlib.Path) -> str:
    stamp = build / "tidy" / (place(batch, build).as_posix().replace("/", "_") + ".stamp")
    wanted = content_hash(batch)
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", build, batch], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode:
        return done.stdout or done.stderr
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    return ""


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {pathlib.Path(entry["file"]) for entry in commands}
    batches = sorted(path for path in files if path.is_relative_to(ROOT) and
                     place(path, build).parts[0] in FOLDERS)
    if not batches:
        print("no sources found")
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for text in pool.map(lambda path: check(path, build), batches) if text]
    print("\n".join(findings) if findings else f"tidy: {len(batches)} batches clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
