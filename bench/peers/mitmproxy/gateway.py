"""What a team that has mitmproxy at hand would write: an addon that audits guarded calls.

For a guarded call it does what Holdfast does: knows the caller by a probe with the very token, knows
the mailbox by Graph's own names, decides, commits the intent before forwarding and the outcome
before answering, each with psycopg2 on a thread of a pool, so that many calls wait at once. It has
no Merkle tree, no leases, no spool, no search columns.

    UPSTREAM=http://127.0.0.1:9000 DATABASE_URL=postgresql://… mitmdump --scripts gateway.py …
"""
import asyncio
import base64
import concurrent.futures
import hashlib
import json
import os
import queue
import re
import time
import urllib.parse
import urllib.request
import uuid

import psycopg2
from mitmproxy import http

DATABASE_CONNECTIONS = 32
GUARDED = re.compile(r"/(permanentDelete|recall)(\(\))?(\?|$)", re.IGNORECASE)
MAILBOX = re.compile(r"^/[^/]+/users/([^/]+)/([^/]+)/([^/]+)/")
RULES_SHA256 = hashlib.sha256(b"bench").hexdigest()
TABLE = """CREATE TABLE IF NOT EXISTS records (
  index bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation_id uuid NOT NULL, kind text NOT NULL, entry json NOT NULL)"""
PREPARE = ("PREPARE append AS INSERT INTO records (operation_id, kind, entry) "
           "VALUES ($1, $2, $3) RETURNING index")
APPEND = "EXECUTE append (%s, %s, %s)"


def ask(path: str, token: str) -> dict:
    request = urllib.request.Request(os.environ["UPSTREAM"] + path,
                                     headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def identify(token: str) -> dict:
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if ask("/v1.0/me?$select=id", token).get("id") != claims["oid"]:
        raise ValueError("not who the token says")
    return {"expires": claims["exp"], "actor": {
        "kind": "user", "verification": "probe", "tenant": claims["tid"], "user": claims["oid"],
        "app": claims["appid"], "name": claims["upn"], "token_id": claims["uti"],
        "token_sha256": hashlib.sha256(token.encode()).hexdigest()}}


def names_of(key: str, token: str) -> list[str]:
    user = ask(f"/v1.0/users/{urllib.parse.quote(key)}"
               "?$select=id,userPrincipalName,mail,proxyAddresses", token)
    names = [user["id"], user["userPrincipalName"], user["mail"],
             *(re.sub("^smtp:", "", each, flags=re.IGNORECASE) for each in user["proxyAddresses"])]
    return list(dict.fromkeys(name.lower() for name in names if name))


def decide(names: list[str], caller: dict, source_ip: str) -> dict:
    """One rule that allows everything; the rest is what a record needs to say of a decision."""
    return {
        "effect": "allow", "rules": ["bench"], "matched": [{"id": "bench", "effect": "allow"}],
        "default": False, "rules_sha256": RULES_SHA256, "rules_revision": "bench",
        "facts": {"actor_kind": "user", "groups": None, "roles": None, "mailbox": names,
                  "own_mailbox": caller["actor"]["user"] in names, "folder": None,
                  "source_ip": source_ip, "at": time.time()}}


class Gateway:
    def __init__(self):
        self.callers = {}
        self.mailboxes = {}
        self.threads = concurrent.futures.ThreadPoolExecutor(DATABASE_CONNECTIONS)
        self.connections = queue.SimpleQueue()
        for number in range(DATABASE_CONNECTIONS):
            connection = psycopg2.connect(os.environ["DATABASE_URL"])
            connection.autocommit = True
            with connection.cursor() as cursor:
                if number == 0:
                    cursor.execute(TABLE)
                cursor.execute(PREPARE)
            self.connections.put(connection)

    def insert(self, *values: str) -> None:
        connection = self.connections.get()
        try:
            with connection.cursor() as cursor:
                cursor.execute(APPEND, values)
        finally:
            self.connections.put(connection)

    async def append(self, kind: str, operation_id: str, content: dict) -> None:
        entry = json.dumps({"v": 1, "id": str(uuid.uuid4()), "kind": kind, "time": time.time(),
                            "writer": os.getpid(), "operation_id": operation_id, **content})
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.threads, self.insert, operation_id, kind, entry)

    async def request(self, flow: http.HTTPFlow) -> None:
        if not GUARDED.search(flow.request.path):
            return
        loop = asyncio.get_running_loop()
        token = flow.request.headers.get("authorization", "").removeprefix("Bearer ")
        caller = self.callers.get(token)
        if caller is None or caller["expires"] < time.time():
            caller = await loop.run_in_executor(self.threads, identify, token)
            self.callers[token] = caller
        key, _, item = MAILBOX.match(flow.request.path).groups()
        names, until = self.mailboxes.get(key, (None, 0))
        if until < time.time():
            names = await loop.run_in_executor(self.threads, names_of,
                                               urllib.parse.unquote(key), token)
            self.mailboxes[key] = names, time.time() + 600
        source_ip = flow.client_conn.peername[0]
        operation_id = str(uuid.uuid4())
        content = {
            "request": {
                "method": flow.request.method, "target": flow.request.path,
                "request_id": str(uuid.uuid4()), "source_ip": source_ip,
                "client_request_id": flow.request.headers.get("client-request-id", operation_id)},
            "operation": {
                "action": flow.request.path.rsplit("/", 1)[1], "path": flow.request.path.lower(),
                "resource": "message", "mailbox": {"kind": "user", "key": key, "names": names},
                "item": item, "version": "v1.0"},
            "actor": caller["actor"]}
        flow.metadata["guarded"] = operation_id, time.monotonic(), content
        await self.append("intent", operation_id,
                          {**content, "decision": decide(names, caller, source_ip)})

    async def response(self, flow: http.HTTPFlow) -> None:
        if "guarded" not in flow.metadata:
            return
        operation_id, begun, content = flow.metadata["guarded"]
        status = flow.response.status_code
        outcome = {"result": "executed" if status < 300 else "refused", "status": status,
                   "graph_request_id": flow.response.headers.get("request-id"),
                   "duration_us": round((time.monotonic() - begun) * 1e6)}
        await self.append("outcome", operation_id, {**content, "outcome": outcome})


addons = [Gateway()]
