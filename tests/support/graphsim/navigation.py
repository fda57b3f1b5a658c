"""From the segments of a path to the thing it names: an entity, a collection or an action.

The walk follows Graph's own containment (folders in folders, events through messages, calendars
through groups); a segment that does not belong where it stands is a 400, as in Graph.
"""
from .problem import Problem, malformed_id, no_segment, not_found
from .tenant import WELL_FORMED_ID, TENANT_ID

# Actions by the type they bind to; the set says in which versions they exist.
BOTH, BETA = frozenset({"v1.0", "beta"}), frozenset({"beta"})
ACTIONS = {
    ("message", "permanentdelete"): BOTH, ("event", "permanentdelete"): BOTH,
    ("contact", "permanentdelete"): BOTH, ("calendar", "permanentdelete"): BOTH,
    ("mailFolder", "permanentdelete"): BOTH, ("contactFolder", "permanentdelete"): BOTH,
    ("outlookTask", "permanentdelete"): BETA, ("outlookTaskFolder", "permanentdelete"): BETA,
    ("message", "recall"): BETA, ("message", "move"): BOTH, ("message", "send"): BOTH,
    ("user", "sendmail"): BOTH,
}
FAMILY = {"message": "Mail", "mailFolder": "Mail", "event": "Calendars", "calendar": "Calendars",
          "calendarGroup": "Calendars", "contact": "Contacts", "contactFolder": "Contacts",
          "outlookTask": "Tasks", "outlookTaskFolder": "Tasks", "outlookTaskGroup": "Tasks"}


class Node:
    """Where the walk stands: on an entity, or on a collection (`members` is then a function)."""

    __slots__ = ("type", "owner", "entity", "members", "parent", "anywhere")

    def __init__(self, node_type, owner=None, entity=None, members=None, parent=None,
                 anywhere=False):
        self.type = node_type
        self.owner = owner        # The user or group whose data this is.
        self.entity = entity
        self.members = members    # Of a collection: a function returning its entities.
        self.parent = parent      # Of a collection: the folder that new members go to.
        self.anywhere = anywhere  # A key may name any of that type in the mailbox, listed or not.


def items(owner, item_type, parent=None, anywhere=False):
    box = owner.mailbox
    return Node(item_type, owner, members=lambda: box.of_type(item_type, parent),
                parent=parent, anywhere=anywhere)


def top_folders(owner, item_type, inside=None):
    """Folders at the top level; a key may name any folder at any depth."""
    box = owner.mailbox
    return Node(item_type, owner, anywhere=inside is None,
                members=lambda: [f for f in box.of_type(item_type) if f.parent is inside])


def wellknown(owner, item_type, name):
    entity = owner.mailbox.wellknown.get(name)
    if entity is None:
        raise not_found()
    return Node(item_type, owner, entity)


def occurrences(owner, master, kinds):
    return Node("event", owner, members=lambda: [
        item for item in owner.mailbox.items.values()
        if item.master is master and item.data["type"] in kinds])


def event_of(node):
    if node.entity.event is None:
        raise not_found()
    return Node("event", node.owner, node.entity.event)


def calendar_of(node):
    return Node("calendar", node.owner, node.entity.parent)


STEPS = {
    "user": {
        "messages": lambda n: items(n.owner, "message", anywhere=True),
        "mailfolders": lambda n: top_folders(n.owner, "mailFolder"),
        "events": lambda n: items(n.owner, "event", anywhere=True),
        "calendarview": lambda n: items(n.owner, "event", anywhere=True),
        "calendar": lambda n: wellknown(n.owner, "calendar", "calendar"),
        "calendars": lambda n: items(n.owner, "calendar", anywhere=True),
        "calendargroups": lambda n: items(n.owner, "calendarGroup"),
        "contacts": lambda n: items(n.owner, "contact", anywhere=True),
        "contactfolders": lambda n: top_folders(n.owner, "contactFolder"),
        "outlook": lambda n: Node("outlook", n.owner, n.owner),
    },
    "group": {
        "events": lambda n: items(n.owner, "event", anywhere=True),
        "calendarview": lambda n: items(n.owner, "event", anywhere=True),
        "calendar": lambda n: wellknown(n.owner, "calendar", "calendar"),
    },
    "mailFolder": {
        "messages": lambda n: items(n.owner, "message", n.entity),
        "childfolders": lambda n: top_folders(n.owner, "mailFolder", n.entity),
    },
    "contactFolder": {
        "contacts": lambda n: items(n.owner, "contact", n.entity),
        "childfolders": lambda n: top_folders(n.owner, "contactFolder", n.entity),
    },
    "calendarGroup": {"calendars": lambda n: items(n.owner, "calendar", n.entity)},
    "calendar": {
        "events": lambda n: items(n.owner, "event", n.entity),
        "calendarview": lambda n: items(n.owner, "event", n.entity),
    },
    "message": {"event": event_of},
    "event": {
        "calendar": calendar_of,
        "instances": lambda n: occurrences(n.owner, n.entity, {"occurrence", "exception"}),
        "exceptionoccurrences": lambda n: occurrences(n.owner, n.entity, {"exception"}),
    },
    "outlook": {
        "tasks": lambda n: items(n.owner, "outlookTask", anywhere=True),
        "taskfolders": lambda n: items(n.owner, "outlookTaskFolder", anywhere=True),
        "taskgroups": lambda n: items(n.owner, "outlookTaskGroup"),
    },
    "outlookTaskGroup": {"taskfolders": lambda n: items(n.owner, "outlookTaskFolder", n.entity)},
    "outlookTaskFolder": {"tasks": lambda n: items(n.owner, "outlookTask", n.entity)},
}
CASTS = {"message": {"message", "eventmessage", "eventmessagerequest"}, "event": {"event"},
         "contact": {"contact"}, "user": {"user"}}


def start(tenant, caller, segment):
    """The node of a path's first segment, or None when it is none of the mailbox roots."""
    if segment.name == "me":
        if caller.kind != "user":
            raise Problem(400, "BadRequest",
                          "/me request is only valid with delegated authentication flow.")
        user = tenant.find_user(caller.object_id)
        return Node("user", user, user)
    if segment.name == "users":
        return Node("user", members=lambda: tenant.users)
    if segment.name == "groups":
        return Node("group", members=lambda: tenant.groups)
    if segment.name == "organization":
        return Node("organization", members=lambda: [{"id": TENANT_ID, "displayName": "Contoso"}])
    return None


def find(node, key, tenant, deeper):
    """The entity of a collection that a key names."""
    if node.type in ("user", "group"):
        owner = tenant.find_user(key) if node.type == "user" else tenant.find_group(key)
        if owner is None and deeper and node.type == "user":
            raise Problem(404, "ErrorInvalidUser", f"The requested user '{key}' is invalid.")
        if owner is None:
            raise Problem(404, "Request_ResourceNotFound",
                          f"Resource '{key}' does not exist or one of its queried "
                          "reference-property objects are not present.")
        return Node(node.type, owner, owner)
    if node.type == "organization":
        if key.lower() != TENANT_ID:
            raise Problem(404, "Request_ResourceNotFound", f"Resource '{key}' does not exist.")
        return Node(node.type, None, node.members()[0])
    box = node.owner.mailbox
    entity = box.wellknown.get(key.lower())
    if entity is None or entity.type != node.type:
        if not WELL_FORMED_ID.fullmatch(key):
            raise malformed_id()
        entity = box.by_id.get(key)
    if entity is None or entity.type != node.type:
        raise not_found()
    if not node.anywhere and not any(entity is member for member in node.members()):
        raise not_found()
    return Node(node.type, node.owner, entity)


def walk(tenant, caller, version, segments, enter):
    """(node, action name or None). `enter(node)` is called before a mailbox's data is touched."""
    node = start(tenant, caller, segments[0])
    if node is None:
        raise no_segment(segments[0].text)
    rest, entered = list(segments[1:]), False
    if segments[0].key is not None:
        if node.members is None:
            raise no_segment(segments[0].text)
        node = find(node, segments[0].key, tenant, deeper=bool(rest))
    while rest:
        segment = rest.pop(0)
        if node.members is not None:
            if segment.text.lower().startswith("microsoft.graph."):
                if segment.name not in CASTS.get(node.type, ()):
                    raise no_segment(segment.text)
                continue
            node = find(node, segment.text, tenant, deeper=bool(rest))
            continue
        if segment.name in CASTS.get(node.type, ()) and "." in segment.text:
            continue
        versions = ACTIONS.get((node.type, segment.name))
        if versions is not None and segment.key is None and not rest:
            if version not in versions:
                raise no_segment(segment.text)
            if not entered:
                enter(node if node.type in FAMILY else Node("message", node.owner))
            return node, segment.name
        step = STEPS.get(node.type, {}).get(segment.name)
        if step is None or segment.called or (segment.name == "outlook" and version != "beta"):
            raise no_segment(segment.text)
        node = step(node)
        if not entered and node.type in FAMILY:
            enter(node)
            entered = True
        if segment.key is not None:
            if node.members is None:
                raise no_segment(segment.text)
            node = find(node, segment.key, tenant, deeper=bool(rest))
    return node, None
