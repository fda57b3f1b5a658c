#!/usr/bin/env python3
"""Runs clang-tidy over the product's sources: check_tidy.py BUILD_DIR

Most of its time goes into headers, so it reads each folder's sources as one, and a folder only when one
of its sources, a project header that these include, or .clang-tidy changed: the build directory keeps a
stamp for each. What is compiled by itself is read by itself. Prints what clang-tidy found; exits 1 if
there is anything.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
FOLDERS = ("base", "http", "config", "graph", "identity", "audit", "approval", "proxy", "officers",
           "cli")


def content_hash(source: pathlib.Path) -> str:
    """Of the source and everything of the project that it includes, directly or not."""
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


def as_one(folder: str, tidy: pathlib.Path, batches: list[dict]) -> dict:
    """The compile command of one source that includes what all the unity batches do."""
    includes = "".join(pathlib.Path(batch["file"]).read_text() for batch in batches)
    whole = tidy / f"{folder}.cc"
    if not whole.exists() or whole.read_text() != includes:
        whole.write_text(includes)
    arguments = shlex.split(batches[0]["command"])
    arguments[arguments.index(batches[0]["file"])] = str(whole)
    return {"directory": batches[0]["directory"], "file": str(whole),
            "command": shlex.join(arguments)}


def check(source: pathlib.Path, tidy: pathlib.Path) -> str:
    stamp = tidy / (source.name + ".stamp")
    wanted = content_hash(source)
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    done = subprocess.run(["clang-tidy-19", "--quiet", f"--config-file={ROOT / '.clang-tidy'}", "-p",
                           tidy, source], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return done.stdout or done.stderr
    stamp.write_text(wanted)
    return ""


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    tidy = build / "tidy"
    tidy.mkdir(exist_ok=True)
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = []
    for folder in FOLDERS:
        in_build = [command for command in commands
                    if pathlib.Path(command["file"]).is_relative_to(build / folder)]
        if not in_build:
            print(f"no sources found in {folder}")
            return 1
        sources.append(as_one(folder, tidy, in_build))
        sources += [command for command in commands
                    if pathlib.Path(command["file"]).is_relative_to(ROOT / folder)]
    (tidy / "compile_commands.json").write_text(json.dumps(sources, indent=1))
    paths = [pathlib.Path(source["file"]) for source in sources]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for text in pool.map(lambda path: check(path, tidy), paths) if text]
    print("\n".join(findings) if findings else f"tidy: {len(FOLDERS)} folders clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
