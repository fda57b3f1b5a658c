"""The control interface under /_control/, for tests and the demo.

GET  /_control/requests            every request received, in order (?since=N: those after the Nth)
GET  /_control/count               how many that were, as {"count": N}
POST /_control/faults              arms a fault, see faults.py; GET lists, DELETE takes all away
POST /_control/reset               the seeded state again; no requests, no faults
GET  /_control/mailboxes/{user}    what lies in a mailbox now (?ids=immutable)
GET  /_control/mailboxes           the same for every user
GET  /_control/ediscovery           the cases, their legal holds and whom they hold
POST /_control/ediscovery          changes a hold: {"case", "hold", "add": [emails], "remove"}, or its
                                   "sources" as they are to be, or the case's "status"
POST /_control/tokens              mints a token: {"user": upn} or {"app": id, "roles": [...]},
                                   with "expires_in" seconds, "scopes" and "claims" if wanted
GET  /_control/ready               200 once the simulator serves
"""
import json
from urllib.parse import parse_qsl, unquote

from . import ediscovery
from .faults import BadFault
from .http1 import Answer
from .tenant import USER_APP_ID
from .tokens import APP_ROLES, USER_SCOPES


def reply(value, status=200):
    body = json.dumps(value).encode()
    return Answer(status, body, [("Content-Type", "application/json")])


def refuse(status, message):
    return reply({"error": message}, status)


def mailbox_ids(user, immutable=False):
    """The ids in a mailbox by kind: `messages` is the inbox, `sent` Sent Items."""
    box = user.mailbox

    def ids(items):
        return [item.immutable_id if immutable else item.id for item in items]

    folders = box.of_type("mailFolder")
    return {"id": user.id, "userPrincipalName": user.upn, "mail": user.mail,
            "proxyAddresses": user.aliases,
            "messages": ids(box.of_type("message", box.wellknown["inbox"])),
            "sent": ids(box.of_type("message", box.wellknown["sentitems"])),
            "events": ids(box.of_type("event")), "contacts": ids(box.of_type("contact")),
            "tasks": ids(box.of_type("outlookTask")),
            "folders": {folder.data["displayName"]: ids(box.of_type("message", folder))
                        for folder in folders},
            "folder_ids": {folder.data["displayName"]: ids([folder])[0] for folder in folders},
            "recalled": ids(item for item in box.of_type("message") if item.recalled),
            "purged": dict(box.purged)}


class Control:
    def __init__(self, tenant, tokens, faults, log, on_refuse, on_reset):
        self.tenant = tenant
        self.tokens = tokens
        self.faults = faults
        self.log = log
        self.on_refuse = on_refuse  # Closes the idle connections.
        self.on_reset = on_reset    # Drops the requests that wait out a delay.

    def answer(self, request):
        path, _, query = request.target.partition("?")
        options = dict(parse_qsl(query))
        name = path.removeprefix("/_control/").rstrip("/")
        try:
            if name == "requests" and request.method == "GET":
                since = int(options.get("since", 0))
                return reply([entry.describe() for entry in self.log.entries
                              if entry.number > since])
            if name == "count" and request.method == "GET":
                return reply({"count": self.log.count})
            if name == "faults":
                return self.on_faults(request)
            if name == "reset" and request.method == "POST":
                self.on_reset()
                self.tenant.reset()
                self.log.clear()
                self.faults.clear()
                return reply({"reset": True})
            if name == "ediscovery" and request.method == "GET":
                return reply(ediscovery.overview(self.tenant))
            if name == "ediscovery" and request.method == "POST":
                return reply(ediscovery.change(self.tenant, json.loads(request.body)))
            if name == "tokens" and request.method == "POST":
                return self.mint(json.loads(request.body))
            if name == "ready" and request.method == "GET":
                return reply({"ready": True})
            if name.split("/")[0] == "mailboxes" and request.method == "GET":
                return self.mailboxes(unquote(name.partition("/")[2]), options)
        except (ValueError, BadFault) as problem:
            return refuse(400, str(problem))
        return refuse(404, f"no such control: {request.method} {path}")

    def on_faults(self, request):
        if request.method == "GET":
            return reply([fault.describe() for fault in self.faults.armed])
        if request.method == "DELETE":
            self.faults.clear()
            return reply([])
        if request.method != "POST":
            return refuse(405, "faults takes GET, POST and DELETE")
        fault = self.faults.add(json.loads(request.body))
        if fault.kind == "refuse":
            self.on_refuse()
        return reply(fault.describe())

    def mailboxes(self, key, options):
        immutable = options.get("ids") == "immutable"
        if not key:
            return reply({user.upn: mailbox_ids(user, immutable) for user in self.tenant.users})
        user = self.tenant.find_user(key)
        if user is None:
            return refuse(404, f"no such user: {key}")
        return reply(mailbox_ids(user, immutable))

    def mint(self, wanted):
        unknown = set(wanted) - {"user", "app", "roles", "scopes", "expires_in", "claims"}
        if unknown:
            raise BadFault(f"unknown: {', '.join(sorted(unknown))}")
        expires_in, extra = int(wanted.get("expires_in", 86_400)), wanted.get("claims")
        if "user" in wanted:
            user = self.tenant.find_user(wanted["user"])
            if user is None:
                return refuse(404, f"no such user: {wanted['user']}")
            token = self.tokens.for_user(user, wanted.get("app", USER_APP_ID), expires_in,
                                         wanted.get("scopes", USER_SCOPES), extra)
        elif "app" in wanted:
            token = self.tokens.for_app(wanted["app"], expires_in,
                                        wanted.get("roles", APP_ROLES), extra)
        else:
            raise BadFault("name a user or an app")
        return reply({"token": token})
