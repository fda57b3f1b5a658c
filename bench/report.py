"""What a bench found: a table for people, JSON lines for machines."""
import dataclasses
import json
import statistics
import sys


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison, or one measured value when there is no peer."""
    bench: str
    case: str
    connections: int
    ours: float
    peer: str | None = None
    theirs: float | None = None
    ours_p99_ms: float | None = None
    theirs_p99_ms: float | None = None
    unit: str = "/s"
    # What must hold, in words, and whether it does; not compared when a machine is too busy to say.
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None


def median(measured: list, what: str) -> float:
    """Over rounds of load.Measured, so that one disturbed round decides nothing."""
    return statistics.median(getattr(one, what) for one in measured)


def compare(bench: str, case: str, connections: int, peer: str, ours: list, theirs: list) -> Row:
    return Row(bench, case, connections, median(ours, "per_second"), peer,
               median(theirs, "per_second"), median(ours, "p99_ms"), median(theirs, "p99_ms"))


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def as_json(row: Row) -> dict:
    return {
        "bench": row.bench, "case": row.case, "connections": row.connections,
        "ours": _rounded(row.ours), "peer": row.peer, "theirs": _rounded(row.theirs),
        "ratio": _rounded(row.ratio), "ours_p99_ms": _rounded(row.ours_p99_ms),
        "theirs_p99_ms": _rounded(row.theirs_p99_ms)}


def table(rows: list[Row]) -> list[list[str]]:
    """Lines of cells, the first of them the heads."""
    lines = [["bench", "case", "conns", "ours", "peer", "theirs", "ratio", "p99 ms", "their p99",
              "target"]]
    for row in rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row.met]
        lines.append([
            row.bench, row.case, str(row.connections), f"{_number(row.ours)} {row.unit}",
            row.peer or "-", f"{_number(row.theirs)} {row.unit}" if row.peer else "-",
            _number(row.ratio, 2), _number(row.ours_p99_ms, 2), _number(row.theirs_p99_ms, 2),
            f"{row.target} {verdict}".strip()])
    return lines


def show(rows: list[Row]) -> None:
    lines = table(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for row in rows:
        print(json.dumps(as_json(row)))
    sys.stdout.flush()


def note(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"  {text}", file=sys.stderr, flush=True)
