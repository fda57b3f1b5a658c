"""Guarded calls, both records durable: the work that Holdfast exists for."""
import dataclasses
import time

import load
import report
import sides
import upstream

RATIO_MIN = 3.0
CONNECTIONS = 64


def run(bed, rounds: int, seconds: float) -> list[report.Row]:
    token = upstream.token(int(time.time()) + 86_400)
    with upstream.graph(bed.root / "graph") as origin, \
         bed.cluster() as cluster, \
         sides.holdfast(bed, cluster, origin) as (our_port, _), \
         sides.fastify_pg(bed, cluster, origin) as (their_port, _):
        def measure(port: int, length: float) -> load.Measured:
            cluster.sql("CHECKPOINT")  # So that nobody pays for the other's writes.
            return load.run(f"http://127.0.0.1:{port}", token, upstream.USER_ID, CONNECTIONS,
                            length)
        measure(our_port, 2)
        measure(their_port, 2)
        ours, theirs = [], []
        for number in range(rounds):
            ours.append(measure(our_port, seconds))
            theirs.append(measure(their_port, seconds))
            report.note(f"round {number + 1}: holdfast {ours[-1].per_second:,.0f}/s, p99 "
                        f"{ours[-1].p99_ms:.1f} ms; fastify-pg {theirs[-1].per_second:,.0f}/s, "
                        f"p99 {theirs[-1].p99_ms:.1f} ms")
        _check_records(cluster)
    row = report.compare("guarded", "both records durable", CONNECTIONS, "fastify-pg", ours, theirs)
    return [dataclasses.replace(row, target=f"ratio >= {RATIO_MIN:g}",
                                met=row.ratio >= RATIO_MIN)]


def _check_records(cluster) -> None:
    """A side that does not record what it answered has not done the work."""
    counts = "SELECT kind, count(*), avg(octet_length(entry{0}))::int FROM {1} GROUP BY 1 ORDER BY 1"
    for name, sql, database in (
            ("holdfast", counts.format("", "holdfast.log"), "holdfast"),
            ("fastify-pg", counts.format("::text", "records"), "gateway")):
        found = {}
        for line in cluster.sql(sql, database=database).splitlines():
            kind, count, size = line.split("|")
            found[kind] = int(count)
            report.note(f"{name}: {int(count):,} {kind} records of {int(size):,} bytes")
        missing = abs(found.get("intent", 0) - found.get("outcome", 0))
        # Calls in flight when the load stopped may lack their outcome still.
        if not found.get("intent") or missing > CONNECTIONS:
            raise RuntimeError(f"{name} did not record every call: {found}")
