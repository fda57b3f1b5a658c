"""Development certificate authorities and certificates of servers and clients, made with openssl."""
import pathlib
import subprocess

SERVER_EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""
CLIENT_EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
"""
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stdout.strip()[-400:]}")


def make_authority(certificate, key, subject, days):
    openssl("req", "-x509", *CURVE, "-keyout", key, "-out", certificate, "-days", days,
            "-subj", subject, "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def issue(certificate, key, subject, extensions, authority, days):
    """A key and a certificate for it, signed by `authority`: its certificate's and key's file."""
    request, extension_file = certificate.with_suffix(".csr"), certificate.with_suffix(".ext")
    openssl("req", "-new", *CURVE, "-keyout", key, "-out", request, "-subj", subject)
    extension_file.write_text(extensions)
    openssl("x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1],
            "-CAcreateserial", "-out", certificate, "-days", days, "-extfile", extension_file)
    for path in (request, extension_file, authority[0].with_suffix(".srl")):
        path.unlink(missing_ok=True)


class Certificates:
    """Files in `folder`: ca.crt, server.crt and server.key; the CA's own key is thrown away."""

    def __init__(self, folder, hosts=("localhost",), addresses=("127.0.0.1", "::1"), days=30):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.crt"
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"
        ca_key = folder / "ca.key"
        make_authority(self.ca_file, ca_key, "/CN=Holdfast development CA", days)
        names = [f"DNS:{host}" for host in hosts] + [f"IP:{address}" for address in addresses]
        issue(self.certificate, self.key, "/CN=localhost",
              SERVER_EXTENSIONS.format(names=", ".join(names)), (self.ca_file, ca_key), days)
        ca_key.unlink()


class ClientAuthority:
    """An authority for client certificates, in a folder of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file, self.ca_key = self.folder / "ca.crt", self.folder / "ca.key"
        make_authority(self.ca_file, self.ca_key, "/CN=Holdfast client CA", 30)

    def issue(self, file_name, *names, common_name="client"):
        """(certificate, key) of a client with these alternative names, such as DNS:a.example."""
        certificate = self.folder / f"{file_name}.crt"
        key = self.folder / f"{file_name}.key"
        alternatives = f"subjectAltName = {', '.join(names)}\n" if names else ""
        issue(certificate, key, f"/CN={common_name}", CLIENT_EXTENSIONS + alternatives,
              (self.ca_file, self.ca_key), 30)
        return certificate, key
