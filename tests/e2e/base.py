"""What the end-to-end tests share: one stack for a process, and words for calls and answers."""
import atexit
import base64
import json
import os
import pathlib
import subprocess
import sys
import unittest
import urllib.parse
import uuid

from invariants import Answered, check_invariants
from stack import Stack

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REQUESTER, HELD, EXECUTIVE = "alex@contoso.com", "held@contoso.com", "ceo@contoso.com"
# An id in Graph's form, of nothing.
GONE = "AAMkAGI0SUUjfo-RPNJNXcSO9k3JelIcGEQnhKiZNENHPok13nzX_yS4ac9HQl-w2jTvDbqfAAA="

_stacks = {}


def shared_stack(**options):
    """The stack with these options; started once for a process and stopped at its end."""
    key = json.dumps(options, sort_keys=True)
    if key not in _stacks:
        stack = _stacks[key] = Stack(settings={"track_commit_timestamp": "on"}, **options)
        stack.start()
        atexit.register(stack.stop)
    return _stacks[key]


class StackCase(unittest.TestCase):
    options = {}  # For Stack; a class may have its own.

    @classmethod
    def setUpClass(cls):
        cls.stack = shared_stack(**cls.options)
        cls.simulator = cls.stack.simulator

    def setUp(self):
        self.simulator.reset()
        self.answered = []

    def run(self, result=None):
        """Shows the ends of the processes' logs when a test has failed."""
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and hasattr(self, "stack"):
            for service in (*self.stack.proxies, self.stack.audit):
                print(f"--- {service.name}\n{service.log_tail()}", file=sys.stderr)
        return result

    def ids(self, kind, user=REQUESTER):
        return self.simulator.mailboxes[user][kind]

    def path(self, index=0, kind="messages", owner="me", user=REQUESTER, version="v1.0"):
        """The target of a permanentDelete in a mailbox."""
        collection = "outlook/tasks" if kind == "tasks" else kind
        return f"/{version}/{owner}/{collection}/{self.ids(kind, user)[index]}/permanentDelete"

    def call(self, method, target, token=None, body=None, headers=None, proxy=0):
        """One request to a proxy as (status, headers, body); remembered for the invariants."""
        headers = dict(headers or {})
        headers.setdefault("client-request-id", str(uuid.uuid4()))
        token = self.stack.requester if token is None else token
        known = Answered(headers["client-request-id"])
        self.answered.append(known)
        answer = self.request(method, target, token, body, headers, proxy)
        known.status, known.code = answer[0], self.code_of(answer)
        known.record = answer[1].get("Holdfast-Record")
        return answer

    def request(self, method, target, token, body, headers, proxy):
        return self.stack.request(method, target, token, body, headers, proxy=proxy)

    @staticmethod
    def code_of(answer):
        try:
            return json.loads(answer[2])["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    def expect_error(self, answer, status, code):
        """An error in Graph's shape; returns innerError."""
        self.assertEqual((answer[0], self.code_of(answer)), (status, code), answer[2])
        self.assertTrue(answer[1]["Content-Type"].startswith("application/json"))
        inner = json.loads(answer[2])["error"]["innerError"]
        self.assertLessEqual({"date", "request-id", "client-request-id"}, set(inner))
        self.assertEqual(inner["client-request-id"], answer[1]["client-request-id"])
        self.assertEqual(inner["request-id"], answer[1]["request-id"])
        self.assertIsNotNone(answer[1]["Date"])
        return inner

    def seen(self, text=""):
        """Requests that the simulator received with `text` in their target."""
        return [request for request in self.simulator.requests()
                if text in (request["target"] or "")]

    def record(self, record_id):
        """The record of that id, straight from the database."""
        found = [entry for entry in self.stack.entries() if entry["id"] == record_id]
        self.assertEqual(len(found), 1, f"records with the id {record_id}")
        return found[0]

    def outcome_of(self, intent):
        found = [entry for entry in self.stack.entries() if entry["kind"] == "outcome"
                 and entry["operation_id"] == intent["operation_id"]]
        self.assertEqual(len(found), 1, "outcomes of one intent")
        return found[0]["outcome"]

    def check_invariants(self):
        problems = check_invariants(self.stack, self.answered)
        self.assertEqual(problems, [])

    def sdk(self, token=None, **wanted):
        """Runs calls through the official JavaScript client."""
        wanted |= {"baseUrl": self.stack.proxy_url + "/", "token": token or self.stack.requester}
        done = subprocess.run(
            ["node", str(ROOT / "tests" / "e2e" / "js" / "calls.mjs")], input=json.dumps(wanted),
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(self.stack.ca_file)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


def quoted(item_id):
    """An id as the Graph SDKs write it into a path."""
    return urllib.parse.quote(item_id, safe="")


def justification(text):
    return base64.b64encode(text.encode()).decode()
