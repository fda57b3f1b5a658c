"""Changing a mailbox: permanent delete, recall, send, move, create, update, ordinary delete."""
import base64
import hashlib
import uuid

from .http1 import Answer
from .listing import describe, json_answer
from .problem import Problem, malformed_id, not_found
from .tenant import message

# Headers that are Holdfast's business with its clients and must never travel on.
NOT_FOR_GRAPH = ("holdfast-", "x-msft-approval-")


def check_guarded(call):
    """A destructive call has no body and carries nothing that was meant for a proxy."""
    if call.body:
        raise Problem(400, "BadRequest", "This action takes no request body.")
    for name in call.fields:
        if name.startswith(NOT_FOR_GRAPH):
            raise Problem(400, "BadRequest", f"The header {name} is not for this server.")


def run(tenant, call, node, action):
    if action == "permanentdelete":
        return permanent_delete(call, node)
    if action == "recall":
        return recall(call, node)
    if action == "move":
        return move(call, node)
    if action == "sendmail":
        return send_mail(tenant, call, node)
    return send_draft(tenant, node)


def permanent_delete(call, node):
    check_guarded(call)
    if node.members is not None:
        raise Problem(405, "Request_BadRequest", "The action is bound to one item.")
    if node.entity.wellknown:
        raise Problem(403, "ErrorDeleteDistinguishedFolder",
                      "Distinguished folders cannot be deleted.")
    node.owner.mailbox.purge(node.entity)
    return Answer(204, did=f"permanentDelete {node.type}", acted=True)


def recall(call, node):
    """202 with the body of Graph's documentation, which claims to be JSON and is not."""
    check_guarded(call)
    if node.entity.parent.wellknown != "sentitems":
        raise Problem(400, "ErrorInvalidRequest",
                      "Only a message in the Sent Items folder can be recalled.")
    node.entity.recalled = True
    digest = hashlib.sha256(node.entity.immutable_id.encode()).digest()
    name = base64.b32encode(digest).decode()
    text = ('{\r\n  "Successfully submitted recall request to Hub server '
            'LV8PR00MB1800.NAMPRD00.PROD.OUTLOOK.COM, MessageId is '
            f'{name[:13]}.{name[13:26]}@dm6pr00mb0830."\r\n}}\r\n')
    return Answer(202, text.encode(), [("Content-Type", "application/json")],
                  did="recall message", acted=True)


def move(call, node):
    wanted = call.json().get("destinationId")
    box = node.owner.mailbox
    folder = box.wellknown.get(str(wanted).lower()) or box.by_id.get(wanted)
    if folder is None:
        raise malformed_id()
    if folder.type != "mailFolder":
        raise not_found()
    box.place(node.entity, folder)
    answer = json_answer(describe(node.entity, call.immutable_ids()), "move message", 201)
    answer.acted = True
    return answer


def deliver(tenant, sender, data):
    """Puts a sent message into Sent Items and into the inboxes of the tenant's recipients."""
    box = sender.mailbox
    sent = box.add("message", box.wellknown["sentitems"], data)
    for recipient in data.get("toRecipients", []):
        address = recipient.get("emailAddress", {}).get("address", "")
        user = tenant.find_user(address)
        if user is not None:
            user.mailbox.add("message", user.mailbox.wellknown["inbox"], dict(data))
    return sent


def send_mail(tenant, call, node):
    wanted = call.json().get("message")
    if not isinstance(wanted, dict) or not isinstance(wanted.get("toRecipients"), list):
        raise Problem(400, "ErrorInvalidRecipients",
                      "At least one recipient is not valid.")
    data = message(node.owner, "", 1, sent=True)
    data.update(wanted, internetMessageId=f"<{uuid.uuid4()}@contoso.com>")
    deliver(tenant, node.owner, data)
    return Answer(202, did="sendMail", acted=True)


def send_draft(tenant, node):
    if not node.entity.data.get("isDraft"):
        raise Problem(400, "ErrorInvalidRequest", "Only a draft can be sent.")
    node.entity.data["isDraft"] = False
    box = node.owner.mailbox
    box.place(node.entity, box.wellknown["sentitems"])
    return Answer(202, did="send message", acted=True)


def create(call, node):
    data = call.json()
    if node.type == "message":
        parent = node.parent or node.owner.mailbox.wellknown["drafts"]
        data = {**message(node.owner, "", 1, sent=True), "isDraft": True, **data}
    else:
        parent = node.parent or default_parent(node)
    item = node.owner.mailbox.add(node.type, parent, data)
    answer = json_answer(describe(item, call.immutable_ids()), f"create {node.type}", 201)
    answer.headers.append(
        ("Location", f"{call.origin}/{call.path.version}/users/{node.owner.id}/items/{item.id}"))
    answer.acted = True
    return answer


def default_parent(node):
    name = {"event": "calendar", "contact": "contacts", "outlookTask": "tasks"}.get(node.type)
    return node.owner.mailbox.wellknown.get(name) if name else None


def update(call, node):
    node.entity.data.update(call.json())
    answer = json_answer(describe(node.entity, call.immutable_ids()), f"update {node.type}")
    answer.acted = True
    return answer


def soft_delete(call, node):
    """An ordinary DELETE: recoverable, so messages only change their folder."""
    box = node.owner.mailbox
    if node.entity.wellknown:
        raise Problem(403, "ErrorDeleteDistinguishedFolder",
                      "Distinguished folders cannot be deleted.")
    deleted = box.wellknown.get("deleteditems")
    if deleted is not None and node.type in ("message", "mailFolder") \
            and node.entity.parent is not deleted:
        box.place(node.entity, deleted)
    else:
        box.purge(node.entity)
    return Answer(204, did=f"delete {node.type}", acted=True)
