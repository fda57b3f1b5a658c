"""The seeded tenant: users, their mailboxes and what lies in them.

Everything follows from the seed, so a restart or a reset gives the same ids again. Items have two
ids, as in Exchange: a mutable one that changes when the item moves, and an immutable one.
"""
import base64
import hashlib
import re
import uuid

TENANT_ID = "7c9a1b02-5d5c-4e0a-9a64-3f1f0c5be001"
DOMAIN = "contoso.com"
# The application whose tokens users sign in with, and the one that calls as itself.
USER_APP_ID = "5d2b9f30-0000-4000-8000-000000000001"
BOT_APP_ID = "6a1e55aa-0000-4000-8000-000000000004"

# upn, display name, mail, aliases, upns that the mailbox is shared with
USERS = [
    ("alex@contoso.com", "Alex Wilber", "alex@contoso.com", ["alex.wilber@contoso.com"], []),
    ("adele@contoso.com", "Adele Vance", "adele.vance@contoso.com",
     ["adele@contoso.com", "a.vance@contoso.onmicrosoft.com"], []),
    ("held@contoso.com", "Hedda Eld", "held@contoso.com",
     ["held.alias@contoso.com", "h.eld@contoso.onmicrosoft.com"], ["alex@contoso.com"]),
    ("ceo@contoso.com", "Casey Osborn", "ceo@contoso.com", ["casey.osborn@contoso.com"], []),
    ("megan@contoso.com", "Megan Bowen", "megan@contoso.com", ["megan.bowen@contoso.com"],
     ["alex@contoso.com"]),
    ("lee.gu_fabrikam.com#EXT#@contoso.onmicrosoft.com", "Lee Gu", "lee.gu@fabrikam.com", [], []),
]
GROUPS = [("sales@contoso.com", "Sales")]
COUNTS = {"inbox": 120, "sentitems": 60, "drafts": 5, "projects": 20, "archived": 10,
          "events": 80, "second events": 10, "contacts": 80, "tasks": 80}
MAIL_FOLDERS = [("inbox", "Inbox"), ("sentitems", "Sent Items"), ("drafts", "Drafts"),
                ("deleteditems", "Deleted Items"), ("archive", "Archive"), ("outbox", "Outbox"),
                ("junkemail", "Junk Email")]
FOLDER_TYPES = {"mailFolder", "calendar", "contactFolder", "outlookTaskFolder", "calendarGroup",
                "outlookTaskGroup"}
WELL_FORMED_ID = re.compile(r"AA(?:Mk|kA)[A-Za-z0-9_-]{10,200}={0,2}")


class Item:
    """A message, event, contact or task, or a folder of one of those."""

    __slots__ = ("type", "uid", "parent", "data", "id", "immutable_id", "moves", "wellknown",
                 "event", "master", "recalled")

    def __init__(self, item_type, uid, parent, data, wellknown=None):
        self.type = item_type
        self.uid = uid
        self.parent = parent
        self.data = data
        self.wellknown = wellknown  # inbox, calendar, …; None for what users made themselves.
        self.moves = 0
        self.event = None           # Of a meeting request: its event.
        self.master = None          # Of an occurrence: the series it belongs to.
        self.recalled = False
        self.id = self.immutable_id = ""


class Mailbox:
    """What one user or group owns, by either id."""

    def __init__(self, owner, seed):
        self.owner = owner
        self.seed = seed
        self.items = {}     # uid -> Item, in order of creation.
        self.by_id = {}     # Mutable and immutable ids -> Item.
        self.wellknown = {}
        self.purged = {}    # type -> how many were permanently deleted.
        self.created = 0

    def make_id(self, prefix, text):
        digest = hashlib.blake2b(f"{self.seed}/{self.owner}/{text}".encode(), digest_size=48)
        return prefix + base64.urlsafe_b64encode(digest.digest()).decode() + "AAA="

    def add(self, item_type, parent, data, wellknown=None):
        self.created += 1
        item = Item(item_type, self.created, parent, data, wellknown)
        item.immutable_id = self.make_id("AAkALgAAAAAAHYQD", f"immutable {item.uid}")
        self.items[item.uid] = item
        self.by_id[item.immutable_id] = item
        self.place(item, parent)
        if wellknown:
            self.wellknown[wellknown] = item
        return item

    def place(self, item, parent):
        """Puts an item into a folder, which changes its mutable id."""
        self.by_id.pop(item.id, None)
        item.parent = parent
        item.id = self.make_id("AAMkAGI0", f"mutable {item.uid} {item.moves}")
        item.moves += 1
        self.by_id[item.id] = item

    def purge(self, item):
        """Removes an item for good, with everything in it."""
        holds_others = item.type in FOLDER_TYPES or item.type == "event"
        for other in list(self.items.values()) if holds_others else ():
            if other.parent is item or other.master is item:
                if other.uid in self.items:
                    self.purge(other)
            if other.event is item:
                other.event = None
        del self.items[item.uid]
        del self.by_id[item.id]
        del self.by_id[item.immutable_id]
        self.purged[item.type] = self.purged.get(item.type, 0) + 1

    def of_type(self, item_type, parent=None):
        return [item for item in self.items.values() if item.type == item_type
                and item.master is None and (parent is None or item.parent is parent)]


class User:
    def __init__(self, upn, display_name, mail, aliases):
        self.id = str(uuid.uuid5(uuid.UUID(TENANT_ID), upn))
        self.upn = upn
        self.display_name = display_name
        self.mail = mail
        self.aliases = [f"SMTP:{mail}"] + [f"smtp:{alias}" for alias in aliases]
        self.shared_with = set()  # Object ids that may use this mailbox too.
        self.mailbox = None

    def names(self):
        yield self.id
        yield self.upn.lower()
        for address in self.aliases:
            yield address.partition(":")[2].lower()

    def describe(self):
        given, _, surname = self.display_name.partition(" ")
        return {"id": self.id, "userPrincipalName": self.upn, "displayName": self.display_name,
                "givenName": given, "surname": surname, "mail": self.mail,
                "proxyAddresses": self.aliases, "accountEnabled": True, "jobTitle": None,
                "userType": "Guest" if "#EXT#" in self.upn else "Member"}


class Tenant:
    def __init__(self, seed):
        self.seed = seed
        self.reset()

    def reset(self):
        self.cases = None  # Of eDiscovery, see there; seeded when first asked for.
        self.users = [User(*row[:4]) for row in USERS]
        self.by_name = {name: user for user in self.users for name in user.names()}
        for row, user in zip(USERS, self.users):
            user.shared_with = {self.by_name[upn].id for upn in row[4]}
            user.mailbox = Mailbox(user.id, self.seed)
            fill(user.mailbox, user)
        self.groups = [User(address, name, address, []) for address, name in GROUPS]
        for group in self.groups:
            group.shared_with = {user.id for user in self.users}
            group.mailbox = Mailbox(group.id, self.seed)
            fill_calendar(group.mailbox, group)

    def find_user(self, key):
        """By GUID, UPN, mail or alias, or {guid}@{tenant}."""
        key = key.lower()
        user = self.by_name.get(key)
        if user is None and key.endswith("@" + TENANT_ID):
            user = self.by_name.get(key.partition("@")[0])
        return user

    def find_group(self, key):
        return next((group for group in self.groups if group.id == key.lower()), None)


def person(user):
    return {"emailAddress": {"name": user.display_name, "address": user.mail}}


def message(user, subject, number, sent):
    other = {"emailAddress": {"name": "Adele Vance", "address": "adele.vance@contoso.com"}}
    sender, recipient = (person(user), other) if sent else (other, person(user))
    when = f"2026-{number % 9 + 1:02d}-{number % 28 + 1:02d}T{number % 24:02d}:05:00Z"
    return {"subject": subject, "bodyPreview": f"{subject}: see below.", "importance": "normal",
            "body": {"contentType": "text", "content": f"{subject}: see below.\r\nRegards"},
            "receivedDateTime": when, "sentDateTime": when, "isRead": number % 3 == 0,
            "isDraft": False, "hasAttachments": False, "from": sender, "sender": sender,
            "toRecipients": [recipient], "ccRecipients": [], "categories": [],
            "internetMessageId": f"<{number:06d}.{user.id}@{DOMAIN}>"}


def event(user, subject, number):
    day = f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    return {"subject": subject, "isAllDay": False, "isCancelled": False, "type": "singleInstance",
            "start": {"dateTime": f"{day}T09:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": f"{day}T09:30:00.0000000", "timeZone": "UTC"},
            "organizer": person(user), "attendees": [], "location": {"displayName": "Room 1"}}


def fill_mail(mailbox, user):
    for wellknown, name in MAIL_FOLDERS:
        mailbox.add("mailFolder", None, {"displayName": name}, wellknown)
    inbox = mailbox.wellknown["inbox"]
    projects = mailbox.add("mailFolder", inbox, {"displayName": "Projects"})
    archived = mailbox.add("mailFolder", projects, {"displayName": "Old projects"})
    places = [("inbox", inbox), ("sentitems", mailbox.wellknown["sentitems"]),
              ("drafts", mailbox.wellknown["drafts"]), ("projects", projects),
              ("archived", archived)]
    for place, folder in places:
        for number in range(1, COUNTS[place] + 1):
            data = message(user, f"{folder.data['displayName']} message {number}", number,
                           sent=place in ("sentitems", "drafts"))
            data["isDraft"] = place == "drafts"
            mailbox.add("message", folder, data)


def fill_calendar(mailbox, user):
    calendar = mailbox.add("calendar", None, {"name": "Calendar", "isDefaultCalendar": True},
                           "calendar")
    for number in range(1, COUNTS["events"] + 1):
        mailbox.add("event", calendar, event(user, f"Event {number}", number))
    series = mailbox.add("event", calendar, event(user, "Weekly review", 1))
    series.data["type"] = "seriesMaster"
    for number in range(1, 5):
        occurrence = mailbox.add("event", calendar, event(user, "Weekly review", number))
        occurrence.data["type"] = "exception" if number == 4 else "occurrence"
        occurrence.master = series
    return series


def fill(mailbox, user):
    fill_mail(mailbox, user)
    series = fill_calendar(mailbox, user)
    group = mailbox.add("calendarGroup", None, {"name": "My Calendars"})
    second = mailbox.add("calendar", group, {"name": "Team", "isDefaultCalendar": False})
    for number in range(1, COUNTS["second events"] + 1):
        mailbox.add("event", second, event(user, f"Team event {number}", number))
    inbox = mailbox.wellknown["inbox"]
    invitation = mailbox.add("message", inbox, message(user, "Invitation: weekly review", 1, False))
    invitation.event = series
    invitation.data["@odata.type"] = "#microsoft.graph.eventMessageRequest"
    contacts = mailbox.add("contactFolder", None, {"displayName": "Contacts"}, "contacts")
    partners = mailbox.add("contactFolder", contacts, {"displayName": "Partners"})
    for number in range(1, COUNTS["contacts"] + 1):
        folder = partners if number % 10 == 0 else contacts
        mailbox.add("contact", folder, {
            "displayName": f"Contact {number}", "givenName": "Contact", "surname": str(number),
            "emailAddresses": [{"name": f"Contact {number}",
                                "address": f"contact{number}@fabrikam.com"}]})
    groups = mailbox.add("outlookTaskGroup", None, {"name": "My Tasks", "isDefaultGroup": True})
    tasks = mailbox.add("outlookTaskFolder", groups, {"name": "Tasks", "isDefaultFolder": True},
                        "tasks")
    errands = mailbox.add("outlookTaskFolder", groups, {"name": "Errands",
                                                       "isDefaultFolder": False})
    for number in range(1, COUNTS["tasks"] + 1):
        folder = errands if number % 10 == 0 else tasks
        mailbox.add("outlookTask", folder, {"subject": f"Task {number}", "status": "notStarted",
                                            "importance": "normal"})
