"""Graph as the benches need it: an nginx that answers at once and always the same.

It is far faster than what it measures, and the same for both sides.
"""
import base64
import contextlib
import json
import os
import pathlib
import uuid

import processes

NGINX = "/usr/sbin/nginx"  # Not on everybody's PATH.
TENANT_ID = "6f1d7a52-0000-4000-8000-00000000be01"
USER_ID = "6f1d7a52-0000-4000-8000-00000000be02"
APP_ID = "6f1d7a52-0000-4000-8000-00000000be03"
UPN = "adele@contoso.com"
USER = {
    "id": USER_ID, "userPrincipalName": UPN, "mail": UPN,
    "proxyAddresses": [f"SMTP:{UPN}", "smtp:adele.vance@contoso.com"],
}
CONFIG = """
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log crit;
{user_line}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    add_header request-id $request_id always;
    location = /v1.0/me {{ return 200 '{me}'; }}
    location ~ "^/v1\\.0/users/[^/]+$" {{ return 200 '{user}'; }}
    location ~ "(permanentDelete|recall)$" {{ return 204; }}
    location / {{ return 404 '{{"error":{{"code":"ResourceNotFound","message":"no"}}}}'; }}
  }}
}}
"""


@contextlib.contextmanager
def graph(root: pathlib.Path):
    """Yields the origin, as http://127.0.0.1:PORT."""
    root.mkdir()
    port = processes.free_port()
    text = CONFIG.format(
        root=root, port=port, me=json.dumps(USER), user=json.dumps(USER),
        # As root it would hand its worker to a user that cannot reach the directory.
        user_line="user root;" if os.geteuid() == 0 else "")
    config = root / "nginx.conf"
    config.write_text(text)
    log = root / "log"
    with processes.running([NGINX, "-p", root, "-c", config, "-e", root / "error.log"],
                           log) as server:
        processes.wait_for_port(port, server, log)
        yield f"http://127.0.0.1:{port}"


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
