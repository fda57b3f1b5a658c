#!/usr/bin/env python3
"""Runs clang-tidy over the product's sources: check_tidy.py BUILD_DIR

Each file is compiled on its own here, so an `#include` that it lacks shows. It is looked at again
only when it, a project header it includes, or .clang-tidy changed: the build directory keeps a stamp
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
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", build / "tidy", source], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode:
        return done.stdout or done.stderr
    stamp.write_text(wanted)
    return ""


def one_by_one(entry: dict) -> list[dict]:
    """The command that compiles several sources at once, for each of them; one for a single source."""
    batch = pathlib.Path(entry["file"])
    if batch.parent.name != "Unity":
        return [entry]
    return [{**entry, "file": source, "command": entry["command"].replace(str(batch), source)}
            for source in INCLUDE.findall(batch.read_text())]


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    commands = [command for entry in json.loads((build / "compile_commands.json").read_text())
                for command in one_by_one(entry)]
    (build / "tidy").mkdir(exist_ok=True)
    (build / "tidy" / "compile_commands.json").write_text(json.dumps(commands))
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
