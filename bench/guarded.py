"""Guarded calls, both records durable: the work that Holdfast exists for."""
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
    "fastify-pg": rounds.Target(ratio_min=3),
    "mitmproxy": rounds.Target(ratio_min=20),
    "nginx": rounds.Target(ratio_min=0.30),  # Which only passes them on, and records nothing.
}
WARM_UP_SECONDS = 2


def run(bed, count: int, seconds: float) -> list[report.Row]:
    with upstream.graph(bed.root / "graph") as origin, \
         bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin) as (ours, _), \
         gateways.fastify_pg(bed, cluster, origin) as by_fastify, \
         gateways.mitmproxy(bed, cluster, origin) as by_mitmproxy, \
         nginx.proxy(bed.root / "nginx", origin, holdfast.WORKERS) as by_nginx:
        origins = {rounds.OURS: ours, "fastify-pg": by_fastify, "mitmproxy": by_mitmproxy,
                   "nginx": by_nginx}

        def measure(address: str, connections: int, length: float) -> load.Measured:
            cluster.sql("CHECKPOINT")  # So that nobody pays for the other's writes.
            return load.run(address, upstream.GUARDED, connections, length)
        for address in origins.values():
            measure(address, TARGET_CONNECTIONS, WARM_UP_SECONDS)
        rows = []
        for connections in CONNECTIONS:
            at_target = connections == TARGET_CONNECTIONS
            sides = {name: lambda address=address: measure(address, connections, seconds)
                     for name, address in origins.items() if at_target or name != "mitmproxy"}
            measured = rounds.measure(CASE, connections, sides, count)
            rows += rounds.compare("guarded", CASE, connections, measured,
                                   TARGETS if at_target else None)
        _check_records(cluster)
        return rows


def _check_records(cluster) -> None:
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
        missing = abs(found.get("intent", 0) - found.get("outcome", 0))
        # Calls in flight when the load stopped may lack their outcome still.
        if not found.get("intent") or missing > max(CONNECTIONS):
            raise RuntimeError(f"{name} did not record every call: {found}")
