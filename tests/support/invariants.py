"""What must hold whatever dies, hangs or lies, checked from outside Holdfast.

1. Every guarded request that the simulator received has an intent that was committed before, and
   no call was delivered twice.
2. Every committed intent ends in exactly one terminal record, sooner or later; nothing else does.
   Only one that was settled as unknown may have a reconciliation after it.
3. No answer that a client got says anything else than the log.
4. The log's indexes have no gap.
5. `holdfast verify` finds nothing: the tables say of approvals, operations and the like what the
   records say.
"""
import collections
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


def guarded_requests(stack):
    """(call key, time received) of what the simulator got, oldest first."""
    found = []
    for request in stack.simulator.requests():
        if request["method"] == "POST" and GUARDED.search(request["target"] or ""):
            headers = {name.lower(): value for name, value in request["headers"]}
            key = call_key("POST", request["target"], headers.get("client-request-id"))
            found.append((key, seconds(request["time"])))
    return found


def call_key(method, target, client_request_id):
    return method, target, client_request_id


def unheralded(log, delivered):
    """Guarded requests that reached the simulator without an earlier committed intent."""
    intents = {}
    for entry, committed in log:
        if entry["kind"] == "intent":
            request = entry["request"]
            key = call_key(request["method"], request["target"], request["client_request_id"])
            intents.setdefault(key, []).append(committed)
    problems, used = [], {}
    for key, received in delivered:
        earlier = [when for when in intents.get(key, []) if when <= received]
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


def badly_ended(log):
    """Intents with other than one terminal record, and endings of what was not there to end."""
    problems = [f"operation {operation} has terminal records {results}"
                for operation, results in terminal_records(log).items() if len(results) != 1]
    begun, ended = set(), {}
    for entry, _ in log:
        operation = entry.get("operation_id")
        if entry["kind"] == "intent":
            begun.add(operation)
        elif entry["kind"] == "outcome":
            ended[operation] = entry["outcome"]["result"]
            if operation not in begun:
                problems.append(f"operation {operation} ended without having begun")
        elif entry["kind"] == "reconciliation" and ended.get(operation) != "unknown":
            problems.append(f"operation {operation} was reconciled though it was not unknown")
    return problems


def settled_log(stack):
    """The log once every intent has its terminal record, or when waiting for that was in vain."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        log = entries_with_commit_times(stack)
        if all(terminal_records(log).values()) or time.monotonic() > deadline:
            return log
        time.sleep(0.1)


def incomplete(stack):
    """What the database's own books say against the log."""
    problems = []
    count, end, head, still_open = stack.cluster.sql(
        "SELECT count(*), coalesce(max(index) + 1, 0), (SELECT next_index FROM holdfast.log_head), "
        "(SELECT count(*) FROM holdfast.open_operations) FROM holdfast.log").split("|")
    if not count == end == head:
        problems.append(f"{count} entries, but the last index is before {end}, the head at {head}")
    if still_open != "0":
        problems.append(f"{still_open} operations are still open")
    return problems


def unverified(stack):
    # What a dying database did not take is signed once more before the file and it agree again.
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline and stack.cluster.sql(
            "SELECT h.next_index = (SELECT max(size) FROM holdfast.tree_checkpoints) "
            "FROM holdfast.log_head h") != "t":
        time.sleep(0.1)
    status, output, errors = stack.run("verify", check=False)
    return [] if status == 0 else [f"verify ends with status {status}: {errors}{output}"]


def known_results(log):
    """operation id -> what each of its endings says; the late truth of what was unknown counts."""
    results = terminal_records(log)
    for entry, _ in log:
        # Not what others found out later: the client was told what was known when it was.
        if entry["kind"] == "reconciliation" and "reported" in entry["outcome"]:
            results[entry["operation_id"]] = [entry["outcome"]["reported"]]
    return results


def expected_result(answer):
    """The outcome that an answer to a call with an intent implies."""
    if answer.code == "HoldfastOutcomeUnknown":
        return "unknown"
    if answer.code == "HoldfastUpstreamUnreachable":
        return "not_sent"
    return "executed" if answer.status < 300 else "refused"


def contradiction(answer, kinds, recorded, times_delivered):
    """Why this answer and the log cannot both be true; None when they can."""
    if times_delivered > 1:
        return f"delivered {times_delivered} times"
    if answer.status is None:
        return None
    if answer.record is not None and answer.record not in kinds:
        return "the log holds no such record"
    if answer.code == "HoldfastAuditUnavailable":
        # An intent whose commit was in doubt may have come true; it was not sent.
        true = recorded in ([], [["not_sent"]]) and times_delivered == 0
        return None if true else f"the log says {recorded}, delivered {times_delivered} times"
    if not recorded and answer.record is None:
        return None  # Not a guarded call.
    # An answer that names another record, or none, says that nothing was begun.
    wanted = expected_result(answer) if kinds.get(answer.record) == "intent" else None
    if recorded != ([] if wanted is None else [[wanted]]):
        return f"the log says {recorded}"
    if wanted in (None, "not_sent") and times_delivered:
        return "delivered all the same"
    if wanted in ("executed", "refused") and not times_delivered:
        return "never delivered"
    return None


def contradictions(log, answered, delivered):
    kinds = {entry["id"]: entry["kind"] for entry, _ in log}
    results, by_call = known_results(log), {}
    for entry, _ in log:
        if entry["kind"] == "intent":
            by_call.setdefault(entry["request"]["client_request_id"], []).append(
                results[entry["operation_id"]])
    problems = []
    times_delivered = collections.Counter(key[2] for key, _ in delivered)
    for answer in answered:
        times = times_delivered[answer.client_request_id]
        why = contradiction(answer, kinds, by_call.get(answer.client_request_id, []), times)
        if why:
            problems.append(f"{answer}: {why}")
    return problems


def check_invariants(stack, answered):
    """Lines saying what is broken; none when all holds. Waits for open operations to settle."""
    log = settled_log(stack)
    delivered = guarded_requests(stack)
    return (unheralded(log, delivered) + badly_ended(log) + incomplete(stack)
            + contradictions(log, answered, delivered) + unverified(stack))
