"""An identity provider for officers: signs access tokens and publishes its key as a JWKS over HTTPS."""
import base64
import http.server
import json
import ssl
import subprocess
import threading
import time

from certificates import openssl

AUDIENCE = "api://holdfast"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Serves from the start until stop(): origin, and keys_url below it."""

    def __init__(self, folder, certificates, tenant):
        self.tenant = tenant
        self.key = folder / "issuer.key"
        published = self.make_key()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.path == "/keys"
                body = json.dumps({"keys": [published]}).encode() if known else b"{}"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"https://localhost:{self.server.server_address[1]}"
        self.keys_url = self.origin + "/keys"
        self.serving = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.serving.start()

    def make_key(self):
        """The public half, as a JWK."""
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                "-out", self.key)
        done = subprocess.run(["openssl", "rsa", "-in", str(self.key), "-noout", "-modulus"],
                              stdout=subprocess.PIPE, text=True, check=True)
        modulus = bytes.fromhex(done.stdout.strip().removeprefix("Modulus="))
        self.kid = base64url(modulus[:9])
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": base64url(modulus), "e": "AQAB"}

    def token(self, user, name, roles, groups=(), **claims):
        """An access token of that person; `claims` replace or add to the usual ones."""
        now = int(time.time())
        payload = {"iss": self.origin, "aud": AUDIENCE, "tid": self.tenant, "oid": user,
                   "name": name, "preferred_username": f"{name}@contoso.com", "scp": "access",
                   "roles": list(roles), "groups": list(groups), "iat": now, "nbf": now,
                   "exp": now + 3600, **claims}
        signed = ".".join(base64url(json.dumps(part).encode())
                          for part in ({"alg": "RS256", "typ": "JWT", "kid": self.kid}, payload))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.key)],
                                   input=signed.encode(), stdout=subprocess.PIPE, check=True)
        return signed + "." + base64url(signature.stdout)

    def stop(self):
        self.server.shutdown()
        self.serving.join()
        self.server.server_close()
