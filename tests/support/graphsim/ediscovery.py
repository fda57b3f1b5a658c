"""eDiscovery: cases, their legal holds and the user sources of those, for reading.

A user source says nothing of a mailbox but its address: its id is the source's own. Pages are as
short as those of mailboxes, so that whoever does not follow @odata.nextLink misses somebody.
"""
import uuid

from . import listing
from .navigation import Node
from .problem import Problem, no_segment
from .tenant import DOMAIN, TENANT_ID

COLLECTION = "ediscoverycases"
PERMISSIONS = {"eDiscovery.Read.All", "eDiscovery.ReadWrite.All"}
CREATED = "2026-05-23T01:09:53Z"
# case, external id, status, its holds with the names before the @ of whom they hold
CASES = [
    ("Contoso v. Fabrikam", "CASE-17", "active",
     [("Custodians", ["held"] + [f"former{number:02d}" for number in range(1, 13)]),
      ("Board", ["ceo"])]),
    ("Old matter", "CASE-3", "closed", [("Custodians", ["megan"])]),
]


def made_id(*names):
    return str(uuid.uuid5(uuid.UUID(TENANT_ID), "ediscovery " + "/".join(names)))


def user_source(address):
    name = address.partition("@")[0]
    return {"displayName": name.capitalize(), "createdDateTime": CREATED, "holdStatus": "applied",
            "id": made_id("source", address), "email": address, "includedSources": "mailbox,site",
            "siteWebUrl": f"https://contoso-my.sharepoint.com/personal/{name}_contoso_com/",
            "createdBy": {"application": None,
                          "user": {"id": made_id("officer"), "displayName": None}}}


class Hold:
    def __init__(self, case, name, addresses):
        self.id = made_id("hold", case, name)
        self.name = name
        self.sources = [user_source(address) for address in addresses]

    def describe(self):
        officer = {"application": None, "user": {"id": "Officer", "displayName": None}}
        return {"isEnabled": True, "errors": [], "contentQuery": "", "description": None,
                "createdDateTime": CREATED, "lastModifiedDateTime": CREATED, "status": "success",
                "id": self.id, "displayName": self.name, "createdBy": officer,
                "lastModifiedBy": officer}

    def change(self, add, remove):
        gone = {address.lower() for address in remove}
        self.sources = [source for source in self.sources if source["email"].lower() not in gone]
        self.sources += [user_source(address) for address in add]


class Case:
    def __init__(self, name, external_id, status, holds):
        self.id = made_id("case", external_id)
        self.name, self.external_id, self.status = name, external_id, status
        self.holds = [Hold(external_id, hold, [f"{user}@{DOMAIN}" for user in users])
                      for hold, users in holds]

    def describe(self):
        return {"description": "", "lastModifiedDateTime": CREATED, "status": self.status,
                "closedDateTime": CREATED if self.status == "closed" else None,
                "externalId": self.external_id, "id": self.id, "displayName": self.name,
                "createdDateTime": CREATED}


def cases(tenant):
    if tenant.cases is None:
        tenant.cases = [Case(*row) for row in CASES]
    return tenant.cases


def find(call, names):
    """The function that answers this call, or None."""
    if names[:3] == ["security", "cases", COLLECTION] and call.method == "GET":
        return read
    return None


def read(tenant, call):
    if not call.caller.granted & PERMISSIONS:
        raise Problem(403, "Forbidden", "Insufficient privileges to complete the operation.")
    steps = []
    for segment in call.path.segments[2:]:
        steps.append(segment.name if segment.key is not None else segment.text)
        if segment.key is not None:
            steps.append(segment.key)
    node = Node("ediscoveryCase", members=lambda: cases(tenant))
    following = {"ediscoveryCase": ("legalholds", "ediscoveryHoldPolicy", "holds"),
                 "ediscoveryHoldPolicy": ("usersources", "userSource", "sources")}
    for step in steps[1:]:
        if node.members is not None:
            node = Node(node.type, entity=member(node, step))
            continue
        name, node_type, attribute = following.get(node.type, (None, None, None))
        if step.lower() != name:
            raise no_segment(step)
        node = Node(node_type, members=lambda at=node.entity, name=attribute: getattr(at, name))
    return listing.entity(call, node) if node.members is None else listing.collection(call, node)


def member(node, key):
    for one in node.members():
        if (one["id"] if isinstance(one, dict) else one.id) == key:
            return one
    raise Problem(404, "NotFound", f"Resource '{key}' does not exist.")


def overview(tenant):
    """For the control interface: who is on which hold."""
    return [{"case": case.id, "name": case.name, "status": case.status,
             "holds": [{"hold": hold.id, "name": hold.name,
                        "emails": [source["email"] for source in hold.sources]}
                       for hold in case.holds]} for case in cases(tenant)]


def change(tenant, wanted):
    """Adds and removes addresses of a hold, or sets its sources or the case's status as given."""
    unknown = set(wanted) - {"case", "hold", "add", "remove", "sources", "status"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    case = next((case for case in cases(tenant) if case.id == wanted.get("case")), None)
    if case is None:
        raise ValueError("no such case")
    case.status = wanted.get("status", case.status)
    if "hold" in wanted:
        hold = next((hold for hold in case.holds if hold.id == wanted["hold"]), None)
        if hold is None:
            raise ValueError("no such hold")
        hold.change(wanted.get("add", []), wanted.get("remove", []))
        hold.sources = wanted.get("sources", hold.sources)
    return overview(tenant)
