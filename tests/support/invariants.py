"""What must hold whatever dies, hangs or lies, checked from outside Holdfast.

1. Every guarded request that the simulator received has an intent that was committed before.
2. Every committed intent ends in exactly one terminal record, sooner or later.
3. No answer that a client got says anything else than the log.
"""
import dataclasses
import datetime
import json
import re
import time

GUARDED = re.compile(r"/(?:microsoft\.graph\.)?(?:permanentdelete|recall)(?:\(\))?/?(?:\?.*)?$",
                     re.IGNORECASE)
SETTLE_SECONDS_MAX = 60


@dataclasses.dataclass
class Answered:
    """One call as its client saw it; status None: no answer came."""
    client_request_id: str
    status: int | None = None
    code: str | None = None
    record: str | None = None


def entries_with_commit_times(stack):
    """(entry, commit time) of the whole log, as PostgreSQL itself remembers the commits."""
    rows = stack.cluster.sql(
        "SELECT encode(entry, 'hex'), extract(epoch FROM pg_xact_commit_timestamp(xmin)) "
        "FROM holdfast.log ORDER BY index")
    found = []
    for row in rows.splitlines():
        entry, _, committed = row.partition("|")
        found.append((json.loads(bytes.fromhex(entry)), float(committed)))
    return found


def seconds(rfc3339):
    return datetime.datetime.fromisoformat(rfc3339).timestamp()


def call_key(method, target, client_request_id):
    return method, target, client_request_id


def unheralded(stack, log):
    """Guarded requests that reached the simulator without an earlier committed intent."""
    intents = {}
    for entry, committed in log:
        if entry["kind"] == "intent":
            request = entry["request"]
            key = call_key(request["method"], request["target"], request["client_request_id"])
            intents.setdefault(key, []).append(committed)
    problems, used = [], {}
    for request in stack.simulator.requests():
        if request["method"] != "POST" or not GUARDED.search(request["target"] or ""):
            continue
        headers = {name.lower(): value for name, value in request["headers"]}
        key = call_key("POST", request["target"], headers.get("client-request-id"))
        earlier = [when for when in intents.get(key, []) if when <= seconds(request["time"])]
        used[key] = used.get(key, 0) + 1
        if len(earlier) < used[key]:
            problems.append(f"reached Graph without an earlier intent, or twice: {key}")
    return problems


def terminal_records(log):
    """operation id -> results, of every intent."""
    results = {entry["operation_id"]: [] for entry, _ in log if entry["kind"] == "intent"}
    for entry, _ in log:
        if entry["kind"] == "outcome":
            results.setdefault(entry["operation_id"], []).append(entry["outcome"]["result"])
    return results


def settled_log(stack):
    """The log once every intent has its terminal record, or when waiting for that was in vain."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        log = entries_with_commit_times(stack)
        if all(terminal_records(log).values()) or time.monotonic() > deadline:
            return log
        time.sleep(0.1)


def expected_result(answer):
    """The outcome that an answer implies; None: it implies that there is no intent."""
    if answer.code == "HoldfastOutcomeUnknown":
        return "unknown"
    if answer.code == "HoldfastUpstreamUnreachable":
        return "not_sent"
    if answer.code and (answer.code.startswith("Holdfast")
                        or answer.code == "InvalidAuthenticationToken"):
        return None
    return "executed" if answer.status < 300 else "refused"


def contradictions(log, answered):
    by_call = {}
    for entry, _ in log:
        if entry["kind"] == "intent":
            by_call.setdefault(entry["request"]["client_request_id"], []).append(entry)
    results = terminal_records(log)
    problems = []
    for answer in answered:
        intents = by_call.get(answer.client_request_id, [])
        if answer.status is None or (not intents and answer.record is None):
            continue
        wanted = expected_result(answer)
        recorded = [results[intent["operation_id"]] for intent in intents]
        if wanted is None and recorded and recorded != [["not_sent"]]:
            problems.append(f"{answer} but the log says {recorded}")
        if wanted is not None and recorded != [[wanted]]:
            problems.append(f"{answer} but the log says {recorded}")
    return problems


def check_invariants(stack, answered):
    """Lines saying what is broken; none when all holds. Waits for open operations to settle."""
    log = settled_log(stack)
    problems = unheralded(stack, log) + contradictions(log, answered)
    for operation, results in terminal_records(log).items():
        if len(results) != 1:
            problems.append(f"operation {operation} has terminal records {results}")
    return problems
