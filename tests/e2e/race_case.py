"""What the race tests share: four proxies over one database, and calls through all at once."""
import collections
import concurrent.futures
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
import uuid

from base import EXECUTIVE, StackCase
from holds import LogLock, finish, psql, wait_until
from invariants import Answered

FULL = bool(os.environ.get("FULL_TESTS"))
ROUNDS, APPS = (500, 50) if FULL else (10, 1)
PROXIES = 4
MOVED = "megan@contoso.com"  # Whose messages move.
REQUIRED, DENIED = (412, "HoldfastApprovalRequired"), (403, "HoldfastDenied")
RULES = """
schema: 1
revision: "races"
rules:
  - id: kept
    effect: deny
    when: {{ mailbox: megan@contoso.com }}
    unless: {{ folder: {folders} }}
  - id: moved
    effect: require_approval
    when: {{ mailbox: megan@contoso.com }}
  - id: executives
    effect: require_approval
    when: {{ mailbox: ceo@contoso.com }}
  - id: own-events
    effect: require_approval
    when: {{ resource: event, mailbox: {{ own: true }} }}
  - id: own-contacts
    effect: allow
    when: {{ resource: contact, mailbox: {{ own: true }} }}
    limit: {{ count: 3, per: 1h, by: actor, over: deny }}
{more}"""


def rules(more="", folders=("nowhere",)):
    """The rules of these tests, and more of them; `folders`: those that messages may go from of who
    has a rule about that."""
    return RULES.format(more=more, folders=json.dumps(folders))


HOLD = """  - id: new-hold
    effect: deny
    when: { mailbox: ceo@contoso.com }
"""


class Questions:
    """The database's administrator as a cluster is asked, for many short questions: one session."""

    END = "that was all"

    def __init__(self, cluster):
        self.url = cluster.url
        self.session = psql(cluster, stdout=subprocess.PIPE)

    def sql(self, question):
        self.session.stdin.write(f"{question};\n\\echo {self.END}\n")
        self.session.stdin.flush()
        answer = []
        while (line := self.session.stdout.readline()) != self.END + "\n":
            if not line:
                raise RuntimeError(f"psql ended: {question}")
            answer.append(line)
        return "".join(answer).rstrip("\n")

    def end(self):
        finish(self.session, "")


class Lines:
    """Kept connections, of each thread to each port."""

    IDLE_SECONDS_MAX = 5  # Long before anybody closes them.

    def __init__(self, tls):
        self.tls = tls
        self.own = threading.local()
        self.opened = []
        self.severed = collections.Counter()  # By port: how often all of them were given up.

    def request(self, port, method, target, body, headers):
        """(status, headers, body); OSError when there is no answer. Nothing is sent twice."""
        kept = self.own.__dict__.setdefault(port, [None, 0, 0])
        connection, used, severed = kept
        now = time.monotonic()
        if connection is None or now - used > self.IDLE_SECONDS_MAX or \
                severed != self.severed[port]:
            if connection:
                connection.close()
            connection = http.client.HTTPSConnection("localhost", port, context=self.tls,
                                                     timeout=60)
            self.opened.append(connection)
        self.own.__dict__[port] = [connection, now, self.severed[port]]
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except http.client.HTTPException as problem:
            raise OSError(str(problem) or type(problem).__name__) from problem

    def end(self):
        for connection in self.opened:
            connection.close()


class RaceCase(StackCase):
    # A lease and a deadline that no slow machine lets run out.
    options = {"proxies": PROXIES, "relayed": True,
               "rules": rules(),
               "config": {"proxy.threads": 1, "audit_log.lease": "60s",
                          "audit_log.append_timeout": "30s", "rules.watch_interval": "100ms",
                          "upstream.response_timeout": "60s"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pool = concurrent.futures.ThreadPoolExecutor(2 * PROXIES)
        cls.addClassCleanup(cls.pool.shutdown)
        cls.tls = ssl.create_default_context(cafile=str(cls.stack.ca_file))
        cls.lines = Lines(cls.tls)
        cls.addClassCleanup(cls.lines.end)
        cls.database = Questions(cls.stack.cluster)
        cls.addClassCleanup(cls.database.end)

        cls.apps = [cls.simulator.token(app=str(uuid.uuid4())) for _ in range(APPS)]

    def setUp(self):
        # Graph is not reset: new messages would get the ids of old ones.
        self.answered = []
        self.app = self.stack.app
        self.requests_before = self.simulator.control("GET", "count")["count"]
        self.addCleanup(self.stack.relay.release_all)

    def rounds(self):
        """The numbers of the rounds. Several apps ask: each is refused a few times a second only."""
        for number in range(ROUNDS):
            self.app = self.apps[number % APPS]
            yield number

    # The calls.

    def graph(self, target, body, headers=None):
        """One POST to Graph itself, past the proxies: (status, what it says)."""
        status, _, answer = self.lines.request(
            self.simulator.port, "POST", target, json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.stack.app}", "Content-Type": "application/json",
             **(headers or {})})
        return status, json.loads(answer)

    def item(self, user=EXECUTIVE):
        """The id of a new message."""
        status, message = self.graph(f"/v1.0/users/{user}/messages", {})
        self.assertEqual(status, 201, message)
        return message["id"]

    def send(self, item, proxy=0, user=EXECUTIVE, headers=None):
        return self.call("POST", f"/v1.0/users/{user}/messages/{item}/permanentDelete", self.app,
                         headers=headers, proxy=proxy)

    def request(self, method, target, token, body, headers, proxy):
        return self.lines.request(self.stack.proxy_ports[proxy], method, target, body,
                                  {**headers, "Authorization": f"Bearer {token}"})

    def told(self, answer):
        return answer[0], self.code_of(answer)

    def everywhere(self, work, proxies=range(PROXIES)):
        """What `work(proxy)` returns, done at all of these proxies at once."""
        return list(self.pool.map(work, proxies))

    def resend(self, item, proxies=range(PROXIES), **more):
        """(status, code) of the call sent to all of these proxies at once, sorted."""
        answers = self.everywhere(lambda proxy: self.send(item, proxy, **more), proxies)
        return sorted((self.told(answer) for answer in answers), key=str)

    def begin(self, item, proxy, user=EXECUTIVE):
        """The call on a connection that can be dropped; nobody has read its answer yet."""
        known = Answered(str(uuid.uuid4()))
        self.answered.append(known)
        connection = http.client.HTTPSConnection("localhost", self.stack.proxy_ports[proxy],
                                                 context=self.tls, timeout=60)
        connection.request("POST", f"/v1.0/users/{user}/messages/{item}/permanentDelete",
                           headers={"Authorization": f"Bearer {self.app}",
                                    "client-request-id": known.client_request_id})
        return connection

    # Their approvals.

    def file(self, item, proxy=0, **more):
        """Asks for approval; its code."""
        status, headers, body = self.send(item, proxy, **more)
        self.assertEqual((status, json.loads(body)["error"]["code"]), REQUIRED, body)
        return headers["x-msft-approval-code"]

    def decide(self, verb, code, officer="officer1"):
        """An officer's word, through the API."""
        body = b"{}" if verb == "approve" else b'{"reason":"-"}'
        return self.lines.request(self.stack.audit_port, "POST", f"/api/v1/approvals/{code}/{verb}",
                                  body, {"Authorization": f"Bearer {self.stack.officers[officer]}",
                                         "Content-Type": "application/json"})

    def approved(self, item, **more):
        """Files and approves; the code."""
        code = self.file(item, **more)
        status, _, body = self.decide("approve", code)
        self.assertEqual(status, 200, body)
        return code

    def approved_item(self):
        """A new message that may be destroyed once: (its id, the approval's code)."""
        item = self.item()
        return item, self.approved(item)

    def sql(self, question):
        return self.database.sql(question)

    def state(self, code):
        return self.sql(f"SELECT state FROM holdfast.approvals WHERE code = '{code}'")

    def steps(self, code):
        return self.sql("SELECT string_agg(h ->> 'name', ',' ORDER BY (h ->> 'step')::integer) FROM "
                        f"holdfast.find_approval('{code}', NULL) d, jsonb_array_elements(d -> 'history') h")

    # What happens meanwhile.

    def met(self, start, appends=PROXIES):
        """What start() returns. It is begun while nothing can be written to the log, until so many
        appends stand there."""
        lock = LogLock(self.database)
        try:
            begun = self.pool.submit(start)
            lock.wait_for_append(appends)
        finally:
            lock.release()
        return begun.result()

    def race(self, number, start, appends=PROXIES):
        """What start() returns; its appends meet in every other round."""
        return self.met(start, appends) if number % 2 == 0 else start()

    def write_rules(self, more="", proxies=range(PROXIES), **options):
        """Other rules, of which these proxies are told; the others come to know."""
        fresh = self.stack.folder / "rules.new"
        fresh.write_text(rules(more, **options))
        os.replace(fresh, self.stack.rules_file)
        for proxy in proxies:
            self.stack.proxies[proxy].signal(signal.SIGHUP)

    def wait_until_told(self, told, item=None, **more):
        """Until that is what every proxy makes of the call; by default of one never seen before."""
        asks, self.app = self.app, self.simulator.token(app=str(uuid.uuid4()))  # Not refused yet.
        wait_until(lambda: self.resend(item or uuid.uuid4(), **more) == PROXIES * [told],
                   f"rules that say {told}")
        self.app = asks

    # What must have come of it all.

    def seen(self, text=""):
        requests = self.simulator.control("GET", f"requests?since={self.requests_before}")
        return [request for request in requests if text in (request["target"] or "")]

    def deliveries(self):
        """How often Graph got the call for each item, and how often it acted; of this test."""
        got, acted = collections.Counter(), collections.Counter()
        for request in self.seen("permanentDelete"):
            item = re.search(r"/([^/]+)/permanentDelete", request["target"])[1]
            got[item] += 1
            acted[item] += bool(request["acted"])
        return dict(got), dict(acted)
