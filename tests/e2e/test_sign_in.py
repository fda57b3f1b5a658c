"""Officers who sign in with an identity provider, instead of or beside API tokens."""
import json
import unittest

from service import fetch
from stack import write_secret
from test_approvals import RULES, ApprovalCase

ADELE = "ade1e000-0000-4000-8000-00000000000b"
BEA = "bea00000-0000-4000-8000-00000000000c"
COMPLIANCE = "3f2c0a52-0000-4000-8000-000000000001"


class SignIn(ApprovalCase):
    options = {"rules": RULES, "sign_in": True, "config": {"audit.allow_token_approvals": False}}

    def token(self, roles=("approver",), **claims):
        return self.stack.issuer.token(ADELE, "adele", roles, [COMPLIANCE], **claims)

    def know(self, people):
        """The operator's file says whose other accounts and apps are whose; read at a start."""
        path = self.stack.folder / "tokens.yaml"
        officers = json.loads(path.read_text())
        officers["people"] = people
        write_secret(path, json.dumps(officers, indent=1) + "\n")
        self.stack.audit.stop()
        self.stack.audit.start().wait_ready()

    def read(self, token):
        return fetch(self.stack.audit_url + "/api/v1/records", self.stack.ca_file, token)[0]

    def test_a_person_approves_where_no_api_token_may(self):
        code = self.file(0)
        status, _, error = self.officer("officer1", "approve", code)
        self.assertEqual(status, 1)
        self.assertIn("You can't approve this", error)
        write_secret(self.stack.folder / "adele.token", self.token() + "\n")
        status, output, error = self.officer("adele", "approve", code)
        self.assertEqual(status, 0, error)
        self.assertEqual(self.ask(0)[0], 204)
        step = [entry for entry in self.stack.entries() if entry["kind"] == "approval"][-1]
        by = step["approval"]["by"]
        self.assertEqual((by["name"], by["via"]), ("adele", "sign_in"))
        self.check_invariants()

    def test_who_asked_by_an_app_of_theirs_does_not_approve(self):
        self.addCleanup(self.know, [])
        self.know([{"tenant": self.stack.issuer.tenant, "user": ADELE,
                    "apps": [self.simulator.app_id]}])
        code = self.file(1)
        write_secret(self.stack.folder / "adele.token", self.token() + "\n")
        status, _, error = self.officer("adele", "approve", code)
        self.assertEqual(status, 1)
        self.assertIn("You can't approve this because you asked for it yourself", error)
        self.assertEqual(self.ask(1)[0], 412)
        token = self.stack.issuer.token(BEA, "bea", ["approver"], [COMPLIANCE])
        write_secret(self.stack.folder / "bea.token", token + "\n")
        status, _, error = self.officer("bea", "approve", code)
        self.assertEqual(status, 0, error)
        self.assertEqual(self.ask(1)[0], 204)
        self.check_invariants()

    def test_tokens_that_are_not_for_this_service_open_nothing(self):
        for claims in ({"aud": "api://other"}, {"iss": "https://evil.example"}, {"exp": 1},
                       {"tid": ADELE}, {"idtyp": "app"}):
            self.assertEqual(self.read(self.token(**claims)), 401, claims)
        self.assertEqual(self.read(self.token(roles=["owner"])), 403)
        self.assertEqual(self.read(self.token(roles=["auditor"])), 200)
        token = self.token()
        self.assertEqual(self.read(token[:-8] + "AAAAAAAA"), 401)

    def test_no_token_lands_in_records(self):
        token = self.token(roles=["auditor"])
        self.assertEqual(self.read(token), 200)
        self.assertNotIn(token.split(".")[2], json.dumps(self.stack.entries()))


if __name__ == "__main__":
    unittest.main()
