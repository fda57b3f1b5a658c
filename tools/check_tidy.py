#!/usr/bin/env python3
"""Runs clang-tidy over the product's sources: check_tidy.py BUILD_DIR

A file is looked at again only when it, a project header it includes, or .clang-tidy changed: the
build directory keeps a stamp for each. Prints what clang-tidy found; exits 1 if there is anything.
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


def content_hash(source: pathlib.Path) -> str:
    """Of the file and everything of the project that it includes, directly or not."""
    seen, todo = set(), [source]
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


def check(source: pathlib.Path, build: pathlib.Path) -> str:
    stamp = build / "tidy" / (source.relative_to(ROOT).as_posix().replace("/", "_") + ".stamp")
    wanted = content_hash(source)
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", build, source], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode:
        return done.stdout or done.stderr
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    return ""


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = sorted({pathlib.Path(entry["file"]) for entry in commands})
    sources = [path for path in sources
               if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in FOLDERS]
    if not sources:
        print("no sources found")
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for text in pool.map(lambda path: check(path, build), sources) if text]
    print("\n".join(findings) if findings else f"tidy: {len(sources)} files clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
