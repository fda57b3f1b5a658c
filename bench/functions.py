"""The pure functions under every call, each by itself on one thread, and verifying a copy of a log,
on two: Google Benchmark's programs."""
import json
import subprocess

import report

PROGRAMS = ("classify", "decide", "links", "record", "verify")
REPETITIONS_MIN = 2  # For there to be a median in what they print.
# A second: decisions by a thousand rules and lists of a hundred thousand entries, on one core; records that
# are verified, on two.
AT_LEAST = {"decide_large": 200_000, "verify_offline/2/process_time/real_time": 200_000}


def run(bed, count: int, seconds: float) -> list[report.Row]:
    rows = []
    for name in PROGRAMS:
        done = subprocess.run(
            [bed.build / "bench" / f"{name}_bench", "--benchmark_format=json",
             f"--benchmark_repetitions={max(count, REPETITIONS_MIN)}", "--benchmark_report_aggregates_only=true",
             "--benchmark_min_time=0.1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name}_bench: " + done.stderr.strip()[-400:])
        for found in json.loads(done.stdout)["benchmarks"]:
            if found.get("aggregate_name") == "median":
                rows.append(_row(found["run_name"], found["items_per_second"]))
    return rows


def _row(name: str, rate: float) -> report.Row:
    least = AT_LEAST.get(name)
    if least is None:
        return report.Row("functions", name, 0, rate)
    return report.Row("functions", name, 0, rate, target=f">= {least:,}", met=rate >= least)
