"""How far search and checkpoints are behind the log while it is written."""
import bisect
import contextlib
import json
import pathlib
import subprocess
import time

import processes

SAMPLE_SECONDS = 0.1
NO_PROGRESS_SECONDS_MAX = 120
CONFIG = """
audit:
  listen: 127.0.0.1:{port}
  tokens_file: {root}/tokens.yaml
  database: {{ url: "{url}" }}
  log: {{ origin: bench.example/log, key_files: ["{root}/log.key"],
          checkpoint_file: {root}/checkpoint }}
logging:
  level: warning
"""
NO_OFFICER = {"tokens": [{"name": "nobody", "sha256": "0" * 64, "roles": ["auditor"]}]}
# The log's size, what search holds, what the newest checkpoint covers, and what search has indexed, at
# one moment; how much had been written to the WAL then, and how much of it was durable.
SAMPLE = """SELECT extract(epoch FROM clock_timestamp()), next_index,
  (SELECT derived FROM holdfast.search_state),
  (SELECT coalesce(max(size), 0) FROM holdfast.tree_checkpoints),
  (SELECT indexed FROM holdfast.search_index_state),
  pg_current_wal_insert_lsn() - '0/0', pg_current_wal_flush_lsn() - '0/0' FROM holdfast.log_head"""


@contextlib.contextmanager
def service(bed, cluster):
    """`holdfast audit` at work; yields what watches it."""
    root = bed.root / "audit"
    root.mkdir()
    (root / "tokens.yaml").write_text(json.dumps(NO_OFFICER))
    (root / "tokens.yaml").chmod(0o600)
    done = subprocess.run([bed.build / "holdfast", "keygen", root / "log.key", "--origin",
                           "bench.example/log"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("holdfast keygen: " + done.stderr.strip())
    config, log = root / "holdfast.yaml", root / "log"
    config.write_text(CONFIG.format(root=root, port=processes.free_port(),
                                    url=cluster.url("holdfast_audit")))
    with processes.running([bed.build / "holdfast", "audit", "--config", config], log) as process:
        yield Watch(cluster, process, log)


class Watch:
    def __init__(self, cluster, process, log: pathlib.Path):
        self._cluster = cluster
        self._process = process
        self._log = log
        self._sampler = None

    def wait_until_current(self) -> float:
        """What was written before is not what is measured; the records a second of it that the tree took
        in, while search took them in, too."""
        before, begun, rate = None, time.monotonic(), None
        while True:
            _, size, derived, signed, indexed, _, _ = self._cluster.sql(SAMPLE).split("|")
            if rate is None and signed == size:
                rate = int(size) / (time.monotonic() - begun)
            if size == derived == signed == indexed:
                return rate
            if before != (derived, signed, indexed):
                before = (derived, signed, indexed)
                deadline = time.monotonic() + NO_PROGRESS_SECONDS_MAX
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = " | ".join(self._log.read_text(errors="replace").splitlines()[-5:])
                raise RuntimeError(f"holdfast audit stays behind at {derived}, {signed}, {indexed} "
                                   f"of {size} records: {tail}")
            time.sleep(0.2)

    def begin(self) -> None:
        self._sampler = subprocess.Popen(
            ["psql", "-XqAt", "-d", self._cluster.url()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._sampler.stdin.write(f"{SAMPLE} \\watch {SAMPLE_SECONDS}\n")
        self._sampler.stdin.flush()

    def end(self) -> tuple[dict[str, float], float]:
        """The longest that a committed record was not yet in each, in seconds; and the most records that
        no index of search had."""
        self._sampler.terminate()
        lines = self._sampler.communicate()[0].splitlines()
        samples = [tuple(float(cell) for cell in line.split("|"))
                   for line in lines if line.count("|") == 6]
        if len(samples) < 10:
            raise RuntimeError("how far search and checkpoints are behind was not measured")
        behind = {name: _behind(samples, column)
                  for name, column in (("search", 2), ("checkpoint", 3))}
        return behind, max(sample[1] - sample[4] for sample in samples)


def _behind(samples: list[tuple], column: int) -> float:
    """A record missing at a sample was there, at the latest, when the log was first seen larger, and
    committed, as its writer is told, once what the WAL had then was durable."""
    sizes = [sample[1] for sample in samples]
    durable = [sample[6] for sample in samples]
    longest = 0.0
    for sample in samples:
        first = bisect.bisect_right(sizes, sample[column])
        if first < len(samples):
            committed = bisect.bisect_left(durable, samples[first][5])
            if committed < len(samples):
                longest = max(longest, sample[0] - samples[committed][0])
    return longest
