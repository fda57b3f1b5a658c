"""The load generator: wrk, with everything it measured as numbers."""
import dataclasses
import json
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).parent / "load.lua"


@dataclasses.dataclass(frozen=True)
class Measured:
    per_second: float
    p50_ms: float
    p99_ms: float


def run(origin: str, token: str, mailbox: str, connections: int, seconds: float) -> Measured:
    """Guarded calls over `connections`, one at a time on each. Every answer must be a 2xx."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s",
         "-s", SCRIPT, origin, "--", token, mailbox],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or len(lines) != 1:
        raise RuntimeError("wrk: " + " | ".join(done.stdout.splitlines()[-5:]))
    summary = json.loads(lines[0])
    failed = summary["bad_status"] + summary["broken"] + summary["timeouts"]
    if failed or not summary["requests"]:
        raise RuntimeError(f"{origin} failed {failed} of {summary['requests']} calls: {lines[0]}")
    return Measured(per_second=summary["requests"] / summary["duration_us"] * 1e6,
                    p50_ms=summary["p50_us"] / 1e3, p99_ms=summary["p99_us"] / 1e3)
