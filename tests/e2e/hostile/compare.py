"""The hostile cases through nginx and HAProxy, and how what they do differs from Holdfast.

    compare.py record    plays all cases, writes differences.tsv and docs/hostile_input.md
    compare.py check     whether both are current; plays every fifth case, all with FULL_TESTS

What Holdfast does is in the cases, and the suite checks it; here only the peers are run.
"""
import concurrent.futures
import contextlib
import fnmatch
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "support")]

from case import TAG_FORM  # noqa: E402
from cases import all_cases, one_case  # noqa: E402
from check import arrived  # noqa: E402
from exchange import SimulatorLog, new_tag, play  # noqa: E402
from peers import running, version  # noqa: E402
from reasons import REASONS  # noqa: E402
from verdict import of_holdfast, of_peer  # noqa: E402

PEERS = {"nginx": "nginx", "haproxy": "HAProxy"}
TABLE = HERE / "differences.tsv"
PAGE = ROOT / "docs" / "hostile_input.md"
CALLER = "requester"
AT_ONCE = 8
SAMPLE = 5
# How long an answer, or a request nobody answers, is waited for. A verdict that is not the expected
# one counts only when it is the same with the last of these: a busy machine changes no verdict.
PATIENCE_S = (1, 5, 30)
KINDS = ("plain", "guarded")
INTRODUCTION = """# Hostile input: Holdfast, nginx and HAProxy

Written by `tests/e2e/hostile/compare.py record` with the explanations in `reasons.py` beside it. A
test checks that it is current.

The suite in `tests/e2e/hostile` sends {cases} cases as raw bytes through Holdfast and checks each
against what reaches a simulated Graph that logs bytes. The same bytes go through nginx {nginx} and
HAProxy {haproxy} as plain reverse proxies with default settings. {same} cases have the same result
everywhere; the other {differing} are below, every one. Compared is what reaches the upstream:
requests, their methods, targets and bodies, and whether they are well-formed. A refusal counts as
one whatever its number.

Most of what the peers let through is legal, or made harmless by them: they are built to serve what
is out there. Holdfast decides by its reading of a request whether data may be destroyed, so it
forwards only what can be read in one way; clients of Graph send nothing else.

Where a case's name holds `*`, it stands for `plain` and `guarded`: the same trick with an ordinary
call and with one that Holdfast guards. The words:
- *refused*: no request reached the upstream.
- *forwarded*: one well-formed request did; *all* or a number where the case has several.
- *forwarded malformed*: passed on in a form that a strict upstream refuses.
- *hidden request forwarded*: what is a body by one reading went out as a request of its own.
- *with fields of one hop*: the request had fields that concern one connection only.
"""


def chosen_names():
    names = list(all_cases(TAG_FORM, "token"))
    return names if os.environ.get("FULL_TESTS") else names[::SAMPLE]


def verdict(peer, name, patience):
    tag = new_tag()
    case = one_case(name, tag, peer.simulator.tokens[CALLER])
    log = SimulatorLog(peer.simulator.port)
    start = log.count()
    play(case.connections, peer.port, f"/v1.0/me?settle={tag}", patience)
    return of_peer(case, tag, arrived(log, start, tag, case, patience)[1])


def verdict_or_expected(peer, name, expected):
    """The peer's verdict on the case; patient with it where it is not the expected one."""
    for patience in PATIENCE_S:
        found = verdict(peer, name, patience)
        if found == expected:
            break
    return found


def verdicts(names, expected):
    """peer -> case -> verdict; `expected` has the same form."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="holdfast-peers-") as folder, \
            contextlib.ExitStack() as stack, \
            concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name in PEERS:
            peer = stack.enter_context(running(name, pathlib.Path(folder) / name))
            said = pool.map(lambda case, peer=peer, name=name: verdict_or_expected(
                peer, case, expected[name][case]), names)
            found[name] = dict(zip(names, said))
    return found


def holdfast():
    return {name: of_holdfast(case) for name, case in all_cases(TAG_FORM, "token").items()}


def read_table():
    """(versions, peer -> case -> verdict for all cases)"""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    versions = dict(zip(PEERS, lines[0].split("\t")[1:]))
    rows = [line.split("\t") for line in lines[1:]]
    return versions, {peer: holdfast() | {row[0]: row[1 + at] for row in rows}
                      for at, peer in enumerate(PEERS)}


def differing(found):
    return [name for name, ours in holdfast().items()
            if any(found[peer][name] != ours for peer in PEERS)]


def write_table(versions, found):
    rows = [["case", *versions.values()]]
    rows += [[name, *(found[peer][name] for peer in PEERS)] for name in differing(found)]
    TABLE.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def by_reason(names):
    """(reason -> its cases, what is wrong with the reasons)"""
    problems, cases = [], {reason.title: [] for reason in REASONS}
    used = set()
    for name in names:
        matching = [(reason.title, pattern) for reason in REASONS
                    for pattern in reason.cases.split() if fnmatch.fnmatchcase(name, pattern)]
        used.update(matching)
        titles = list(dict.fromkeys(title for title, _ in matching))
        if len(titles) != 1:
            problems.append(f"{name} has {titles or 'no'} reasons in reasons.py")
        for title in titles:
            cases[title].append(name)
    problems += [f"reasons.py: nothing that differs is called {pattern} ({reason.title})"
                 for reason in REASONS for pattern in reason.cases.split()
                 if (reason.title, pattern) not in used]
    return cases, problems


def without_kinds(names):
    """Two names that differ in the kind of call become one."""
    found = []
    for name in names:
        group, _, leaf = name.partition(".")
        kind, _, rest = leaf.partition("_")
        both = kind in KINDS and all(f"{group}.{each}_{rest}" in names for each in KINDS)
        found.append(f"{group}.*_{rest}" if both else name)
    return list(dict.fromkeys(found))


def page(versions, found):
    names, ours = differing(found), holdfast()
    parts = [INTRODUCTION.format(cases=len(ours), same=len(ours) - len(names),
                                 differing=len(names), **versions)]
    cases, _ = by_reason(names)
    for reason in REASONS:
        rows = {}
        for name in cases[reason.title]:
            rows.setdefault((ours[name], *(found[peer][name] for peer in PEERS)), []).append(name)
        parts.append(f"\n## {reason.title}\n{reason.text}\n\n"
                     f"| cases | Holdfast | {' | '.join(PEERS.values())} |\n"
                     "| --- | --- | --- | --- |\n")
        parts += [f"| {', '.join(f'`{each}`' for each in without_kinds(members))} "
                  f"| {' | '.join(said)} |\n" for said, members in rows.items()]
    return "".join(parts)


def record():
    versions = {peer: version(peer) for peer in PEERS}
    names = list(holdfast())
    found = verdicts(names, read_table()[1])
    write_table(versions, found)
    PAGE.write_text(page(versions, found), encoding="utf-8")
    return by_reason(differing(found))[1]


def check():
    versions, recorded = read_table()
    problems = by_reason(differing(recorded))[1]
    if PAGE.read_text(encoding="utf-8") != page(versions, recorded):
        problems.append(f"{PAGE.name} is not what differences.tsv and reasons.py make of it")
    installed = {peer: version(peer) for peer in PEERS}
    if installed != versions:
        return [*problems, f"recorded with {versions}, here are {installed}"]
    names = chosen_names()
    found = verdicts(names, recorded)
    problems += [f"{PEERS[peer]}, {name}: {found[peer][name]}, recorded {recorded[peer][name]}"
                 for peer in PEERS for name in names if found[peer][name] != recorded[peer][name]]
    return problems and [*problems, "compare.py record writes the table anew"]


if __name__ == "__main__":
    if problems_found := {"record": record, "check": check}[sys.argv[1]]():
        sys.exit("\n".join(problems_found))
