"""The load generator: wrk, with everything it measured as numbers."""
import dataclasses
import functools
import json
import pathlib
import subprocess
import time

import upstream

SECONDS_MAX = 60
SCRIPT = pathlib.Path(__file__).parent / "load.lua"


@dataclasses.dataclass(frozen=True)
class Measured:
    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int = 0


@functools.cache
def token() -> str:
    return upstream.token(int(time.time()) + 86_400)


def run(origin: str, call: upstream.Call, connections: int, seconds: float) -> Measured:
    """One call at a time on each of `connections`. Every answer must be a whole 2xx. Where an answer is
    so large that none is whole in that time, for longer."""
    summary = _summary(origin, call, connections, seconds)
    while not summary["requests"] and summary["bytes"] and seconds < SECONDS_MAX:
        seconds *= 2
        summary = _summary(origin, call, connections, seconds)
    failed = summary["bad_status"] + summary["broken"] + summary["timeouts"]
    if failed or not summary["requests"]:
        raise RuntimeError(f"{origin} failed {failed} of {summary['requests']} calls: {summary}")
    if summary["bytes"] < summary["requests"] * call.answer_bytes:
        raise RuntimeError(f"{origin} cut answers short: {summary}")
    return Measured(per_second=summary["requests"] / summary["duration_us"] * 1e6,
                    p50_ms=summary["p50_us"] / 1e3, p99_ms=summary["p99_us"] / 1e3,
                    answered=summary["requests"])


def _summary(origin: str, call: upstream.Call, connections: int, seconds: float) -> dict:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s",
         "-s", SCRIPT, origin, "--", token(), call.method, call.before, call.after,
         str(call.body_bytes)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or len(lines) != 1:
        raise RuntimeError("wrk: " + " | ".join(done.stdout.splitlines()[-5:]))
    return json.loads(lines[0])
