"""Guarded calls, both records durable: the work that Holdfast exists for."""
import collections
import re
import statistics
import urllib.request

import gateways
import holdfast
import load
import nginx
import report
import rounds
import upstream

CASE = "both records durable"
CONNECTIONS = (1, 16, 64, 256)
TARGET_CONNECTIONS = 64
TARGETS = {
    "fastify-pg": rounds.Target(ratio_min=5),
    "mitmproxy": rounds.Target(ratio_min=20),
    "nginx": rounds.Target(ratio_min=0.30),  # Which only passes them on, and records nothing.
}
WARM_UP_SECONDS = 2
COMMIT_P99_MS_MAX = 10


def run(bed, count: int, seconds: float) -> list[report.Row]:
    with upstream.graph(bed.root / "graph") as origin, \
         bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin) as (ours, _), \
         gateways.fastify_pg(bed, cluster, origin) as by_fastify, \
         gateways.mitmproxy(bed, cluster, origin) as by_mitmproxy, \
         nginx.proxy(bed.root / "nginx", origin, holdfast.WORKERS) as by_nginx:
        origins = {rounds.OURS: ours, "fastify-pg": by_fastify, "mitmproxy": by_mitmproxy,
                   "nginx": by_nginx}

        answered = collections.Counter()
        commits = []  # What each turn of ours at TARGET_CONNECTIONS added to the buckets.

        def measure(address: str, connections: int, length: float) -> load.Measured:
            cluster.sql("CHECKPOINT")  # So that nobody pays for the other's writes.
            counted = address == ours and connections == TARGET_CONNECTIONS
            before = _commit_buckets(ours) if counted else {}
            measured = load.run(address, upstream.GUARDED, connections, length)
            answered[address] += measured.answered
            if counted:
                commits.append({bound: number - before[bound]
                                for bound, number in _commit_buckets(ours).items()})
            return measured
        for address in origins.values():
            measure(address, TARGET_CONNECTIONS, WARM_UP_SECONDS)
        commits.clear()
        rows = []
        for connections in CONNECTIONS:
            at_target = connections == TARGET_CONNECTIONS
            sides = {name: lambda address=address: measure(address, connections, seconds)
                     for name, address in origins.items()}
            measured = rounds.measure(CASE, connections, sides, count)
            rows += rounds.compare("guarded", CASE, connections, measured,
                                   TARGETS if at_target else None)
        _check_records(cluster, {name: answered[address] for name, address in origins.items()})
        p99 = statistics.median(_p99_ms(buckets) for buckets in commits)
        return rows + [report.Row("guarded", "intent commit, p99", TARGET_CONNECTIONS, p99, unit="ms",
                                  target=f"< {COMMIT_P99_MS_MAX} ms", met=p99 < COMMIT_P99_MS_MAX)]


def _commit_buckets(address: str) -> dict[float, float]:
    """How many intents took at most so many seconds to be durable, by that bound."""
    with urllib.request.urlopen(address + "/holdfast/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(r'^holdfast_intent_commit_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.M)
    return {float(bound): float(number) for bound, number in found}


def _p99_ms(buckets: dict[float, float]) -> float:
    """Between two bounds, as Prometheus' histogram_quantile() has it."""
    wanted = 0.99 * max(buckets.values())
    below, fewer = 0.0, 0.0
    for bound, number in sorted(buckets.items()):
        if number >= wanted:
            return 1000 * (below + (bound - below) * (wanted - fewer) / (number - fewer))
        below, fewer = bound, number
    raise AssertionError("the last bucket holds all")


def _check_records(cluster, answered: dict[str, int]) -> None:
    """A side that does not record what it answered has not done the work."""
    counts = "SELECT kind, count(*), avg(octet_length(entry{0}))::int FROM {1} GROUP BY 1 ORDER BY 1"
    for name, sql, database in (
            ("holdfast", counts.format("", "holdfast.log"), "holdfast"),
            ("fastify-pg", counts.format("::text", "records"), "fastify_pg"),
            ("mitmproxy", counts.format("::text", "records"), "mitmproxy")):
        found = {}
        for line in cluster.sql(sql, database=database).splitlines():
            kind, number, size = line.split("|")
            found[kind] = int(number)
            report.note(f"{name}: {int(number):,} {kind} records of {int(size):,} bytes")
        intents, outcomes = found.get("intent", 0), found.get("outcome", 0)
        # A peer may forget a call whose client left when a turn ended. Holdfast does not: it lacks at
        # most the outcomes of what is in flight now.
        forgotten = name == rounds.OURS and abs(intents - outcomes) > max(CONNECTIONS)
        if min(intents, outcomes) < answered[name] or forgotten:
            raise RuntimeError(f"{name} answered {answered[name]} calls and recorded {found}")
