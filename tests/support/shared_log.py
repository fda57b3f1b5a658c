#!/usr/bin/env python3
"""One log that many tests look at, each a process of its own: a CTest fixture.

    shared_log.py start STATE    writes a log with a whole stack, leaves the stack up, describes it in
                                 the file STATE
    shared_log.py stop STATE     ends it

What start leaves behind ends by itself when whoever called it (ctest) is gone. Its database is
there twice: `holdfast`, which the audit service serves, and `pristine`, the template that tests
make databases of their own from.

    log = SharedLog.load()       in a test: see the class
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid

from postgres import PSQL
from stack import LOG_ORIGIN, Stack

STATE = "SHARED_LOG"  # The environment variable that names the file.
START_SECONDS_MAX = 100
CALLS = 300
DESTROY = "/v1.0/me/messages/{}/permanentDelete"
HEAD = "SELECT next_index FROM holdfast.log_head"
SIGNED = "SELECT coalesce(max(size), 0) FROM holdfast.tree_checkpoints"
DERIVED = "SELECT derived FROM holdfast.search_state"


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def psql(url, text):
    done = subprocess.run([PSQL, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError("psql: " + done.stderr.strip())
    return done.stdout.rstrip("\n")


class SharedLog:
    """binary, folder, port (of PostgreSQL), verifier_key, audit_url, ca_file, token_file and config_file
    are those of the stack; `old` is a checkpoint over fewer records, `newest` the one over all of
    `pristine`, both as files; size is how many that holds."""

    def __init__(self, state):
        self.__dict__.update(state)

    @classmethod
    def load(cls):
        return cls(json.loads(pathlib.Path(os.environ[STATE]).read_text()))

    def url(self, database, user="postgres"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def sql(self, database, text):
        return psql(self.url(database), text)

    def sql_as(self, database, user, text):
        return psql(self.url(database, user), text)

    def session(self, database):
        """A psql whose standard input is a pipe, for what one session holds."""
        return subprocess.Popen([PSQL, "-XqAt", "-d", self.url(database)], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    def command(self, *arguments):
        return [self.binary, *arguments, "--config", self.config_file]

    def run(self, *arguments, configured=True, cwd=None, timeout=None):
        command = self.command(*arguments) if configured else [self.binary, *arguments]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("HOLDFAST_")}
        done = subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, cwd=cwd,
                              timeout=timeout)
        return done.returncode, done.stdout, done.stderr


class Database:
    """A copy of the template, of one test."""

    def __init__(self, log, template="pristine"):
        self.log, self.name = log, "log_" + uuid.uuid4().hex
        self.partition_records = None  # As the migrations make them.
        # One at a time: nobody may be connected to a template.
        log.sql("postgres", f"SELECT pg_advisory_lock(4); CREATE DATABASE {self.name} "
                            f"TEMPLATE {template}".replace("; ", ";\n"))

    def sql(self, text):
        return self.log.sql(self.name, text)

    def drop(self):
        self.log.sql("postgres", f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def settings(self):
        """Without the checkpoint that the stack's own audit service has seen, which is newer."""
        return ["--set", f"audit.database.url={self.log.url(self.name, 'holdfast_audit')}",
                "--set", f"audit.log.checkpoint_file={self.log.folder}/{self.name}",
                *self.layout()]

    def layout(self):
        if self.partition_records is None:
            return []
        return ["--set", f"audit.log.partition_records={self.partition_records}"]

    def verify(self, *arguments):
        return self.log.run("verify", *self.settings(), *arguments)


def write_log(stack, folder):
    """Calls, and checkpoints over some and over all of their records; the copies of these."""
    cluster = stack.cluster
    kept = {}
    for name, calls in (("old", CALLS // 3), ("newest", CALLS - CALLS // 3)):
        for number in range(calls):
            stack.request("POST", DESTROY.format(f"{name}{number}"), stack.requester)
        wait_until(lambda: cluster.sql(HEAD) == cluster.sql(SIGNED) == cluster.sql(DERIVED),
                   "everything signed and derived")
        kept[name] = str(folder / f"checkpoint-{name}")
        note = cluster.sql("SELECT encode(convert_to(note, 'UTF8'), 'hex') FROM "
                           "holdfast.tree_checkpoints ORDER BY ordinal DESC LIMIT 1")
        pathlib.Path(kept[name]).write_bytes(bytes.fromhex(note))
    return kept


def hold(path, watched):
    stack = Stack()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stack.start()
        kept = write_log(stack, stack.folder)
        stack.proxy.stop()
        stack.audit.stop()
        size = int(stack.cluster.sql(HEAD))
        stack.cluster.sql("CREATE DATABASE pristine TEMPLATE holdfast", database="postgres")
        stack.audit.start().wait_ready()
        state = {"pid": os.getpid(), "binary": str(stack.binary), "folder": str(stack.folder),
                 "port": stack.cluster.port, "data": str(stack.cluster.data),
                 "verifier_key": stack.verifier_key, "origin": LOG_ORIGIN,
                 "audit_url": stack.audit_url, "ca_file": str(stack.ca_file),
                 "token_file": str(stack.folder / "auditor.token"),
                 "config_file": str(stack.config_file), "size": size, **kept}
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(state))
        draft.rename(path)
        while pathlib.Path(f"/proc/{watched}").exists():
            time.sleep(0.2)
    finally:
        path.unlink(missing_ok=True)
        stack.stop()


def start(path):
    path.unlink(missing_ok=True)
    output = tempfile.TemporaryFile()
    holder = subprocess.Popen([sys.executable, "-B", __file__, "hold", str(path), str(os.getppid())],
                              stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              start_new_session=True)
    deadline = time.monotonic() + START_SECONDS_MAX
    while not path.exists():
        if holder.poll() is not None or time.monotonic() > deadline:
            holder.terminate()
            output.seek(0)
            sys.exit("the shared log does not start:\n" + output.read().decode()[-4000:])
        time.sleep(0.05)


def stop(path):
    if not path.exists():
        return
    pid = json.loads(path.read_text())["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the shared log's end")


def main():
    what, path = sys.argv[1], pathlib.Path(sys.argv[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "hold":
        hold(path, int(sys.argv[3]))
    else:
        {"start": start, "stop": stop}[what](path)


if __name__ == "__main__":
    main()
