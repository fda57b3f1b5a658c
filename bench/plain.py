"""Calls that are only passed on: Holdfast as a plain proxy beside plain proxies."""
import dataclasses

import haproxy
import holdfast
import load
import nginx
import report
import rounds
import upstream

WARM_UP_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    call: upstream.Call
    connections: int


CONNECTIONS = (1, 16, 64, 256)
TARGET_CASE = Case("204", upstream.READ, 64)
CASES = [
    *(Case("204", upstream.READ, connections) for connections in CONNECTIONS),
    *(Case("64 KiB JSON answer", upstream.READ_PAGE, connections) for connections in CONNECTIONS),
    Case("64 KiB attachment", upstream.READ_SMALL, 64),
    Case("64 KiB request", upstream.WRITE, 64),
    *(Case("8 MiB answer", upstream.READ_LARGE, connections) for connections in CONNECTIONS),
]


def pass_through(bed, count: int, seconds: float) -> list[report.Row]:
    with upstream.graph(bed.root / "graph") as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin) as (ours, _), \
         nginx.proxy(bed.root / "nginx", origin, holdfast.WORKERS) as by_nginx, \
         haproxy.proxy(bed.root / "haproxy", origin, holdfast.WORKERS) as by_haproxy:
        sides = {rounds.OURS: ours, "nginx": by_nginx, "haproxy": by_haproxy}
        targets = {"nginx": rounds.Target(ratio_min=0.80, p99_times_max=2)}
        return _run("pass_through", sides, targets, count, seconds)


def tls_in(bed, count: int, seconds: float) -> list[report.Row]:
    """Clients speak TLS."""
    certificate = nginx.make_certificate(bed.root)
    with upstream.graph(bed.root / "graph") as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin, certificate=certificate) as (ours, _), \
         nginx.proxy(bed.root / "nginx", origin, holdfast.WORKERS,
                     certificate=certificate) as by_nginx, \
         haproxy.proxy(bed.root / "haproxy", origin, holdfast.WORKERS,
                       certificate=certificate) as by_haproxy:
        sides = {rounds.OURS: ours, "nginx": by_nginx, "haproxy": by_haproxy}
        targets = {"nginx": rounds.Target(ratio_min=0.75)}
        return _run("tls_in", sides, targets, count, seconds)


def tls_out(bed, count: int, seconds: float) -> list[report.Row]:
    """The upstream speaks TLS, and all sides verify it."""
    certificate = nginx.make_certificate(bed.root)
    with upstream.graph(bed.root / "graph", certificate) as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin, trusted=certificate) as (ours, _), \
         nginx.proxy(bed.root / "nginx", origin, holdfast.WORKERS,
                     trusted=certificate) as by_nginx, \
         haproxy.proxy(bed.root / "haproxy", origin, holdfast.WORKERS,
                       trusted=certificate) as by_haproxy:
        sides = {rounds.OURS: ours, "nginx": by_nginx, "haproxy": by_haproxy}
        return _run("tls_out", sides, {}, count, seconds)


def _run(bench: str, origins: dict[str, str], targets: dict, count: int,
         seconds: float) -> list[report.Row]:
    for origin in origins.values():
        load.run(origin, upstream.READ, 64, WARM_UP_SECONDS)
    rows = []
    for case in CASES:
        sides = {name: lambda origin=origin: load.run(origin, case.call, case.connections, seconds)
                 for name, origin in origins.items()}
        measured = rounds.measure(case.name, case.connections, sides, count)
        rows += rounds.compare(bench, case.name, case.connections, measured,
                               targets if case == TARGET_CASE else None)
    return rows
