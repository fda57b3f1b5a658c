"""Reading: one entity, a page of a collection, a count, a message's MIME bytes."""
import json
from urllib.parse import quote

from .http1 import Answer
from .problem import Problem, no_segment
from .tenant import Item

TOP_DEFAULT, TOP_MAX = 10, 1000
OPTIONS = {"top", "skip", "select", "count", "orderby", "expand", "filter", "search", "skiptoken"}
NOT_SUPPORTED = {"filter", "search", "skiptoken"}
JSON_TYPE = ("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;"
             "IEEE754Compatible=false;charset=utf-8")
PARENT_NAMES = {"message": "parentFolderId", "mailFolder": "parentFolderId",
                "contact": "parentFolderId", "contactFolder": "parentFolderId",
                "outlookTask": "parentFolderId", "outlookTaskFolder": "parentGroupKey"}


def item_id(item, immutable):
    return item.immutable_id if immutable else item.id


def describe(entity, immutable):
    """The JSON members of an entity."""
    if not isinstance(entity, Item):
        return entity.describe() if hasattr(entity, "describe") else dict(entity)
    members = {"@odata.etag": f'W/"{entity.uid}.{entity.moves}"',
               "id": item_id(entity, immutable), **entity.data}
    parent_name = PARENT_NAMES.get(entity.type)
    if parent_name and entity.parent is not None:
        members[parent_name] = item_id(entity.parent, immutable)
    return members


def select(members, wanted):
    if not wanted:
        return members
    names = {name.strip().lower() for name in wanted.split(",")}
    return {name: value for name, value in members.items()
            if name.lower() in names or name.startswith("@odata") or name == "id"}


def check_options(call):
    """System options with or without '$'; what this stand-in cannot do is refused, not ignored."""
    for name, _ in call.path.options:
        bare = name.lower().removeprefix("$")
        if name.startswith("$") and bare not in OPTIONS:
            raise Problem(400, "BadRequest",
                          f"The query parameter '{name}' is not supported.")
        if bare in NOT_SUPPORTED:
            raise Problem(501, "NotImplemented", f"{name} is not supported by this simulator.")


def number(call, name, default, most):
    text = call.path.option(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise Problem(400, "ErrorInvalidUrlQuery", f"Invalid value '{text}' for ${name}.")
    return int(text)


def json_answer(value, did, status=200, chunked=False):
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(status, body, [JSON_TYPE], did=did, chunked=chunked)


def context(call, node):
    return f"{call.origin}/{call.path.version}/$metadata#{node.type}"


def entity(call, node):
    check_options(call)
    members = select(describe(node.entity, call.immutable_ids()), call.path.option("select"))
    return json_answer({"@odata.context": context(call, node) + "/$entity", **members},
                       f"read {node.type}")


def collection(call, node):
    """One page; @odata.nextLink leads to the next, absolute, as Graph's does."""
    check_options(call)
    last = call.path.segments[-1].name
    if last == "calendarview" and not (call.path.option("startdatetime")
                                       and call.path.option("enddatetime")):
        raise Problem(400, "ErrorInvalidParameter",
                      "This request requires a time window specified by the query string "
                      "parameters StartDateTime and EndDateTime.")
    top, skip = number(call, "top", TOP_DEFAULT, TOP_MAX), number(call, "skip", 0, 10**9)
    members = node.members()
    page = [select(describe(member, call.immutable_ids()), call.path.option("select"))
            for member in members[skip:skip + top]]
    value = {"@odata.context": context(call, node)}
    if (call.path.option("count") or "").lower() == "true":
        value["@odata.count"] = len(members)
    value["value"] = page
    if top and skip + top < len(members):
        value["@odata.nextLink"] = next_link(call, top, skip + top)
    return json_answer(value, f"list {node.type}", chunked=True)


def next_link(call, top, skip):
    kept = [(name, value) for name, value in call.path.options
            if name.lower().removeprefix("$") not in ("top", "skip")]
    options = kept + [("$top", str(top)), ("$skip", str(skip))]
    query = "&".join(f"{quote(name, safe='$')}={quote(value, safe=',:')}"
                     for name, value in options)
    return f"{call.origin}{call.path.path}?{query}"


def tail(call, node, action, name):
    """$count of a collection, $value of a message."""
    if action or call.method != "GET":
        raise no_segment(name)
    if name == "$count" and node.members is not None:
        return Answer(200, str(len(node.members())).encode(), [("Content-Type", "text/plain")],
                      did=f"count {node.type}")
    if name == "$value" and node.members is None and node.type == "message":
        data = node.entity.data
        text = (f"Subject: {data['subject']}\r\nMessage-ID: {data.get('internetMessageId', '')}"
                f"\r\n\r\n{data['body']['content']}\r\n")
        return Answer(200, text.encode(), [("Content-Type", "text/plain")], did="read MIME")
    raise no_segment(name)
