"""A development certificate authority and a server certificate of it, made with openssl."""
import pathlib
import subprocess

SERVER_EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stdout.strip()[-400:]}")


class Certificates:
    """Files in `folder`: ca.crt, server.crt and server.key; the CA's own key is thrown away."""

    def __init__(self, folder, hosts=("localhost",), addresses=("127.0.0.1", "::1"), days=30):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.crt"
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"
        ca_key, request, extensions = (folder / name for name in ("ca.key", "server.csr",
                                                                  "server.ext"))
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", self.ca_file, "-days", days,
                "-subj", "/CN=Holdfast development CA",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", "-new", *curve, "-keyout", self.key, "-out", request,
                "-subj", "/CN=localhost")
        names = [f"DNS:{host}" for host in hosts] + [f"IP:{address}" for address in addresses]
        extensions.write_text(SERVER_EXTENSIONS.format(names=", ".join(names)))
        openssl("x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", ca_key,
                "-CAcreateserial", "-out", self.certificate, "-days", days,
                "-extfile", extensions)
        for path in (ca_key, request, extensions, folder / "ca.srl"):
            path.unlink(missing_ok=True)
