"""The audit log by itself: group commit of Holdfast's log against one row per commit by pgbench.

Holdfast's side does more a record: a hash checked by the database, a gap-free index, the writer's
lease and the open operations are all kept in the same statement.
"""
import json
import pathlib
import statistics
import subprocess

import holdfast
import load
import report

COMMIT_P99_MS_MAX = 10.0
IN_FLIGHT = 64
RECORD_BYTES = 1_400  # What an intent of the bench "guarded" has.
TABLE = """CREATE TABLE records (
  index bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation_id uuid NOT NULL, kind text NOT NULL, entry bytea NOT NULL)"""
INSERT = (r"\set id random(1, 1000000000)" "\n"
          "INSERT INTO records (operation_id, kind, entry) VALUES "
          f"(gen_random_uuid(), 'intent', convert_to(rpad(:id::text, {RECORD_BYTES}, 'x'), 'UTF8'));"
          "\n")


def run(bed, rounds: int, seconds: float) -> list[report.Row]:
    with bed.cluster() as cluster:
        holdfast.migrate(bed, cluster)
        cluster.sql("CREATE DATABASE pgbench", database="postgres")
        cluster.sql(TABLE, database="pgbench")
        script = bed.root / "insert.sql"
        script.write_text(INSERT)
        ours, theirs = [], []
        for number in range(rounds):
            cluster.sql("CHECKPOINT")
            ours.append(_holdfast(bed, cluster, seconds))
            cluster.sql("CHECKPOINT")
            theirs.append(_pgbench(bed.root, cluster, script, seconds))
            report.note(f"round {number + 1}: holdfast {ours[-1].per_second:,.0f} records/s, "
                        f"commit p99 {ours[-1].p99_ms:.1f} ms; pgbench "
                        f"{theirs[-1].per_second:,.0f}/s, p99 {theirs[-1].p99_ms:.1f} ms")
    row = report.compare("append", "records committed", IN_FLIGHT, "pgbench", ours, theirs)
    p99_ms = row.ours_p99_ms
    commit = report.Row("append", "intent commit p99", IN_FLIGHT, p99_ms, unit="ms",
                        ours_p99_ms=p99_ms, target=f"< {COMMIT_P99_MS_MAX:g} ms",
                        met=p99_ms < COMMIT_P99_MS_MAX)
    return [row, commit]


def _holdfast(bed, cluster, seconds: float) -> load.Measured:
    done = subprocess.run(
        [bed.build / "bench" / "append_bench", "--database", cluster.url("holdfast_proxy"), "--spool", bed.root / "spool",
         "--in-flight", str(IN_FLIGHT), "--seconds", str(seconds),
         "--record-bytes", str(RECORD_BYTES)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("append_bench: " + done.stderr.strip()[-400:])
    found = json.loads(done.stdout)
    return load.Measured(found["records_per_second"], found["intent_p50_ms"],
                         found["intent_p99_ms"])


def _pgbench(root: pathlib.Path, cluster, script: pathlib.Path, seconds: float) -> load.Measured:
    logs = root / "pgbench"
    done = subprocess.run(
        ["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={IN_FLIGHT}", "--jobs=2",
         f"--time={max(1, round(seconds))}", "--log", "--sampling-rate=0.25",
         f"--log-prefix={logs}", f"--file={script}", cluster.url(database="pgbench")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("pgbench: " + done.stderr.strip()[-400:])
    rate = next(float(line.split()[2]) for line in done.stdout.splitlines()
                if line.startswith("tps = "))
    times_ms = []
    for log in root.glob(logs.name + ".*"):
        times_ms += [int(line.split()[2]) / 1e3 for line in log.read_text().splitlines()]
        log.unlink()
    cuts = statistics.quantiles(times_ms, n=100)
    return load.Measured(rate, cuts[49], cuts[98])
