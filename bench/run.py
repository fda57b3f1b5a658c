#!/usr/bin/env python3
"""Measures Holdfast against other software, side by side in one run on one machine.

    python3 bench/run.py [NAME…] [--rounds N] [--seconds N] [--strict] [--save]

All sides get the same upstream, the same load and the same disk, and take turns, so that whatever
else the machine does disturbs all. What is printed are medians over the rounds; on a shared machine
look at the ratios, not at the rates. Without a name it takes about 45 minutes, most of it
turns of --seconds. Needs build/release and the packages of the group "bench": ./dev bench sees to
that.
"""
import argparse
import pathlib
import shutil
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "support"))

import append
import approved
import functions
import guarded
import holdfast
import memory
import plain
import postgres
import report
import save

BENCHES = {"pass_through": plain.pass_through, "tls_in": plain.tls_in, "tls_out": plain.tls_out,
           "guarded": guarded.run, "approved": approved.run,
           "append": append.run, "append_full": append.run_full, "memory": memory.run,
           "functions": functions.run}


class Bed:
    """Where one bench runs: a directory and, when it asks, a database cluster that keeps its word."""

    def __init__(self, root: pathlib.Path, build: pathlib.Path):
        self.root = root
        self.build = build  # Where holdfast and the bench programs are.

    @staticmethod
    def cluster(server_environment: dict[str, str] | None = None) -> postgres.Cluster:
        # What a small production server would have; checkpoints stay out of the rounds.
        return postgres.Cluster(durable=True, settings={
            "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min",
            "max_connections": "200"}, server_environment=server_environment)


def measure(name: str, arguments: argparse.Namespace) -> list[report.Row]:
    report.note(f"bench {name}")
    root = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    try:
        return BENCHES[name](Bed(root, arguments.build.resolve()), arguments.rounds,
                             arguments.seconds)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"any of {', '.join(BENCHES)}; all without one")
    parser.add_argument("--rounds", type=int, default=3, help="of each side, in turns")
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--build", type=pathlib.Path, default=holdfast.ROOT / "build" / "release")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--save", action="store_true", help="write tables and plots to docs/bench")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHES))
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, failed = [], []
    for name in arguments.names or BENCHES:
        try:
            rows += measure(name, arguments)
        except Exception as problem:  # What the others measure in an hour is not lost for it.
            report.note(f"bench {name} failed: {problem}")
            failed.append(name)
    report.show(rows)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}" +
                           ("; nothing is saved" if arguments.save else ""))
    if arguments.save:
        save.write(rows)
    return 1 if arguments.strict and any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        print(f"bench: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
