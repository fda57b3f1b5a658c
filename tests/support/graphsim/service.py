"""What Graph does with one request, once it has been read: authenticate, find, act, answer."""
import json
import urllib.parse
import uuid

from . import actions, batch, ediscovery, harddelete, listing, odata
from .http1 import Answer, http_date
from .navigation import FAMILY, walk
from .problem import Problem, error_answer, malformed_id, no_segment
from .tokens import TokenRefused

METADATA = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="microsoft.graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="entity" Abstract="true"><Key><PropertyRef Name="id"/></Key>
<Property Name="id" Type="Edm.String" Nullable="false"/></EntityType>
<EntityType Name="message" BaseType="graph.outlookItem" OpenType="true"/>
<Action Name="permanentDelete" IsBound="true">
<Parameter Name="bindingParameter" Type="graph.message"/></Action>
</Schema></edmx:DataServices></edmx:Edmx>
"""
UNAUTHENTICATED = ('Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/'
                   'oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"')
DIAGNOSTIC = json.dumps({"ServerInfo": {"DataCenter": "Germany West Central", "Slice": "E",
                                        "Ring": "4", "ScaleUnit": "000",
                                        "RoleInstance": "FR1PEPF00001234"}})
# What no proxy may leave on a request it forwards.
HOP_BY_HOP = ("proxy-connection", "proxy-authorization", "proxy-authenticate", "keep-alive", "te",
              "trailer", "upgrade", "x-http-method-override", "x-http-method", "x-method-override")


APP_SECRET = "simulator-app-secret"


def issue_token(tokens, call):
    """What login.microsoftonline.com does for an application with a secret."""
    wanted = dict(urllib.parse.parse_qsl(call.body.decode(), strict_parsing=True))
    if wanted.get("grant_type") != "client_credentials" \
            or not wanted.get("scope", "").endswith("/.default"):
        return authority_answer(400, {"error": "invalid_request"})
    if wanted.get("client_secret") != APP_SECRET:
        return authority_answer(401, {"error": "invalid_client"})
    token = tokens.for_app(wanted["client_id"], 3600)
    return authority_answer(200, {"token_type": "Bearer", "expires_in": 3599,
                                  "access_token": token})


def authority_answer(status, value):
    return Answer(status, json.dumps(value).encode(), [("Content-Type", "application/json")],
                  did=f"token {status}")


class Caller:
    """Who a token speaks for."""

    def __init__(self, claims):
        self.kind = claims["idtyp"]
        self.object_id = claims["oid"]
        self.app_id = claims["appid"]
        granted = claims["scp"].split() if self.kind == "user" else claims.get("roles", [])
        self.granted = set(granted)

    def may(self, owner, item_type, write):
        """Whether a mailbox's items of that type are open to this caller."""
        family = FAMILY[item_type]
        wanted = {f"{family}.ReadWrite"} if write else {f"{family}.ReadWrite", f"{family}.Read"}
        if self.kind == "app":
            return bool(self.granted & (wanted | {name + ".All" for name in wanted}))
        if owner.id == self.object_id:
            return bool(self.granted & wanted)
        shared = {name + ".Shared" for name in wanted}
        return self.object_id in owner.shared_with and bool(self.granted & shared)


class Call:
    """One request to the service, from the wire or out of a batch."""

    def __init__(self, method, target, fields, body, origin, in_batch=False):
        self.method = method
        self.target = target
        self.fields = fields  # Lower-case header names.
        self.body = body
        self.origin = origin  # https://host:port that the request was sent to.
        self.in_batch = in_batch
        self.path = None      # odata.Target, once parsed.
        self.caller = None

    def json(self):
        media_type = self.fields.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem(400, "BadRequest", "The request body must be application/json.")
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Problem(400, "BadRequest", "Unable to read JSON request payload.") from None
        if not isinstance(value, dict):
            raise Problem(400, "BadRequest", "The JSON request payload must be an object.")
        return value

    def immutable_ids(self):
        preferences = [part.strip().lower() for part in self.fields.get("prefer", "").split(",")]
        return 'idtype="immutableid"' in preferences


class Service:
    def __init__(self, tenant, tokens):
        self.tenant = tenant
        self.tokens = tokens

    def answer(self, call):
        """The Answer to a call. Never raises for anything a client did."""
        request_id = str(uuid.uuid4())
        client_request_id = call.fields.get("client-request-id") or request_id
        try:
            answer = self.dispatch(call)
        except Problem as problem:
            answer = error_answer(problem.status, problem.code, str(problem), request_id,
                                  client_request_id, problem.headers)
            if call.path is None or problem.status in (400, 405, 411):
                answer.notes.append(str(problem))
        if not call.in_batch:
            answer.headers = [("Date", http_date()), ("request-id", request_id),
                              ("client-request-id", client_request_id),
                              ("x-ms-ags-diagnostic", DIAGNOSTIC), *answer.headers]
            if call.immutable_ids():
                answer.headers.append(("Preference-Applied", 'IdType="ImmutableId"'))
        return answer

    def dispatch(self, call):
        if call.method == "POST" and call.target == f"/{self.tokens.tenant_id}/oauth2/v2.0/token":
            return issue_token(self.tokens, call)
        malformed = None
        try:
            call.path = odata.parse(call.target)
        except odata.BadTarget as problem:
            malformed = problem
        names = [segment.name for segment in call.path.segments] if call.path else []
        if names == ["$metadata"] and call.method == "GET":
            return Answer(200, METADATA, [("Content-Type", "application/xml")], did="metadata")
        try:
            call.caller = Caller(self.tokens.check(call.fields.get("authorization")))
        except TokenRefused as problem:
            raise Problem(401, "InvalidAuthenticationToken", str(problem),
                          [("WWW-Authenticate", UNAUTHENTICATED)]) from None
        if malformed:
            raise Problem(400, "BadRequest", str(malformed))
        self.check_request(call)
        if not names:
            return Answer(200, b'{"value":[]}', [("Content-Type", "application/json")],
                          did="service document")
        if names == ["$batch"]:
            return batch.execute(self, call)
        special = harddelete.find(call, names) or ediscovery.find(call, names)
        if special:
            return special(self.tenant, call)
        return self.on_node(call)

    def check_request(self, call):
        """What a correct proxy or client never sends."""
        for name in HOP_BY_HOP:
            if name in call.fields:
                raise Problem(400, "BadRequest", f"The header {name} is not for this server.")
        connection = call.fields.get("connection", "keep-alive").lower()
        if connection not in ("keep-alive", "close"):
            raise Problem(400, "BadRequest", "The header Connection names other headers.")
        has_length = "content-length" in call.fields or "transfer-encoding" in call.fields
        if call.method in ("POST", "PUT", "PATCH") and not has_length and not call.in_batch:
            raise Problem(411, "LengthRequired", "A request body's length is required.")
        if call.method in ("GET", "DELETE") and call.body:
            raise Problem(400, "BadRequest", f"{call.method} takes no request body.")

    def on_node(self, call):
        write = call.method != "GET"

        def enter(node):
            if not call.caller.may(node.owner, node.type, write):
                raise Problem(403, "ErrorAccessDenied",
                              "Access is denied. Check credentials and try again.")

        segments = list(call.path.segments)
        tail = segments[-1].name if segments[-1].name in ("$value", "$count", "$ref") else None
        if tail:
            segments.pop()
        if not segments:
            raise no_segment(tail)
        try:
            node, action = walk(self.tenant, call.caller, call.path.version, segments, enter)
        except Problem as problem:
            # Recall alone answers 400 for any id that it cannot use.
            if segments[-1].name == "recall" and problem.code == "ErrorItemNotFound":
                raise malformed_id() from None
            raise
        if tail:
            return listing.tail(call, node, action, tail)
        if action:
            if call.method != "POST":
                raise Problem(405, "Request_BadRequest",
                              "Specified HTTP method is not allowed for the request target.",
                              [("Allow", "POST")])
            return actions.run(self.tenant, call, node, action)
        return self.by_method(call, node)

    def by_method(self, call, node):
        collection = node.members is not None
        if call.method == "GET":
            return listing.collection(call, node) if collection else listing.entity(call, node)
        if node.type in FAMILY:
            if call.method == "POST" and collection:
                return actions.create(call, node)
            if call.method == "PATCH" and not collection:
                return actions.update(call, node)
            if call.method == "DELETE" and not collection:
                return actions.soft_delete(call, node)
        raise Problem(405, "Request_BadRequest",
                      "Specified HTTP method is not allowed for the request target.",
                      [("Allow", "GET")])
