"""Callers that are known by their client certificates (identity.mode: mtls)."""
import http.client
import shutil
import signal
import ssl

from base import EXECUTIVE, HELD, REQUESTER, StackCase
from certificates import ClientAuthority
from graphsim.tenant import BOT_APP_ID, TENANT_ID
from holds import wait_until
from stack import Stack

ADELE = "adele@contoso.com"
PAYROLL_APP = "6a1e55aa-0000-4000-8000-0000000000ff"
OTHER_TENANT = "7c9a1b02-5d5c-4e0a-9a64-3f1f0c5be0ff"


class Mtls(StackCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(settings={"track_commit_timestamp": "on"})
        cls.authority = ClientAuthority(cls.stack.folder / "clients")
        cls.bot = cls.authority.issue("bot", "DNS:host7.contoso.com", "DNS:Bot.contoso.com")
        cls.payroll = cls.authority.issue("payroll", "URI:spiffe://contoso.com/payroll")
        cls.both = cls.authority.issue("both", "DNS:bot.contoso.com",
                                       "URI:spiffe://contoso.com/payroll")
        cls.stranger = cls.authority.issue("stranger", "DNS:*.contoso.com",
                                           common_name="bot.contoso.com")
        cls.stack.client = cls.bot
        cls.trusted = cls.stack.folder / "trusted.crt"
        shutil.copy(cls.authority.ca_file, cls.trusted)
        cls.stack.changes |= {
            "proxy.tls.client_certificates": "required",
            "proxy.tls.client_ca_file": str(cls.trusted),
            "identity.mode": "mtls",
            "identity.certificates": [
                f"DNS:bot.contoso.com {TENANT_ID}/{BOT_APP_ID}",
                f"URI:spiffe://contoso.com/payroll {TENANT_ID}/{PAYROLL_APP}"]}
        cls.stack.start()
        cls.addClassCleanup(cls.stack.stop)
        cls.simulator = cls.stack.simulator

    def setUp(self):
        super().setUp()
        self.client = self.bot

    def request(self, method, target, token, body, headers, proxy):
        return self.stack.request(method, target, token, body, headers, client=self.client)

    def purge(self, index=0, user=ADELE, token=None):
        return self.call("POST", self.path(index, owner=f"users/{user}", user=user),
                         token or self.stack.app)

    def refused(self, answer, status=403, code="HoldfastDenied"):
        """The record of a call whose caller was not accepted and of which Graph heard nothing."""
        self.expect_error(answer, status, code)
        self.assertEqual(self.seen(), [])
        record = self.record(answer[1]["Holdfast-Record"])
        self.assertEqual(record["kind"], "decision")
        self.assertEqual(record["decision"]["effect"], "unauthenticated")
        self.assertIn("client_certificate", record["request"])
        return record

    def test_the_certificates_app_may_what_the_rules_allow_it(self):
        answer = self.purge()
        self.assertEqual(answer[0], 204, answer[2])
        intent = self.record(answer[1]["Holdfast-Record"])
        self.assertEqual(intent["decision"]["rules"], ["retention-bot"])
        actor = intent["actor"]
        self.assertEqual((actor["kind"], actor["verification"], actor["name"]),
                         ("app", "certificate", "DNS:bot.contoso.com"))
        self.assertEqual((actor["tenant"], actor["app"]),
                         (TENANT_ID, BOT_APP_ID))
        self.assertEqual(intent["request"]["client_certificate"]["names"],
                         ["DNS:host7.contoso.com", "DNS:Bot.contoso.com"])
        self.assertEqual(self.seen("/organization"), [])
        sent = self.seen("ermanentDelete")
        self.assertEqual(len(sent), 1)
        self.assertIn(["authorization", f"Bearer {self.stack.app}"],
                      [[name.lower(), value] for name, value in sent[0]["headers"]])
        self.check_invariants()

    def test_rules_deny_it_and_other_apps(self):
        self.expect_error(self.purge(user=HELD), 403, "HoldfastDenied")
        self.client = self.payroll
        answer = self.purge(token=self.simulator.token(app=PAYROLL_APP))
        self.expect_error(answer, 403, "HoldfastDenied")
        record = self.record(answer[1]["Holdfast-Record"])
        self.assertEqual((record["decision"]["effect"], record["actor"]["app"]),
                         ("deny", PAYROLL_APP))
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_approvals_are_the_apps(self):
        answer = self.purge(user=EXECUTIVE)
        self.expect_error(answer, 412, "HoldfastApprovalRequired")
        code = answer[1]["x-msft-approval-code"]
        target = f"/holdfast/approvals/{code}"
        self.assertEqual(self.call("GET", target, self.stack.app)[0], 200)
        self.client = self.payroll
        self.assertEqual(self.call("GET", target, self.simulator.token(app=PAYROLL_APP))[0], 404)
        self.client = self.bot
        self.stack.run("approvals", "approve", code, "--token-file",
                       str(self.stack.folder / "officer1.token"))
        self.assertEqual(self.purge(user=EXECUTIVE)[0], 204)
        self.check_invariants()

    def test_certificates_of_nobody_or_of_several_are_refused(self):
        for self.client in (self.stranger, self.both):
            self.assertNotIn("actor", self.refused(self.purge()))

    def test_a_token_of_somebody_else_is_refused(self):
        for wanted in ({"app": PAYROLL_APP}, {"user": REQUESTER},
                       {"user": REQUESTER, "app": BOT_APP_ID},
                       {"app": BOT_APP_ID, "claims": {"tid": OTHER_TENANT}}):
            record = self.refused(self.purge(token=self.simulator.token(**wanted)))
            self.assertEqual(record["actor"]["app"], BOT_APP_ID)
            self.assertEqual(record["actor"]["verification"], "certificate")
        token = self.simulator.token(app=PAYROLL_APP) + "="
        self.refused(self.purge(token=token), 401, "InvalidAuthenticationToken")

    def test_what_only_graph_can_tell_of_a_token_graph_decides(self):
        own = self.simulator.token(app=BOT_APP_ID)
        for token in (own[:-8] + "A" * 8, "opaque"):
            answer = self.purge(token=token)
            # Graph tells such a token nothing about the mailbox, so it may be one on hold.
            self.expect_error(answer, 403, "HoldfastDenied")
            record = self.record(answer[1]["Holdfast-Record"])
            self.assertEqual(record["decision"]["rules"], ["hold-is-absolute"])
            self.assertIsNone(record["decision"]["facts"]["mailbox"])
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_an_expired_token_is_asked_for_anew(self):
        token = self.simulator.token(app=BOT_APP_ID, expires_in=-60)
        answer = self.purge(token=token)
        self.assertIn("invalid_token", answer[1]["WWW-Authenticate"])
        self.refused(answer, 401, "InvalidAuthenticationToken")

    def test_what_is_not_guarded_passes_as_in_the_other_mode(self):
        for self.client in (self.bot, self.stranger):
            answer = self.call("GET", f"/v1.0/users/{REQUESTER}", self.stack.requester)
            self.assertEqual(answer[0], 200, answer[2])

    def test_without_a_certificate_of_the_authority_nobody_gets_in(self):
        outsider = ClientAuthority(self.stack.folder / "outside").issue("bot",
                                                                        "DNS:bot.contoso.com")
        for client in (None, outsider):
            self.stack.client = client
            try:
                with self.assertRaises(OSError):
                    self.stack.request("GET", "/v1.0/me", self.stack.app)
            finally:
                self.stack.client = self.bot
        self.assertEqual(self.seen(), [])

    def trust(self, authority):
        """From now on the proxy lets in whom this authority vouches for."""
        shutil.copy(authority.ca_file, self.trusted)
        known = len(self.stack.proxy.log_path.read_text())
        self.stack.proxy.signal(signal.SIGHUP)
        wait_until(lambda: "TLS files reloaded" in self.stack.proxy.log_path.read_text()[known:],
                   "the proxy to read its TLS files again")

    def test_a_connection_outlives_the_authority_that_let_it_in(self):
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        context.load_cert_chain(*self.bot)
        connection = http.client.HTTPSConnection("localhost", self.stack.proxy_port,
                                                 context=context, timeout=60)
        self.addCleanup(connection.close)

        def purge(index):
            connection.request("POST", self.path(index, owner=f"users/{ADELE}", user=ADELE),
                               headers={"Authorization": f"Bearer {self.stack.app}",
                                        "Content-Length": "0"})
            answer = connection.getresponse()
            return answer.status, answer.read()

        self.assertEqual(purge(0)[0], 204)
        self.addCleanup(self.trust, self.authority)
        self.trust(ClientAuthority(self.stack.folder / "next"))
        self.assertEqual(purge(1)[0], 204)
        with self.assertRaises(OSError):
            self.purge(2)
