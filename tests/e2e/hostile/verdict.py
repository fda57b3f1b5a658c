"""What a proxy made of a case, in few words: the same words for Holdfast and for its peers.

Only what reached Graph counts. Which number a refusal has, and whether the connection goes on after
it, does not: servers differ there without anybody's being deceived.
"""
from check import CUT, ONE_HOP

# What a proxy may say to the next hop in its own name, or for the client.
OWN_FIELDS = {"connection", "expect"}
OWN_OPTIONS = {"close", "keep-alive"}
REFUSED = "refused"


def in_words(case, whole, altered=False, malformed=False, hidden=False, one_hop=False):
    """`whole`: how many well-formed requests, the hidden ones not among them."""
    words = []
    if whole:
        every = whole in (len(case.forwarded), len(case.connections)) and whole > 1
        count = "all " if every else f"{whole} " if whole > 1 else ""
        words.append(f"{count}forwarded" + " altered" * altered)
    words += ["forwarded malformed"] if malformed else []
    words += ["hidden request forwarded"] if hidden else []
    words += ["with fields of one hop"] if one_hop else []
    return ", ".join(words) or REFUSED


def of_holdfast(case):
    """What the suite demands of Holdfast; each case's own test checks it."""
    return in_words(case, len(case.forwarded))


def has_fields_of_one_hop(entry):
    for line in entry["raw"].partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").lower().partition(":")
        options = {option.strip() for option in value.split(",")}
        if name in ONE_HOP - OWN_FIELDS or name == "connection" and options - OWN_OPTIONS:
            return True
    return False


def of_peer(case, tag, entries):
    """`entries`: what of the case its Graph got."""
    entries = [entry for entry in entries if entry["did"] != CUT]
    hidden = [entry for entry in entries if f"{tag}-smuggled" in (entry["target"] or "")]
    malformed = [entry for entry in entries if entry not in hidden
                 and entry["did"].startswith("malformed")]
    whole = [entry for entry in entries if entry not in hidden + malformed]
    got = sorted((entry["method"], entry["target"], entry["body"]) for entry in whole)
    wanted = sorted((each.method, each.target, each.body) for each in case.forwarded)
    one_hop = any(has_fields_of_one_hop(entry) for entry in whole)
    return in_words(case, len(whole), altered=len(got) == len(wanted) and got != wanted,
                    malformed=bool(malformed), hidden=bool(hidden), one_hop=one_hop)
