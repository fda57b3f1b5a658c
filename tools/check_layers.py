#!/usr/bin/env python3
"""Checks that includes go one way between folders and that some libraries stay in their adapters.

Prints one line per violation, as path:line: what; exits 1 if there is any.
"""
import pathlib
import re
import sys

# What each folder may include, besides itself.
FOUNDATION = {"base"}
EDGES = FOUNDATION | {"http", "config", "graph"}
ALLOWED = {
    "base": set(),
    "http": FOUNDATION,
    "config": FOUNDATION,
    "graph": FOUNDATION,
    "identity": EDGES,
    "audit": EDGES,
    "approval": EDGES | {"identity", "audit"},
    "proxy": EDGES | {"identity", "audit", "approval"},
    "officers": EDGES | {"identity", "audit", "approval"},
    "cli": EDGES | {"identity", "audit", "approval", "proxy", "officers"},
}
# Library -> the files that may include it. A name ends in what the file adapts.
ADAPTERS = {
    "cjose/": re.compile(r".*_cjose\.(cc|h)$"),
    "pistache/": re.compile(r".*_pistache\.(cc|h)$"),
    "pqxx/": re.compile(r".*_postgres\.(cc|h)$"),
    "libpq": re.compile(r".*_postgres\.(cc|h)$"),
    "openssl/": re.compile(r".*_(openssl|tls)\.(cc|h)$"),
    "boost/asio/ssl": re.compile(r".*_tls\.(cc|h)$"),
    "boost/beast": re.compile(r".*_beast\.(cc|h)$"),
    "yaml-cpp/": re.compile(r"config/yaml\.cc$"),
    "prometheus/": re.compile(r".*_prometheus\.(cc|h)$"),
    "spdlog/": re.compile(r"base/log\.cc$"),
    "date/": re.compile(r"approval/.*_tz\.cc$"),
    "CLI/": re.compile(r"cli/.*\.(cc|h)$"),
}
BEAST_FILES_MAX = 4
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    problems, beast_files = [], set()
    for folder in ALLOWED:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = match.group(2)
                other = target.split("/")[0]
                if match.group(1) == '"':
                    if "/" not in target or not (root / target).exists():
                        problems.append(f'{name}:{number}: write "folder/{target}"')
                    elif other != folder and other not in ALLOWED[folder]:
                        problems.append(f"{name}:{number}: {folder} must not include {other}")
                    continue
                for library, pattern in ADAPTERS.items():
                    if target.startswith(library) and not pattern.match(name):
                        problems.append(f"{name}:{number}: <{library}…> is not for this file")
                if target.startswith("boost/beast"):
                    beast_files.add(name)
    if len(beast_files) > BEAST_FILES_MAX:
        problems.append(f"{len(beast_files)} files include Beast, at most {BEAST_FILES_MAX} may: "
                        + ", ".join(sorted(beast_files)))
    print("\n".join(problems) if problems else "layers: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
