"""The other channels through which Graph destroys mail for good."""
import re

from .actions import check_guarded
from .http1 import Answer
from .problem import Problem, not_found
from .tenant import TENANT_ID

MAILBOX_ID = re.compile(r"MBX:([0-9a-f-]{36})@([0-9a-f-]{36})", re.IGNORECASE)


def find(call, names):
    """The function that answers this call, or None."""
    if names[:3] == ["admin", "exchange", "mailboxes"] and "items" in names \
            and call.method == "DELETE" and call.path.version == "beta":
        return delete_item
    if names == ["security", "collaboration", "analyzedemails", "remediate"] \
            and call.method == "POST":
        return remediate
    if names[:2] == ["security", "cases"] and names[-1] == "purgedata" and call.method == "POST":
        return purge_data
    return None


def apps_only(call):
    if call.caller.kind != "app":
        raise Problem(403, "ErrorAccessDenied",
                      "Access is denied. Check credentials and try again.")


def delete_item(tenant, call):
    apps_only(call)
    check_guarded(call)
    segments = call.path.segments
    match = MAILBOX_ID.fullmatch(segments[3].key or segments[3].text) if len(segments) > 3 else None
    user = tenant.find_user(match.group(1)) if match else None
    if user is None or match.group(2).lower() != TENANT_ID:
        raise Problem(404, "ErrorInvalidMailboxId", "The mailbox does not exist.")
    item = user.mailbox.by_id.get(segments[-1].key or segments[-1].text)
    if item is None:
        raise not_found()
    if (call.path.option("disposaltype") or "").lower() == "harddelete":
        user.mailbox.purge(item)
        return Answer(204, did="hardDelete item", acted=True)
    user.mailbox.place(item, user.mailbox.wellknown["deleteditems"])
    return Answer(204, did="delete item", acted=True)


def remediate(tenant, call):
    apps_only(call)
    wanted = call.json()
    if not isinstance(wanted.get("action"), str) \
            or not isinstance(wanted.get("analyzedEmails"), list):
        raise Problem(400, "BadRequest", "action and analyzedEmails are required.")
    return Answer(202, b"", [("Location", f"{call.origin}/beta/security/auditLog/queries/1")],
                  did=f"remediate {wanted['action']}", acted=True)


def purge_data(tenant, call):
    apps_only(call)
    wanted = call.json()
    kind = wanted.get("purgeType", "recoverable")
    if kind not in ("recoverable", "permanentlyDelete", "permanentlyDeleted"):
        raise Problem(400, "BadRequest", "purgeType is not valid.")
    return Answer(202, b"", [("Location", call.origin + call.path.path)],
                  did=f"purgeData {kind}", acted=True)
