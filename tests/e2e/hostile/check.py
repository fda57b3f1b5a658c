"""Whether a case went as it must: answers, what reached Graph, and whose framing it had."""
import re
import time

from case import GRAPH
from exchange import play

PATIENCE_S = 15
ARRIVAL_S = 20
MARKER = b"hostile-"  # In every tag.
CUT = "malformed: the connection closed inside a body"
# The proxy's own lookups about the caller; asked once, before the cases.
LOOKUP = re.compile(r"/v1\.0/(?:me|organization|users/[^/?]+)\?\$select=[A-Za-z,]+")
ONE_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect",
           "proxy-authorization"}


def ignored(entry, tag):
    """The probe and settling requests; they are answered, and that is all that is asked of them."""
    return (entry["target"] or "").startswith((f"/v1.0/me?settle={tag}", f"/v1.0/me?probe={tag}"))


def framing_problem(entry, authority):
    """What in the bytes of one request shows that the framing is not the proxy's own."""
    head, _, rest = entry["raw"].partition(b"\r\n\r\n")
    fields = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
    named = [(name.decode("latin-1").lower(), value) for name, _, value in fields]
    hosts = [value for name, value in named if name == "host"]
    framing = [(name, value) for name, value in named
               if name in ("content-length", "transfer-encoding")]
    if hosts != [authority.encode()]:
        return f"Host is {hosts}"
    allowed = ([("content-length", b"%d" % len(entry["body"]))],
               [("transfer-encoding", b"chunked")])
    if framing not in allowed and (framing or rest):
        return f"framed by {framing}"
    hop = ONE_HOP & {name for name, _ in named}
    if hop:
        return f"headers of one hop travelled on: {sorted(hop)}"
    if framing == allowed[0] and rest != entry["body"]:
        return "the bytes are not the body"
    return None


def entry_problem(entry, case, authority):
    if case.cut and entry["did"] == CUT:
        return None
    if entry["did"].startswith("malformed"):
        return f"Graph found it {entry['did']}"
    return framing_problem(entry, authority)


def forwarded_problems(case, entries, authority):
    problems = [problem for entry in entries
                if (problem := entry_problem(entry, case, authority))]
    whole = [(entry["method"], entry["target"], entry["body"]) for entry in entries
             if not entry["did"].startswith("malformed")]
    wanted = [(each.method, each.target, each.body) for each in case.forwarded]
    if case.optional and not whole:
        wanted = []
    if whole != wanted:
        problems.append(f"Graph got {[shown(each) for each in whole]}, "
                        f"not {[shown(each) for each in wanted]}")
    if len(entries) - len(whole) > 1:
        problems.append("more than one cut request")
    return problems


def shown(request):
    method, target, body = request
    return f"{method} {target[:80]} + {len(body)} bytes"


def answer_problems(case, heard, entries):
    """Graph's own answers must be passed on in order; each other answer is Holdfast's error."""
    by_graph = [entry["status"] for entry in entries if entry["status"] is not None]
    problems = []
    for one in heard:
        statuses = one.statuses()
        answers = case.answers
        if case.may_close and len(statuses) < len(answers):
            answers = answers[:-1]
        matching = len(statuses) == len(answers) and all(
            status in by_graph if wanted == GRAPH else status == wanted
            for status, wanted in zip(statuses, answers))
        if not matching:
            problems.append(f"answered {statuses}, not {case.answers}: {one.data[:2000]!r}")
        if not one.ended:
            problems.append(f"the connection was left waiting after {statuses}")
        errors = one.data.count(b'"code":"HoldfastBadRequest"')
        if matching and errors != sum(wanted != GRAPH for wanted in case.answers):
            problems.append(f"{errors} errors by Holdfast: {one.data[:2000]!r}")
    return problems[:5]


def arrived(log, start, tag, case, patience=ARRIVAL_S):
    """What the simulator got since `start` for this case; waits for what nobody answers."""
    deadline = time.monotonic() + patience
    while True:
        entries = log.since(start)
        mine = [entry for entry in entries
                if tag.encode() in entry["raw"] and not ignored(entry, tag)]
        unanswered = case.forwarded and not case.answers and not case.optional
        if not unanswered or mine or time.monotonic() > deadline:
            return entries, mine


def strays(entries):
    return [entry for entry in entries if MARKER not in entry["raw"]
            and not LOOKUP.fullmatch(entry["target"] or "")]


def check(case, tag, port, log, authority):
    """Plays the case and returns what is wrong, as lines."""
    start = log.count()
    heard = play(case.connections, port, f"/v1.0/me?settle={tag}", PATIENCE_S)
    entries, mine = arrived(log, start, tag, case)
    problems = forwarded_problems(case, mine, authority)
    all_mine = [entry for entry in entries if tag.encode() in entry["raw"]]
    problems += answer_problems(case, heard, all_mine)
    problems += [f"reached Graph and is nobody's: {entry['raw'][:200]!r}"
                 for entry in strays(entries)]
    return problems
