"""The audit log by itself: group commit through the real function against one row per commit.

pgbench inserts rows of the same content, each in a commit of its own, into a plain table with the
columns and indexes of the log and the search table together: what an application writes that wants
its records searchable. Holdfast's side does more a record: a hash checked by the database, a gap-free
index, the writer's lease and the open operations are all kept in the same statement.
"""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess

import follow
import holdfast
import load
import report

IN_FLIGHT = 64
SLOW_FSYNC_US = 2_000
FULL_RECORDS = 5_000_000
BURST_SECONDS_MIN = 10
SUSTAINED_SECONDS_MIN = 60
PACED_CALLS_PER_SECOND = 1_000
BURST_RATIO_MIN = 7.0
SLOW_RATIO_MIN = 3.0
SUSTAINED_RATIO_MIN = 2.5
FULL_RATIO_MIN = 0.9
COMMIT_P99_MS_MAX = 5.0
BEHIND_SECONDS_MAX = 1.0

TABLE = """
CREATE TABLE records (LIKE holdfast.record_search INCLUDING DEFAULTS INCLUDING INDEXES,
                      entry bytea NOT NULL, leaf_hash bytea NOT NULL, role text NOT NULL);
CREATE SEQUENCE record_index;
"""
# As bench/sample_record.h has it: one of a thousand mailboxes, {bytes} bytes an entry.
INSERT = r"""\set mailbox random(1, 1000)
\set unique random(1, 1000000000000)
INSERT INTO records SELECT nextval('record_index'), id, 'intent', now(), id, id::text, id::text,
  '127.0.0.1', ARRAY[person, 'adele@contoso.com'], ARRAY['mailbox' || :mailbox, person,
  'adele@contoso.com', 'adele.vance@contoso.com'], 'permanentDelete', 'message', id::text, 'allow',
  NULL, ARRAY['bench'], concat_ws(E'\n', '/v1.0/users/' || person || '/messages/' || id ||
  '/permanentDelete', 'bench', person, 'adele@contoso.com', 'mailbox' || :mailbox,
  'adele.vance@contoso.com', id::text), false, entry, sha256(entry), 'proxy'
FROM (SELECT gen_random_uuid() AS id, '6f1d7a52-0000-4000-8000-00000000be02' AS person,
             convert_to(rpad(:unique::text, {bytes}, 'x'), 'UTF8') AS entry) AS one;
"""

def run(bed, rounds: int, seconds: float) -> list[report.Row]:
    rows = []
    burst = max(seconds, BURST_SECONDS_MIN)
    with bed.cluster() as cluster:
        bench = _Bench(bed, cluster)
        ours, theirs = bench.compare("burst", rounds, burst)
        rows.append(_row("burst", ours, theirs, BURST_RATIO_MIN))
        _write_back(cluster)
        rows += bench.follow(report.median(ours, "per_second"), report.median(theirs, "per_second"),
                             max(seconds, SUSTAINED_SECONDS_MIN))
        _write_back(cluster)
        paced = [bench.holdfast(burst, calls_per_second=PACED_CALLS_PER_SECOND)
                 for _ in range(rounds)]
        p99_ms = report.median(paced, "p99_ms")
        rows.append(report.Row(
            "append", f"intent commit at {PACED_CALLS_PER_SECOND:,} calls/s, p99", IN_FLIGHT,
            p99_ms, unit="ms", ours_p99_ms=p99_ms, target=f"< {COMMIT_P99_MS_MAX:g} ms",
            met=p99_ms < COMMIT_P99_MS_MAX))
    shim = bed.build / "bench" / "libslow_fsync.so"
    with bed.cluster({"LD_PRELOAD": str(shim), "SLOW_FSYNC_US": str(SLOW_FSYNC_US)}) as cluster:
        ours, theirs = _Bench(bed, cluster).compare("fsync 2 ms slower", rounds, burst)
        rows.append(_row("burst, fsync 2 ms slower", ours, theirs, SLOW_RATIO_MIN))
    return rows


def run_full(bed, rounds: int, seconds: float) -> list[report.Row]:
    """With five million records in the log, as fast as with none."""
    seconds = max(seconds, BURST_SECONDS_MIN)
    with bed.cluster() as filled, bed.cluster() as empty:
        bench = _Bench(bed, filled)
        while (size := int(filled.sql("SELECT next_index FROM holdfast.log_head"))) < FULL_RECORDS:
            report.note(f"filling: {size:,} of {FULL_RECORDS:,} records")
            filled.sql("SELECT holdfast.ensure_partitions()", user="holdfast_audit")
            bench.holdfast(seconds)
        filled.sql("VACUUM ANALYZE")  # Nor is what the filling left to be vacuumed.
        sides = {"full": bench, "none": _Bench(bed, empty)}
        measured = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                _write_back(filled, empty)
                measured[name].append(side.holdfast(seconds))
                report.note(f"{name}: {measured[name][-1].per_second:,.0f} records/s")
    ratio = report.median(measured["full"], "per_second") / \
        report.median(measured["none"], "per_second")
    return [report.Row("append_full", f"rate after {FULL_RECORDS:,} records, of that after none",
                       IN_FLIGHT, ratio, unit="times",
                       ours_p99_ms=report.median(measured["full"], "p99_ms"),
                       target=f">= {FULL_RATIO_MIN:g}", met=ratio >= FULL_RATIO_MIN)]


def _write_back(*clusters) -> None:
    """What a turn leaves to be written is no cost of the records after it."""
    for cluster in clusters:
        cluster.sql("CHECKPOINT")
    os.sync()


def _row(case: str, ours: list, theirs: list, ratio_min: float) -> report.Row:
    row = report.compare("append", case, IN_FLIGHT, "pgbench", ours, theirs)
    return dataclasses.replace(row, target=f">= {ratio_min:g}", met=row.ratio >= ratio_min)


class _Bench:
    """One cluster with Holdfast's tables and pgbench's in it."""

    def __init__(self, bed, cluster):
        self._bed = bed
        self._cluster = cluster
        holdfast.migrate(bed, cluster)
        cluster.sql(TABLE)

    def compare(self, what: str, rounds: int, seconds: float) -> tuple[list, list]:
        ours, theirs = [], []
        for number in range(rounds):
            self._cluster.sql("CHECKPOINT")
            ours.append(self.holdfast(seconds))
            if number == 0:
                self._write_script()
            self._cluster.sql("CHECKPOINT")
            theirs.append(self._pgbench(seconds))
            report.note(f"{what}, round {number + 1}: holdfast {ours[-1].per_second:,.0f} "
                        f"records/s, commit p99 {ours[-1].p99_ms:.1f} ms; pgbench "
                        f"{theirs[-1].per_second:,.0f}/s, p99 {theirs[-1].p99_ms:.1f} ms")
        return ours, theirs

    def follow(self, burst_rate: float, their_rate: float, seconds: float) -> list[report.Row]:
        """The officers' service takes in what the bursts have left; then, at the rate that is asked for, it
        derives and signs beside it."""
        with follow.service(self._bed, self._cluster) as watch:
            tree_rate = watch.wait_until_current()
            calls = SUSTAINED_RATIO_MIN * their_rate / 2 * 1.02  # Two records each, and some slack.
            watch.begin()
            measured = self.holdfast(seconds, calls_per_second=calls)
            behind, unindexed = watch.end()
        report.note(f"sustained: {measured.per_second:,.0f} records/s; behind at most: "
                    f"{', '.join(f'{name} {value:.2f} s' for name, value in behind.items())}; "
                    f"not indexed at most: {unindexed:,.0f}")
        peer = load.Measured(their_rate, 0, 0)
        rows = [dataclasses.replace(_row("sustained", [measured], [peer], SUSTAINED_RATIO_MIN),
                                    theirs_p99_ms=None)]
        rows.append(report.Row("append", "tree, of what the bursts left", IN_FLIGHT, tree_rate,
                               target=">= burst", met=tree_rate >= burst_rate))
        return rows + [
            report.Row("append", f"sustained, {name} behind", IN_FLIGHT, value, unit="s",
                       target=f"< {BEHIND_SECONDS_MAX:g} s", met=value < BEHIND_SECONDS_MAX)
            for name, value in behind.items()] + [
            report.Row("append", "sustained, records not indexed", IN_FLIGHT, unindexed,
                       unit="records")]

    def holdfast(self, seconds: float, calls_per_second: float | None = None) -> load.Measured:
        paced = ["--calls-per-second", str(calls_per_second)] if calls_per_second else []
        done = subprocess.run(
            [self._bed.build / "bench" / "append_bench", "--database",
             self._cluster.url("holdfast_proxy"), "--spool", self._bed.root / "spool",
             "--in-flight", str(IN_FLIGHT), "--seconds", str(seconds), *paced],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("append_bench: " + done.stderr.strip()[-400:])
        found = json.loads(done.stdout)
        return load.Measured(found["records_per_second"], found["intent_p50_ms"],
                             found["intent_p99_ms"])

    def _write_script(self) -> None:
        size = self._cluster.sql("SELECT avg(octet_length(entry))::int FROM "
                                 "(SELECT entry FROM holdfast.log LIMIT 10000) AS first")
        (self._bed.root / "insert.sql").write_text(INSERT.replace("{bytes}", size))

    def _pgbench(self, seconds: float) -> load.Measured:
        logs = self._bed.root / "pgbench"
        done = subprocess.run(
            ["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={IN_FLIGHT}", "--jobs=2",
             f"--time={max(1, round(seconds))}", "--log", "--sampling-rate=0.25",
             f"--log-prefix={logs}", f"--file={self._bed.root / 'insert.sql'}",
             self._cluster.url()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("pgbench: " + done.stderr.strip()[-400:])
        rate = next(float(line.split()[2]) for line in done.stdout.splitlines()
                    if line.startswith("tps = "))
        times_ms = []
        for log in self._bed.root.glob(logs.name + ".*"):
            times_ms += [int(line.split()[2]) / 1e3 for line in log.read_text().splitlines()]
            log.unlink()
        cuts = statistics.quantiles(times_ms, n=100)
        return load.Measured(rate, cuts[49], cuts[98])
