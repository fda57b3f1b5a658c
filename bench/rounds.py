"""Measuring sides in turns, so that whatever else the machine does disturbs all of them."""
import dataclasses
from collections.abc import Callable

import load
import report

OURS = "holdfast"


@dataclasses.dataclass(frozen=True)
class Target:
    """What a comparison with one peer must come to."""
    ratio_min: float
    p99_times_max: float | None = None


def measure(case: str, connections: int, sides: dict[str, Callable[[], load.Measured]],
            count: int) -> dict[str, list[load.Measured]]:
    """`count` rounds in which every side has a turn; another one begins each."""
    measured = {name: [] for name in sides}
    names = list(sides)
    for number in range(count):
        for name in names[number % len(names):] + names[:number % len(names)]:
            measured[name].append(sides[name]())
    report.note(f"{case}, {connections} connections: " + "; ".join(
        f"{name} {report.median(rounds, 'per_second'):,.0f}/s, p99 "
        f"{report.median(rounds, 'p99_ms'):.2f} ms" for name, rounds in measured.items()))
    return measured


def compare(bench: str, case: str, connections: int, measured: dict[str, list[load.Measured]],
            targets: dict[str, Target] | None = None) -> list[report.Row]:
    """A row for each side but ours; `targets` by peer."""
    rows = []
    for peer in measured:
        if peer == OURS:
            continue
        row = report.compare(bench, case, connections, peer, measured[OURS], measured[peer])
        target = (targets or {}).get(peer)
        if target:
            row = _judge(row, target)
        rows.append(row)
    return rows


def _judge(row: report.Row, target: Target) -> report.Row:
    text, met = f"ratio >= {target.ratio_min:g}", row.ratio >= target.ratio_min
    if target.p99_times_max:
        text += f", p99 <= {target.p99_times_max:g} times"
        met = met and row.ours_p99_ms <= target.p99_times_max * row.theirs_p99_ms
    return dataclasses.replace(row, target=text, met=met)
