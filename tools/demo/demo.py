#!/usr/bin/env python3
"""Runs Holdfast beside a Graph simulator and a private database. `./dev demo` builds it first.

    demo.py check [OPTIONS]   whether it could start: exit status 0, 2 (no, and why), 3 (no need to)
    demo.py run [OPTIONS]     --once, --up, --down, or stays in the foreground until Ctrl-C

One supervising process owns all the others. In the foreground it is this one, for --up a child in
the background; when it ends, however it ends, everything it started ends too.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from service import StartError, die_with_parent  # noqa: E402
from stack import Stack  # noqa: E402

LOCAL = ROOT / ".local"
FOLDER = LOCAL / "demo"
STATE = LOCAL / "demo.json"
DEMO = ROOT / "tools" / "demo"
BINARY = ROOT / "build" / "release" / "holdfast"
STOP_SECONDS_MAX = 90
MAILBOX_KEYS = ("id", "messages", "events", "contacts", "tasks", "sent")


class Refused(Exception):
    """The demo cannot do what was asked; the text says why."""


def arguments():
    parser = argparse.ArgumentParser(prog="./dev demo", add_help=False)
    parser.add_argument("command", choices=["check", "run", "supervise"])
    mode = parser.add_mutually_exclusive_group()
    for name in ("--once", "--up", "--down"):
        mode.add_argument(name, action="store_true")
    parser.add_argument("--rules", metavar="FILE")
    parser.add_argument("--config", metavar="FILE")
    for name, port in (("proxy", 8443), ("audit", 8444), ("simulator", 9443)):
        default = os.environ.get(f"DEMO_{name.upper()}_PORT", port)
        parser.add_argument(f"--{name}-port", type=int, default=default, metavar="N")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def is_supervisor(pid):
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(DEMO / "demo.py").encode() in command and alive(pid)


def alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def running_state():
    """What .local/demo.json says of a demo that runs; None when none does."""
    try:
        state = json.loads(STATE.read_text())
        return state if is_supervisor(state["pids"]["supervisor"]) else None
    except (OSError, ValueError, KeyError):
        return None


def check_files(options):
    for flag, name in (("--rules", options.rules), ("--config", options.config)):
        if name is not None and not os.access(name, os.R_OK):
            raise Refused(f"{flag} {name}: no such file, or it cannot be read")


def check_ports(options):
    ports = {flag: getattr(options, f"{flag}_port") for flag in ("proxy", "audit", "simulator")}
    if len(set(ports.values())) < len(ports):
        raise Refused("the proxy, audit and simulator ports must differ")
    for flag, port in ports.items():
        if not 0 < port < 65536:
            raise Refused(f"--{flag}-port {port}: not a port")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as problem:
                raise Refused(f"port {port} ({flag}): {problem.strerror}; "
                              f"choose another with --{flag}-port N") from None


def check(options):
    if options.down:
        return stop_running()
    state = running_state()
    if state and options.up:
        print(f"already up: proxy {state['proxy_url']}, audit {state['audit_url']}, simulator "
              f"{state['simulator_url']} (./dev demo --down stops it)")
        return 3
    if state:
        raise Refused("a demo is running in this clone; ./dev demo --down stops it")
    check_files(options)
    check_ports(options)
    return 0


def stop_running():
    state = running_state()
    if state is None:
        print("nothing is up")
    else:
        pids = state["pids"].values()
        os.kill(state["pids"]["supervisor"], signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while any(alive(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise Refused(f"the demo (process {state['pids']['supervisor']}) does not stop")
            time.sleep(0.05)
        print("stopped")
    shutil.rmtree(FOLDER, ignore_errors=True)
    STATE.unlink(missing_ok=True)
    return 3


def copy_rules():
    """The demo's rules where they can be edited without touching the clone."""
    target = FOLDER / "rules"
    (target / "lists").mkdir(parents=True)
    shutil.copyfile(DEMO / "rules.yaml", target / "rules.yaml")
    for path in (DEMO / "lists").iterdir():
        shutil.copyfile(path, target / "lists" / path.name)
    return target / "rules.yaml"


class DemoStack(Stack):
    """With --config, the file's own settings stay but for what the demo must know itself."""

    def __init__(self, options):
        self.keeps_rules = False
        if options.config and not options.rules:
            text = pathlib.Path(options.config).read_text(errors="replace")
            self.keeps_rules = re.search(r"^rules\s*:", text, re.MULTILINE) is not None
        super().__init__(binary=BINARY, folder=FOLDER, durable=True,
                         rules_file=options.rules or copy_rules(), config_file=options.config,
                         ports=(options.proxy_port, options.audit_port, options.simulator_port))

    def settings(self):
        settings = super().settings()
        if self.keeps_rules:
            del settings["rules.file"]
        return settings

    def state(self):
        """The contents of .local/demo.json."""
        mailboxes = {upn: {key: box[key] for key in MAILBOX_KEYS}
                     for upn, box in self.simulator.mailboxes.items()}
        return {"proxy_url": self.proxy_url, "audit_url": self.audit_url,
                "simulator_url": self.simulator.origin, "ca_file": str(self.ca_file),
                "database_url": self.cluster.url(), "rules_file": str(self.rules_file),
                "config_file": str(self.config_file), "binary": str(self.binary),
                "tokens": {"requester": self.requester, "app": self.app, **self.officers},
                "mailboxes": mailboxes, "logs": str(self.folder),
                "records_command": self.command("records"),
                "approvals_command": self.command("approvals"),
                "token_files": {name: str(self.folder / f"{name}.token")
                                for name in self.officers},
                "verifier_key": self.verifier_key,
                "pids": {"supervisor": os.getpid(), **self.pids()}}


def write_state(state):
    unfinished = STATE.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
              encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    os.replace(unfinished, STATE)


def fresh_folder():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)


class Interrupted(Exception):
    pass


def interrupt(*_):
    # Once is enough: stopping must not be interrupted again.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted


def with_stack(options, body):
    """Starts everything, calls body(state, stack), stops everything; the body's exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    fresh_folder()
    stack = DemoStack(options)
    try:
        stack.start()
        state = stack.state()
        write_state(state)
        return body(state, stack)
    except Interrupted:
        return 128 + signal.SIGINT
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stack.stop()
        STATE.unlink(missing_ok=True)


def drive(state):
    """The five operations through the official Graph client; 0 when all went as expected."""
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": state["ca_file"]}
    return subprocess.run(["node", str(DEMO / "drive.mjs"), str(STATE)], env=environment,
                          preexec_fn=die_with_parent, check=False).returncode


def watch(stack):
    """Waits until interrupted, or until a process of the demo ends by itself."""
    while True:
        for service in (stack.proxy, stack.audit):
            if not service.running():
                raise StartError(f"{service.name} ended by itself:\n{service.log_tail()}")
        if stack.simulator.process.poll() is not None:
            raise StartError("the simulator ended by itself")
        time.sleep(0.5)


def announce(state):
    print(f"""
Holdfast is up:
  client apps   {state['proxy_url']}/v1.0/me/messages    (instead of https://graph.microsoft.com)
  officers      {state['audit_url']}/api/v1/records, …/api/v1/approvals
  approve       {' '.join(state['approvals_command'][:1])} approvals approve CODE --config {state['config_file']} \\
                  --token-file {state['token_files']['officer1']}
  signed log    {state['audit_url']}/log/checkpoint    (verify with {state['verifier_key']})
  simulator     {state['simulator_url']}/_control/requests
  database      {state['database_url']}
  rules         {state['rules_file']}
  tokens, ids   {STATE}
  logs          {state['logs']}""", flush=True)


def foreground(options):
    def body(state, stack):
        status = drive(state)
        if options.once:
            return status
        announce(state)
        print("\nCtrl-C stops it.", flush=True)
        try:
            watch(stack)
        except Interrupted:
            return status

    return with_stack(options, body)


def supervise(options):
    """The background half of --up: tells its starter through a pipe how it went."""
    ready = os.fdopen(options.ready_fd, "w", encoding="utf-8")

    def body(_, stack):
        ready.write("ready\n")
        ready.close()
        watch(stack)

    try:
        return with_stack(options, body)
    except Exception as problem:  # Whatever it is, somebody waits to hear it.
        print(problem, file=sys.stderr, flush=True)
        if not ready.closed:
            ready.write(str(problem))
        return 1


def up(options):
    LOCAL.mkdir(exist_ok=True)
    read_fd, write_fd = os.pipe()
    command = [sys.executable, str(DEMO / "demo.py"), "supervise", "--ready-fd", str(write_fd)]
    for name in ("proxy", "audit", "simulator"):
        command += [f"--{name}-port", str(getattr(options, f"{name}_port"))]
    for name in ("rules", "config"):
        if getattr(options, name):
            command += [f"--{name}", os.path.abspath(getattr(options, name))]
    with open(LOCAL / "supervisor.log", "wb") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         pass_fds=(write_fd,), start_new_session=True)
    os.close(write_fd)
    with os.fdopen(read_fd, encoding="utf-8") as ready:
        said = ready.read()
    if said != "ready\n":
        raise Refused(said.strip() or f"it did not start; see {LOCAL / 'supervisor.log'}")
    announce(json.loads(STATE.read_text()))
    return 0


def main():
    options = arguments()
    try:
        if options.command == "check":
            return check(options)
        if options.command == "supervise":
            return supervise(options)
        status = check(options)
        if status:
            return 0 if status == 3 else status
        return up(options) if options.up else foreground(options)
    except (Refused, StartError, RuntimeError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1 if isinstance(problem, StartError) else 2


if __name__ == "__main__":
    sys.exit(main())
