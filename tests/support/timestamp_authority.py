"""A time-stamp authority (RFC 3161) for tests, made of the openssl command.

    authority = TimestampAuthority(folder)       # authority.ca_file vouches for its tokens
    answer = authority.reply(query)              # TimeStampReq to TimeStampResp, both DER
"""
import pathlib
import subprocess
import threading

from certificates import openssl

CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/signer.crt
signer_key = {folder}/signer.key
certs = {folder}/ca.crt
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class TimestampAuthority:
    def __init__(self, folder, name="Test time-stamp authority", days=1):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = self.folder / "ca.crt"
        self.config = self.folder / "tsa.conf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        self.lock = threading.Lock()  # The serial number is in a file.
        path = self.folder.joinpath
        openssl("req", "-x509", *CURVE, "-keyout", path("ca.key"), "-out", self.ca_file,
                "-days", days, "-subj", f"/CN={name} root",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", "-new", *CURVE, "-keyout", path("signer.key"), "-out", path("signer.csr"),
                "-subj", f"/CN={name}")
        path("signer.ext").write_text("basicConstraints = critical, CA:FALSE\n"
                                      "keyUsage = critical, digitalSignature\n"
                                      "extendedKeyUsage = critical, timeStamping\n")
        openssl("x509", "-req", "-in", path("signer.csr"), "-CA", self.ca_file, "-CAkey",
                path("ca.key"), "-CAcreateserial", "-out", path("signer.crt"), "-days", days,
                "-extfile", path("signer.ext"))

    def reply(self, query):
        with self.lock:
            question = self.folder / "query.tsq"
            question.write_bytes(query)
            done = subprocess.run(
                ["openssl", "ts", "-reply", "-queryfile", str(question), "-config",
                 str(self.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl ts: {done.stderr.decode().strip()[-400:]}")
        return done.stdout

    def token(self, path):
        """The token over what a file holds."""
        query, answer, token = (self.folder / name for name in ("own.tsq", "own.tsr", "own.token"))
        openssl("ts", "-query", "-data", path, "-sha256", "-cert", "-out", query)
        answer.write_bytes(self.reply(query.read_bytes()))
        openssl("ts", "-reply", "-in", answer, "-token_out", "-out", token)
        return token.read_bytes()
