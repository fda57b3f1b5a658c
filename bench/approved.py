"""Calls that people have approved against calls that a rule plainly allows, at one Holdfast.

Both are guarded and record the same; of an approved one the proxy has been told before, or looks its
approval up, claims it in the statement that commits its intent, and ends it in the one that commits its
outcome. The approvals come shortly before the calls, and being told of them is part of what is measured.
"""
import json
import urllib.error
import urllib.request

import holdfast
import load
import report
import rounds
import upstream

CASE = "approved, both records durable"
CONNECTIONS = (1, 16)
TIMES_MAX = 1.5  # The time of an approved call in that of an allowed one.
SPARE = 1.1  # Approvals for each call: an approved one is not answered sooner than an allowed one.
RULES = holdfast.RULES.replace("tests:", """  - id: approved
    title: Contacts take an approval
    effect: require_approval
    when: { action: permanentDelete, resource: contact, mailbox: { domain: contoso.com } }
tests:""")
CONTACTS = f"/v1.0/users/{upstream.USER_ID}/contacts/"
# Approvals that wait to be used, as the one that a real call has filed, for as many other items. Nothing
# on the way keeps what was filed in a form of its own: it is stored as filing stores it.
APPROVE = """
WITH made AS MATERIALIZED (
  SELECT gen_random_uuid() AS code, filing || jsonb_build_object('bound', bound) AS filing,
         sha256(convert_to(array_to_string(
           ARRAY(SELECT bound ->> field FROM unnest('{fields}'::text[]) field), E'\\n') || E'\\n',
           'UTF8')) AS binding
    FROM (SELECT filing, filing -> 'bound' || jsonb_build_object(
              'path', encode(sha256(convert_to('{before}' || item || '{after}', 'UTF8')), 'hex'),
              'item', encode(sha256(convert_to(item, 'UTF8')), 'hex')) AS bound
            FROM holdfast.approvals, (SELECT '{item}' || to_char(n, 'FM000000000000') AS item
                                        FROM generate_series(1, {count}) n) items
            WHERE number = 1) filed),
approved AS (
  INSERT INTO holdfast.approvals (code, binding, state, step, filed_at, decide_by, use_within, use_by,
                                  filing)
    SELECT code, binding, 'APPROVED', 2, now(), now() + interval '1 day', interval '1 day',
           now() + interval '1 day', filing FROM made)
INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
  SELECT code, step, name, state, now(), gen_random_uuid(), content
    FROM made, (VALUES (1, 'file', 'PENDING', '{{}}'::jsonb),
                       (2, 'approve', 'APPROVED', '{consent}'::jsonb))
                 AS s (step, name, state, content);
ANALYZE holdfast.approvals, holdfast.approval_history;
"""
FIELDS = "{tenant,actor,method,version,path,item,query,prefer,body}"  # In the order of a binding.
CONSENT = {"stage": 0, "by": {"name": "officer", "person": "bench/officer", "via": "token",
                              "accounts": ["bench/officer"], "names": []}}


class Turns:
    """Turns of approved calls, each for items of its own."""

    def __init__(self, cluster, address: str):
        self.cluster, self.address = cluster, address
        self.number = 0
        asked = urllib.request.Request(address + CONTACTS + "first/permanentDelete", method="POST",
                                       headers={"Authorization": "Bearer " + load.token()})
        try:
            urllib.request.urlopen(asked, timeout=30)
        except urllib.error.HTTPError as answer:
            if answer.code == 412:
                return
        raise RuntimeError("a call that needs approval did not ask for it")

    def measure(self, connections: int, seconds: float, calls_a_second: float) -> load.Measured:
        self.number += 1
        item = f"AAMkAGI2TG93T{self.number:03d}"
        # Before the approvals come, which are seldom older than the last one in real life.
        self.cluster.sql("CHECKPOINT")
        self.cluster.sql(APPROVE.format(
            fields=FIELDS, before=CONTACTS.removeprefix("/v1.0"), after="/permanentdelete",
            item=item + "1B", count=round(calls_a_second * seconds * SPARE),
            consent=json.dumps(CONSENT)))
        call = upstream.Call("POST", CONTACTS + item, "/permanentDelete")
        return load.run(self.address, call, connections, seconds)


def run(bed, count: int, seconds: float) -> list[report.Row]:
    with upstream.graph(bed.root / "graph") as origin, bed.cluster() as cluster, \
         holdfast.proxy(bed, cluster, origin, rules=RULES) as (ours, _):
        turns = Turns(cluster, ours)
        rows = []
        for connections in CONNECTIONS:
            rows += _compare(cluster, ours, turns, connections, count, seconds)
        _check_approvals(cluster)
        return rows


def _compare(cluster, ours: str, turns: Turns, connections: int, count: int,
             seconds: float) -> list[report.Row]:
    def allowed() -> load.Measured:
        cluster.sql("CHECKPOINT")
        return load.run(ours, upstream.GUARDED, connections, seconds)

    rate = allowed().per_second
    turns.measure(connections, seconds, rate)
    measured = rounds.measure(CASE, connections, {
        rounds.OURS: lambda: turns.measure(connections, seconds, rate), "allowed": allowed}, count)
    times = report.median(measured[rounds.OURS], "p50_ms") / \
        report.median(measured["allowed"], "p50_ms")
    return rounds.compare("approved", CASE, connections, measured) + [
        report.Row("approved", "median time, in that of an allowed call", connections, times,
                   unit="times", target=f"<= {TIMES_MAX:g} times", met=times <= TIMES_MAX)]


def _check_approvals(cluster) -> None:
    """Each call must have used up an approval."""
    rows = cluster.sql("SELECT state, count(*) FROM holdfast.approvals GROUP BY 1").splitlines()
    found = {state: int(number) for state, number in (row.split("|") for row in rows)}
    report.note("approvals: " + ", ".join(f"{number:,} {state}" for state, number in found.items()))
    calls = int(cluster.sql("SELECT count(*) FROM holdfast.log WHERE kind = 'intent' AND "
                            "convert_from(entry, 'UTF8')::json -> 'approval' IS NOT NULL"))
    # Calls in flight when the load stopped may not have ended.
    if set(found) - {"PENDING", "APPROVED", "CLAIMED", "EXECUTED"} or \
            found.get("EXECUTED", 0) + found.get("CLAIMED", 0) != calls:
        raise RuntimeError(f"{calls} approved calls, and approvals are {found}")
