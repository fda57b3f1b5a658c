"""Access tokens in the form Graph's have, signed with a secret of the simulator's own.

As with Graph's real tokens, nobody but the service can verify them: the header carries a nonce and
names a key that is published nowhere.
"""
import base64
import hashlib
import hmac
import json
import time
import uuid

AUDIENCE = "https://graph.microsoft.com"
CACHE_MAX = 20_000
USER_SCOPES = ("Calendars.ReadWrite Calendars.ReadWrite.Shared Contacts.ReadWrite "
               "Contacts.ReadWrite.Shared Mail.ReadWrite Mail.ReadWrite.Shared Mail.Send "
               "Tasks.ReadWrite Tasks.ReadWrite.Shared User.Read User.ReadBasic.All openid profile")
APP_ROLES = ["Calendars.ReadWrite", "Contacts.ReadWrite", "Mail.ReadWrite", "Mail.Send",
             "Tasks.ReadWrite.All", "User.Read.All", "Group.Read.All", "Organization.Read.All",
             "eDiscovery.Read.All"]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenRefused(Exception):
    """The text is the message of the 401."""


class TokenIssuer:
    """Mints tokens and tells its own from others. Tokens survive a restart with the same seed."""

    def __init__(self, tenant_id, seed):
        self.tenant_id = tenant_id
        self.secret = hashlib.sha256(f"graph simulator token secret {seed}".encode()).digest()
        self.known = {}

    def mint(self, claims, expires_in):
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "nonce": encode(uuid.uuid4().bytes * 2),
                  "x5t": "c2ltdWxhdG9yLWtleS0wMDAx", "kid": "c2ltdWxhdG9yLWtleS0wMDAx"}
        payload = {"aud": AUDIENCE, "iss": f"https://sts.windows.net/{self.tenant_id}/",
                   "iat": now, "nbf": now - 300, "exp": now + expires_in, "tid": self.tenant_id,
                   "uti": encode(uuid.uuid4().bytes), "ver": "1.0", **claims}
        signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode())
                          for part in (header, payload))
        return f"{signed}.{self.sign(signed)}"

    def sign(self, text):
        digest = hmac.digest(self.secret, text.encode(), "sha512")
        return encode(digest * 4)  # As long as an RS256 signature.

    def for_user(self, user, app_id, expires_in=86_400, scopes=USER_SCOPES, extra=None):
        return self.mint({
            "acr": "1", "amr": ["pwd", "mfa"], "app_displayname": "Contoso Mail Tools",
            "appid": app_id, "appidacr": "0", "idtyp": "user", "name": user.display_name,
            "oid": user.id, "scp": scopes, "sub": encode(uuid.UUID(user.id).bytes * 2),
            "unique_name": user.upn, "upn": user.upn, **(extra or {})}, expires_in)

    def for_app(self, app_id, expires_in=86_400, roles=None, extra=None):
        principal = str(uuid.uuid5(uuid.UUID(self.tenant_id), f"service principal {app_id}"))
        return self.mint({
            "app_displayname": "Contoso Retention Bot", "appid": app_id, "appidacr": "1",
            "idtyp": "app", "oid": principal, "roles": APP_ROLES if roles is None else roles,
            "sub": principal, **(extra or {})}, expires_in)

    def check(self, authorization):
        """The claims of the token in an Authorization header."""
        if not authorization:
            raise TokenRefused("Access token is empty.")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("Access token is empty.")
        claims = self.known.get(token)
        if claims is None:
            claims = self.verify(token)
            if len(self.known) >= CACHE_MAX:
                self.known.clear()
            self.known[token] = claims
        if claims["exp"] <= time.time():
            raise TokenRefused("Lifetime validation failed, the token is expired.")
        return claims

    def verify(self, token):
        signed, _, signature = token.rpartition(".")
        if token.count(".") != 2:
            raise TokenRefused("IDX14100: JWT is not well formed, there are no dots (.).")
        if not hmac.compare_digest(signature.encode(), self.sign(signed).encode()):
            raise TokenRefused("Access token validation failure. Invalid signature.")
        claims = json.loads(decode(signed.partition(".")[2]))
        if claims["aud"] != AUDIENCE or claims["tid"] != self.tenant_id:
            raise TokenRefused("Access token validation failure. Invalid audience.")
        return claims
