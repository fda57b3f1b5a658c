#!/usr/bin/env python3
"""Checks that clang-format would change nothing. Prints its complaints; exits 1 if there are any."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("base", "http", "config", "graph", "identity", "audit", "approval", "proxy", "officers",
           "cli", "tests", "bench")


def main() -> int:
    files = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
                   if path.suffix in (".h", ".cc") and "node_modules" not in path.parts)
    if not files:
        print("no sources found")
        return 1
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=ROOT,
                          capture_output=True, text=True)
    print(done.stderr or f"format: {len(files)} files clean")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
