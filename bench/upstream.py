"""Graph as the benches need it: an nginx that answers at once and always the same.

It is far faster than what it measures, and the same for both sides.
"""
import base64
import contextlib
import dataclasses
import json
import pathlib
import uuid

import nginx
import page

TENANT_ID = "6f1d7a52-0000-4000-8000-00000000be01"
USER_ID = "6f1d7a52-0000-4000-8000-00000000be02"
APP_ID = "6f1d7a52-0000-4000-8000-00000000be03"
UPN = "adele@contoso.com"
USER = {
    "id": USER_ID, "userPrincipalName": UPN, "mail": UPN,
    "proxyAddresses": [f"SMTP:{UPN}", "smtp:adele.vance@contoso.com"],
}
SMALL_BYTES = 64 * 1024
LARGE_BYTES = 8 * 1024 * 1024
SERVER = """
    add_header request-id $request_id always;
    default_type application/json;
    client_max_body_size 0;
    client_body_buffer_size 128k;
    location = /v1.0/me {{ return 200 '{me}'; }}
    location ~ "^/v1\\.0/users/[^/]+$" {{ return 200 '{user}'; }}
    location ~ "/messages$" {{ root {root}; try_files /messages =500; }}
    location ~ "/(\\$value|content)$" {{
      default_type application/octet-stream;
      root {root};
      try_files /$1 =500;
    }}
    location /v1.0/ {{ return 204; }}
    location / {{ return 404 '{{"error":{{"code":"ResourceNotFound","message":"no"}}}}'; }}
"""


@dataclasses.dataclass(frozen=True)
class Call:
    """What clients ask for, again and again; only a number between `before` and `after` changes."""
    method: str
    before: str
    after: str
    body_bytes: int = 0
    answer_bytes: int = 0  # At least.


GUARDED = Call("POST", f"/v1.0/users/{USER_ID}/messages/AAMkAGI2TG93AAAAA", "/permanentDelete")
READ = Call("GET", f"/v1.0/users/{USER_ID}/messages/AAMkAGI2TG93AAAAA", "?$select=id,subject")
WRITE = Call("PATCH", f"/v1.0/users/{USER_ID}/messages/AAMkAGI2TG93AAAAA", "",
             body_bytes=SMALL_BYTES)
READ_PAGE = Call("GET", f"/v1.0/users/{USER_ID}/mailFolders/AAMkAGI2TG93AAAAA", "/messages",
                 answer_bytes=SMALL_BYTES)
READ_SMALL = Call("GET", f"/v1.0/users/{USER_ID}/messages/AAMkAGI2TG93AAAAA",
                  "/attachments/AAMkAGI2TG93AAAAB/$value", answer_bytes=SMALL_BYTES)
READ_LARGE = Call("GET", "/v1.0/drives/AAMkAGI2TG93AAAAA/items/AAMkAGI2TG93AAAAA", "/content",
                  answer_bytes=LARGE_BYTES)


@contextlib.contextmanager
def graph(root: pathlib.Path, certificate: nginx.Certificate | None = None):
    """Yields the origin, as http://127.0.0.1:PORT, or https://localhost:PORT with a certificate."""
    root.mkdir()
    (root / "$value").write_bytes(b"v" * SMALL_BYTES)
    (root / "content").write_bytes(b"c" * LARGE_BYTES)
    server = SERVER.format(root=root, me=json.dumps(USER), user=json.dumps(USER))
    with nginx.running(root, server, workers=1, certificate=certificate) as port:
        origin = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
        (root / "messages").write_bytes(page.messages(origin, SMALL_BYTES))
        yield origin


def token(expires: int) -> str:
    """A user's token as Graph makes them; nobody here checks its signature."""
    def part(value) -> str:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    claims = {
        "aud": "https://graph.microsoft.com", "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "iat": expires - 86_400, "nbf": expires - 86_400, "exp": expires, "acr": "1",
        "amr": ["pwd", "mfa"], "app_displayname": "Bench", "appid": APP_ID, "idtyp": "user",
        "name": "Adele Vance", "oid": USER_ID, "scp": "Mail.ReadWrite Mail.Send User.Read openid",
        "sub": part(uuid.UUID(USER_ID).bytes * 2), "tid": TENANT_ID, "unique_name": UPN,
        "upn": UPN, "uti": part(b"u" * 16), "ver": "1.0",
        "wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"],
    }
    header = {"typ": "JWT", "alg": "RS256", "nonce": part(b"n" * 32), "x5t": part(b"k" * 20),
              "kid": part(b"k" * 20)}
    return f"{part(header)}.{part(claims)}.{part(b's' * 256)}"
