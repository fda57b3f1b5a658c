"""The whole of Holdfast for an end-to-end test: database, simulator, proxy and audit service.

    stack = Stack()                         # or Stack(rules=TEXT, config={"proxy.threads": 1})
    stack.start()
    stack.request("POST", f"/v1.0/me/messages/{id}/permanentDelete", token=stack.requester)
    stack.proxy.kill(); stack.proxy.start().wait_ready()
    stack.stop()

Stack(proxies=4) has four proxies over one database: stack.proxies; stack.proxy is the first.
Everything listens on free ports of 127.0.0.1 and lives in a folder of its own, removed by stop().
Where KEEP_LOGS names a folder, logs of a stack are copied there. The binary is the one
that BINARY_UNDER_TEST names.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import uuid

from certificates import Certificates
from graphsim.service import APP_SECRET
from holds import Network, Relay
from issuer import AUDIENCE, Issuer
from postgres import Cluster, copy_data
from service import Service, StartError, fetch
from simulator import Simulator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "tools" / "demo" / "rules.yaml"
PORTS = (10_000, 32_000)
LOG_ORIGIN = "holdfast.test/log"
OFFICERS = {"officer1": ["approver"], "officer2": ["approver"], "lawyer": ["approver"],
            "auditor": ["auditor"], "admin": ["admin", "auditor", "approver"]}
# As in the rules of the documentation; people are in a group by its id or by its name in the rules.
COMPLIANCE = ["3f2c0a52-0000-4000-8000-000000000001", "compliance"]
LEGAL = ["91ab77de-0000-4000-8000-000000000002", "legal"]
GROUPS = {"officer1": COMPLIANCE, "officer2": COMPLIANCE, "lawyer": LEGAL}


_reserved = []  # Sockets that keep other tests from the ports of this process, until it ends.


def free_ports(count):
    """Free ports, all different. Taken at random from below those that the system hands out by
    itself, so that nobody's connection takes one before it is used; and no other test does, which
    finds the name of the port taken in the abstract namespace."""
    ports = []
    while len(ports) < count:
        port = random.randrange(*PORTS)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0holdfast-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _reserved.append(name)
        ports.append(port)
    return ports


def write_secret(path, text):
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
              encoding="utf-8") as file:
        file.write(text)


def to_yaml(settings):
    """Dotted keys as a YAML file, sections in the order of their first key."""
    tree = {}
    for key, value in settings.items():
        branch = tree
        *parents, leaf = key.split(".")
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    lines = []

    def write(branch, depth):
        for key, value in branch.items():
            if isinstance(value, dict):
                lines.append("  " * depth + f"{key}:")
                write(value, depth + 1)
            else:
                lines.append("  " * depth + f"{key}: {json.dumps(value)}")

    write(tree, 0)
    return "\n".join(lines) + "\n"


def migrated_data(binary):
    """A cluster's data with all migrations of this binary, made by whoever asks first and kept beside
    the template of clusters; None where there is no template."""
    template = os.environ.get("CLUSTER_TEMPLATE")
    if not template:
        return None
    path = f"{template}-{binary.stat().st_mtime_ns}"
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            with Cluster() as cluster:
                subprocess.run([str(binary), "migrate", "--set",
                                f"migrate.database.url={cluster.url()}"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
                cluster.stop()
                copy_data(cluster.data, f"{path}.new")
            os.rename(f"{path}.new", path)
    return path


class Stack:
    """What is public: folder, cluster, simulator, proxy, audit (Service), proxies, proxy_url,
    proxy_ports, audit_url, ca_file, config_file, rules_file, requester and app (Graph tokens),
    officers (API tokens), verifier_key (of the log's checkpoints), relay, between Holdfast and the
    simulator, where `relayed` asks for one, and issuer, of officers' tokens, where `sign_in` does."""

    def __init__(self, binary=None, folder=None, rules=None, rules_file=None, config=None,
                 config_file=None, ports=None, durable=False, settings=None, relayed=False,
                 plain=False, reconcile=None, cuttable=False, sign_in=False, proxies=1):
        self.binary = pathlib.Path(binary or os.environ["BINARY_UNDER_TEST"])
        self.owns_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="holdfast-stack-"))
        self.rules_file = pathlib.Path(rules_file or RULES).resolve()
        if rules is not None:
            self.rules_file = self.folder / "rules.yaml"
            self.rules_file.write_text(rules)
        self.changes = dict(config or {})
        self.given_config = config_file
        free = free_ports(1 + proxies)
        self.proxy_port, self.audit_port, self.simulator_port = ports or (*free[:2], 0)
        self.proxy_ports = [self.proxy_port, *free[2:]]
        self.durable = durable
        self.database_settings = settings
        self.relayed = relayed
        self.plain = plain  # The proxy and the simulator without TLS, for bytes on raw sockets.
        self.reconcile = reconcile  # How Graph is asked about unknowns: token, application.
        self.cuttable = cuttable  # The proxy reaches the database by a network that can be cut.
        self.has_sign_in = sign_in  # Officers may sign in with an identity provider.
        self.client = None  # What the proxy is shown of a client: certificate and key, files.
        self.network = self.issuer = None
        self.cluster = self.simulator = self.relay = self.proxy = self.audit = None
        self.proxies = []
        self.proxy_url = self.proxy_url_of(0)
        self.audit_url = f"https://localhost:{self.audit_port}"
        self.config_file = self.folder / "holdfast.yaml"

    def start(self, roles=("audit", "proxy")):
        try:
            self.prepare()
            self.migrate()
            started = [service.start() for role in roles for service in self.services(role)]
            for service in started:
                service.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def prepare(self):
        """Everything but Holdfast itself, and the files that Holdfast needs."""
        self.certificates = Certificates(self.folder / "tls")
        self.ca_file = self.certificates.ca_file
        migrates_otherwise = self.given_config or any(
            key.startswith("migrate.") for key in self.changes)
        self.cluster = Cluster(durable=self.durable, settings=self.database_settings,
                               data=None if migrates_otherwise else migrated_data(self.binary))
        self.cluster.start()
        if self.cuttable:
            self.network = Network(self.cluster.port)
        if self.relayed:
            self.relay = Relay(self.certificates)
        certificate = None if self.plain else self.certificates.certificate
        self.simulator = Simulator(self.folder, certificate, self.certificates.key, self.ca_file,
                                   self.simulator_port,
                                   authorities=[self.relay.authority] if self.relay else ())
        if self.relay:
            self.relay.start(self.simulator.port)
        if self.has_sign_in:
            self.issuer = Issuer(self.folder, self.certificates, self.simulator.tenant_id)
        self.requester = self.simulator.tokens["requester"]
        self.app = self.simulator.tokens["app"]
        (self.folder / "spool").mkdir(mode=0o700, exist_ok=True)
        write_secret(self.folder / "graph.token", self.app + "\n")
        write_secret(self.folder / "graph.secret", APP_SECRET + "\n")
        self.write_officers()
        self.make_log_key()
        if self.given_config:
            self.config_file = pathlib.Path(self.given_config).resolve()
        else:
            self.config_file.write_text(to_yaml({**self.settings(), **self.changes}))
        self.proxies = [self.proxy_service(number) for number in range(len(self.proxy_ports))]
        self.proxy = self.proxies[0]
        self.audit = self.service("audit", f"{self.audit_url}/readyz")

    def write_officers(self):
        self.officers = {name: "hfa_" + secrets.token_urlsafe(32) for name in OFFICERS}
        entries = [{"name": name, "roles": OFFICERS[name], "groups": GROUPS.get(name, []),
                    "sha256": hashlib.sha256(token.encode()).hexdigest(),
                    **({"person": self.person(name)} if "approver" in OFFICERS[name] else {})}
                   for name, token in self.officers.items()]
        # JSON is YAML too.
        write_secret(self.folder / "tokens.yaml", json.dumps({"tokens": entries}, indent=1) + "\n")
        for name, token in self.officers.items():
            write_secret(self.folder / f"{name}.token", token + "\n")

    def add_officer(self, name, roles, person):
        """A token in the operator's file, which the audit service reads when it starts."""
        token = self.officers[name] = "hfa_" + secrets.token_urlsafe(32)
        path = self.folder / "tokens.yaml"
        tokens = json.loads(path.read_text())
        tokens["tokens"].append({"name": name, "roles": roles, "person": person,
                                 "sha256": hashlib.sha256(token.encode()).hexdigest()})
        write_secret(path, json.dumps(tokens, indent=1) + "\n")

    def person(self, officer):
        """Whom an officer's token stands for."""
        user = uuid.uuid5(uuid.UUID(self.simulator.tenant_id), officer)
        return {"tenant": self.simulator.tenant_id, "user": str(user),
                "names": [f"{officer}@contoso.com"]}

    def make_log_key(self):
        done = subprocess.run(
            [str(self.binary), "keygen", str(self.folder / "log.key"), "--origin", LOG_ORIGIN],
            env=self.environment(), stdout=subprocess.PIPE, text=True, check=True)
        self.verifier_key = done.stdout.strip()

    def settings(self):
        """What this stack needs Holdfast to be told, by dotted key."""
        certificate, key = str(self.certificates.certificate), str(self.certificates.key)
        more = {} if self.plain else {"proxy.tls.certificate_file": certificate,
                                      "proxy.tls.key_file": key}
        if self.reconcile == "token":
            more["audit.reconcile.token_file"] = str(self.folder / "graph.token")
        elif self.reconcile == "application":
            more |= {"audit.reconcile.tenant": self.simulator.tenant_id,
                     "audit.reconcile.client_id": self.simulator.app_id,
                     "audit.reconcile.client_secret_file": str(self.folder / "graph.secret"),
                     "audit.reconcile.authority": self.simulator.origin}
        if self.issuer:
            more |= {"audit.sign_in.issuer": self.issuer.origin,
                     "audit.sign_in.audience": AUDIENCE,
                     "audit.sign_in.tenant": self.issuer.tenant,
                     "audit.sign_in.keys_url": self.issuer.keys_url,
                     "audit.sign_in.ca_file": str(self.ca_file)}
        return {
            "proxy.listen": f"127.0.0.1:{self.proxy_port}",
            **more,
            "proxy.spool_dir": str(self.folder / "spool"),
            "proxy.database.url": self.proxy_database_url(),
            "upstream.origin": (self.relay or self.simulator).origin,
            "upstream.ca_file": str(self.ca_file),
            "rules.file": str(self.rules_file),
            "rules.two_people": False,
            "audit.listen": f"127.0.0.1:{self.audit_port}",
            "audit.tls.certificate_file": certificate,
            "audit.tls.key_file": key,
            "audit.allow_token_approvals": True,
            "audit.tokens_file": str(self.folder / "tokens.yaml"),
            "audit.database.url": self.cluster.url("holdfast_audit"),
            "audit.public_url": self.audit_url,
            "audit.log.origin": LOG_ORIGIN,
            "audit.log.key_files": [str(self.folder / "log.key")],
            "audit.log.checkpoint_file": str(self.folder / "checkpoint"),
            "migrate.database.url": self.cluster.url(),
            "records.url": self.audit_url,
            "records.token_file": str(self.folder / "auditor.token"),
            "records.ca_file": str(self.ca_file),
        }

    def proxy_database_url(self):
        url = self.cluster.url("holdfast_proxy")
        if self.network:
            url = url.replace(f":{self.cluster.port}/", f":{self.network.port}/")
        return url

    def command(self, *arguments):
        """A `holdfast` command line with this stack's configuration."""
        command = [str(self.binary), *arguments, "--config", str(self.config_file)]
        if self.given_config:
            for key, value in {**self.settings(), **self.changes}.items():
                value = ",".join(value) if isinstance(value, list) else value
                value = str(value).lower() if isinstance(value, bool) else value
                command += ["--set", f"{key}={value}"]
        return command

    def environment(self):
        """This process's, without settings meant for another Holdfast."""
        return {name: value for name, value in os.environ.items()
                if not name.startswith("HOLDFAST_")}

    def run(self, *arguments, check=True):
        """Runs a `holdfast` command to its end; (exit status, standard output, error output)."""
        done = subprocess.run(self.command(*arguments), env=self.environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        if check and done.returncode != 0:
            raise StartError(f"holdfast {' '.join(arguments)} ended with status "
                             f"{done.returncode}:\n{(done.stderr or done.stdout).strip()[-2000:]}")
        return done.returncode, done.stdout, done.stderr

    def migrate(self):
        self.run("migrate")

    def services(self, role):
        return self.proxies if role == "proxy" else [self.audit]

    def proxy_service(self, number):
        """One of the proxies; all but the first listen and spool elsewhere than the file says."""
        service = self.service("proxy", f"{self.proxy_url_of(number)}/holdfast/readyz")
        if number > 0:
            spool = self.folder / f"spool-{number}"
            spool.mkdir(mode=0o700, exist_ok=True)
            service.command += ["--set", f"proxy.listen=127.0.0.1:{self.proxy_ports[number]}",
                                "--set", f"proxy.spool_dir={spool}"]
            service.log_path = self.folder / f"proxy-{number}.log"
        return service

    def proxy_url_of(self, number):
        return f"http{'' if self.plain else 's'}://localhost:{self.proxy_ports[number]}"

    def service(self, role, ready_url):
        return Service(f"holdfast {role}", self.command(role), ready_url, self.ca_file,
                       self.folder / f"{role}.log", self.environment(),
                       self.client if role == "proxy" else None)

    def request(self, method, target, token=None, body=None, headers=None, timeout=60, proxy=0,
                client=None):
        """One request to a proxy on a connection of its own: (status, headers, body)."""
        return fetch(self.proxy_url_of(proxy) + target, self.ca_file, token, timeout, method, body,
                     headers, client or self.client)

    def records(self, *filters):
        """Audit records as the shell sees them, in the log's order."""
        _, output, _ = self.run("records", "search", "--format", "ndjson", "--order", "asc",
                                "--limit", "1000", *filters)
        return [json.loads(line) for line in output.splitlines()]

    def entries(self):
        """Every entry of the log as the database holds it, in order; asks no Holdfast process."""
        rows = self.cluster.sql("SELECT encode(entry, 'hex') FROM holdfast.log ORDER BY index")
        return [json.loads(bytes.fromhex(row)) for row in rows.splitlines()]

    def pids(self):
        found = {name: service.process.pid for name, service in
                 (("proxy", self.proxy), ("audit", self.audit)) if service and service.process}
        if self.simulator:
            found["simulator"] = self.simulator.process.pid
        return found

    def stop(self):
        for service in (*self.proxies, self.audit):
            if service:
                service.stop()
        if self.relay:
            self.relay.stop()
        for helper in (self.network, self.issuer):
            if helper:
                helper.stop()
        if self.simulator:
            self.simulator.stop()
        if self.cluster:
            self.cluster.remove()
        kept = os.environ.get("KEEP_LOGS")
        if kept:
            shutil.copytree(self.folder, pathlib.Path(kept) / self.folder.name,
                            ignore=shutil.ignore_patterns("*.key", "*token*"), dirs_exist_ok=True)
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
