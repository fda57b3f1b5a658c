"""Writes down what a run found: docs/bench, with the machine, the versions and the command."""
import datetime
import json
import pathlib
import platform
import re
import shlex
import subprocess
import sys

import gateways
import haproxy
import holdfast
import nginx
import plot
import postgres
import report
import rounds

FOLDER = holdfast.ROOT / "docs" / "bench"
# Of each bench, the case that was measured with several numbers of connections.
CHARTS = {
    "pass_through": ("204", "Calls passed on"),
    "tls_in": ("204", "Calls passed on, clients speak TLS"),
    "tls_out": ("204", "Calls passed on, the upstream speaks TLS"),
    "guarded": ("both records durable", "Guarded calls, both records durable (nginx records nothing)"),
}
HEAD = """# Measurements

Made by `{command}` on {day}; `./dev bench` repeats them. Both sides of a comparison have the same
upstream (nginx on the same machine), the same load (wrk, one call at a time on each connection) and
the same disk, and take turns in one run; the figures are medians over the turns. Everything, the load
and the upstream too, shares the machine's processors: read the ratios, not the rates.

- **pass_through, tls_in, tls_out**: calls that are not guarded, against nginx and HAProxy as plain
  proxies, set up as a competent operator would (`bench/nginx.py`, `bench/haproxy.py`).
- **guarded**: calls that destroy something. Holdfast and the gateways written with Fastify and pg and
  with mitmproxy and psycopg2 (`bench/peers/`) each know the caller, decide, commit an intent before
  and an outcome after forwarding. nginx only passes the call on and records nothing.
- **approved**: calls that people approved shortly before, each claiming its approval in the statement that
  commits its intent, against calls that a rule plainly allows, at the same Holdfast.
- **append**: the log by itself, against rows that pgbench commits one by one.
- **memory**, **functions**: Holdfast alone.

## Machine and versions
{facts}
"""


def write(rows: list[report.Row]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = HEAD.format(command=_command(), day=datetime.date.today().isoformat(),
                       facts="\n".join(f"- {name}: {value}" for name, value in _facts()))
    for bench, (case, title) in CHARTS.items():
        found = [row for row in rows if row.bench == bench and row.case == case]
        if not found:
            continue
        text += f"\n## {title}\n"
        for kind, what, logarithmic in (("rate", "calls a second", bench == "guarded"),
                                        ("p99", "99th percentile in ms", True)):
            groups = _groups(found, kind)
            name = f"{bench}_{kind}.svg"
            (FOLDER / name).write_text(
                plot.bars(f"{title}: {what} by connections", groups, logarithmic))
            text += f"![{what}]({name})\n"
    text += "\n## All results\n" + _table(rows)
    (FOLDER / "README.md").write_text(text)
    (FOLDER / "results.jsonl").write_text(
        "".join(json.dumps(report.as_json(row)) + "\n" for row in rows))


def _groups(rows: list[report.Row], kind: str) -> dict[str, dict[str, float]]:
    groups = {}
    for row in rows:
        group = groups.setdefault(str(row.connections), {})
        group[rounds.OURS] = row.ours if kind == "rate" else row.ours_p99_ms
        group[row.peer] = row.theirs if kind == "rate" else row.theirs_p99_ms
    return groups


def _table(rows: list[report.Row]) -> str:
    head, *lines = report.table(rows)
    return "".join("| " + " | ".join(cells) + " |\n"
                   for cells in [head, ["---"] * len(head), *lines])


def _command() -> str:
    return " ".join(["./dev bench", *map(shlex.quote, sys.argv[1:])])


def _first_line(*command) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip().splitlines()[0]


def _facts() -> list[tuple[str, str]]:
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory_kb = int(re.search(r"\d+", pathlib.Path("/proc/meminfo").read_text()).group())
    processors = pathlib.Path("/proc/cpuinfo").read_text().count("\nprocessor") + 1
    fastify = json.loads((gateways.FASTIFY / "package-lock.json").read_text())["packages"]

    def package(name: str) -> str:
        return f"{name} {fastify['node_modules/' + name]['version']}"
    return [
        ("machine", f"{processors} × {cpu.group(1) if cpu else platform.machine()}, "
                    f"{memory_kb / 2**20:.0f} GiB, Linux {platform.release()}"),
        ("Holdfast", f"{_first_line('git', '-C', holdfast.ROOT, 'describe', '--always')}, "
                     f"{_first_line('g++', '--version')}, {holdfast.WORKERS} threads"),
        ("upstream and peer", _first_line(nginx.BINARY, "-v") + f", {holdfast.WORKERS} workers"),
        ("peer", _first_line(haproxy.BINARY, "-v") + f", {holdfast.WORKERS} threads"),
        ("peer", f"{package('fastify')}, {package('@fastify/http-proxy')}, {package('pg')}, node "
                 f"{_first_line('node', '--version')}, 2 processes"),
        ("peer", _first_line("mitmdump", "--version") + ", one process, as it comes"),
        ("database", _first_line(postgres.BINARIES / "postgres", "--version") + ", fsync on"),
        ("load", _first_line("wrk", "--version").split(" Copyright")[0] + ", one thread"),
    ]
