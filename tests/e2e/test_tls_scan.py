"""What scanners of TLS find wrong with both roles: nothing."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from base import StackCase

# Every one has forward secrecy and authenticates what it encrypts.
CIPHERS = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
           "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
           "ECDHE-ECDSA-CHACHA20-POLY1305"}
# What the certificates of a test's own authority lack, and the server has no part in.
OF_THE_CERTIFICATE = ("cert_", "OCSP", "DNS_CAArecord", "certificate_transparency")
# testssl hangs up as soon as the handshake is over and now and then goes without the ticket that a
# busy server sends next. What tickets do is tested in ticket_keys_test.cc.
NOT_FINISHED = ("sessionresumption_ticket", "WARN")


class Sslscan(StackCase):
    def test_offers_nothing_weak_as_proxy(self):
        self.check(self.stack.proxy_port)

    def test_offers_nothing_weak_as_audit(self):
        self.check(self.stack.audit_port)

    def check(self, port):
        done = subprocess.run(["sslscan", "--xml=-", "--show-sigs", f"localhost:{port}"],
                              stdout=subprocess.PIPE, timeout=60, check=True)
        found = xml.etree.ElementTree.fromstring(done.stdout).find("ssltest")
        offered = {f"{each.get('type')} {each.get('version')}"
                   for each in found.iter("protocol") if each.get("enabled") == "1"}
        self.assertEqual(offered, {"tls 1.2", "tls 1.3"})
        self.assertEqual({each.get("cipher") for each in found.iter("cipher")}, CIPHERS)
        weak = [each.attrib for each in found.iter("cipher")
                if each.get("strength") not in ("strong", "acceptable")]
        self.assertEqual(weak, [])
        bits = {int(each.get("bits")) for each in found.iter("group")}
        self.assertGreaterEqual(min(bits), 112)
        signatures = {each.get("name")
                      for each in found.iter("connection-signature-algorithm")}
        self.assertEqual(signatures, {"ecdsa_secp256r1_sha256"})
        flawed = [each.attrib for each in found.iter("heartbleed")
                  if each.get("vulnerable") != "0"]
        self.assertEqual(flawed, [])


@unittest.skipUnless(os.environ.get("FULL_TESTS"), "takes minutes: only with FULL_TESTS")
class Testssl(StackCase):
    def test_finds_nothing_to_complain_of_in_proxy(self):
        self.check(self.stack.proxy_port)

    def test_finds_nothing_to_complain_of_in_audit(self):
        self.check(self.stack.audit_port)

    def check(self, port):
        with tempfile.TemporaryDirectory() as folder:
            found_file = pathlib.Path(folder) / "found.json"
            subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off",
                            "--jsonfile", str(found_file), "--add-ca", str(self.stack.ca_file),
                            "-p", "-s", "-f", "-P", "-S", "-U", f"localhost:{port}"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=800,
                           check=False)
            found = json.loads(found_file.read_text())
        known = {each["id"]: each["finding"] for each in found}
        self.assertIn("heartbleed", known)
        self.assertIn("scanTime", known)
        bad = [each for each in found if each["severity"] not in ("OK", "INFO")
               and not each["id"].startswith(OF_THE_CERTIFICATE)
               and (each["id"], each["severity"]) != NOT_FINISHED]
        self.assertEqual(bad, [])


if __name__ == "__main__":
    unittest.main()
