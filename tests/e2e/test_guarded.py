"""Guarded calls as plain HTTPS requests: who may, what is answered, what travels on, what stays."""
import base64
import json
import threading
import unittest

from base import EXECUTIVE, GONE, HELD, StackCase, justification
from holds import wait_until


class GuardedCalls(StackCase):
    def delete(self, *arguments, token=None, headers=None, **options):
        return self.call("POST", self.path(*arguments, **options), token, headers=headers)

    def test_an_allowed_call_is_executed_between_two_records(self):
        status, headers, body = self.delete()
        self.assertEqual((status, body), (204, b""))
        intent = self.record(headers["Holdfast-Record"])
        self.assertEqual(intent["kind"], "intent")
        self.assertEqual(intent["actor"]["verification"], "probe")
        self.assertEqual(intent["decision"]["rules"], ["own-mailbox"])
        outcome = self.outcome_of(intent)
        self.assertEqual(outcome["graph_request_id"], headers["request-id"])
        self.check_invariants()

    def test_a_hold_stops_every_spelling_of_the_mailbox(self):
        held = self.simulator.mailboxes[HELD]
        for key in [HELD, HELD.upper(), "held%40contoso.com", held["id"],
                    f"{held['id']}@{self.simulator.tenant_id}", "held.alias@contoso.com"]:
            for token in (self.stack.requester, self.stack.app):
                with self.subTest(key):
                    answer = self.delete(owner=f"users/{key}", user=HELD, token=token)
                    inner = self.expect_error(answer, 403, "HoldfastDenied")
                    self.assertIn("hold-is-absolute", str(inner["holdfast"]))
        own = self.simulator.token(user=HELD)
        self.expect_error(self.delete(user=HELD, token=own), 403, "HoldfastDenied")
        self.expect_error(self.delete(owner=f"users('{HELD}')", user=HELD, token=own), 403,
                          "HoldfastDenied")
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_what_no_rule_allows_is_denied(self):
        answer = self.delete(owner="users/megan@contoso.com", user="megan@contoso.com")
        self.expect_error(answer, 403, "HoldfastDenied")
        self.assertEqual(self.seen("ermanentDelete"), [])
        self.check_invariants()

    def test_without_a_token_nothing_is_asked_of_graph(self):
        for token in ("", "nonsense"):
            answer = self.delete(token=token)
            self.expect_error(answer, 401, "InvalidAuthenticationToken")
            self.assertIn("Bearer", answer[1]["WWW-Authenticate"])
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_a_forged_token_names_nobody_as_verified(self):
        header, payload, signature = self.stack.requester.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["oid"] = self.simulator.mailboxes[EXECUTIVE]["id"]
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        answer = self.delete(token=f"{header}.{forged}.{signature}")
        self.expect_error(answer, 401, "InvalidAuthenticationToken")
        self.assertEqual(self.seen("ermanentDelete"), [])
        if answer[1]["Holdfast-Record"]:
            actor = self.record(answer[1]["Holdfast-Record"]).get("actor", {})
            self.assertNotEqual(actor.get("verification"), "probe")

    def test_an_app_acts_as_the_rules_say(self):
        owner, user = "users/adele@contoso.com", "adele@contoso.com"
        self.assertEqual(self.delete(0, "messages", owner, user, token=self.stack.app)[0], 204)
        self.expect_error(self.delete(owner=f"users/{EXECUTIVE}", user=EXECUTIVE,
                                      token=self.stack.app), 412, "HoldfastApprovalRequired")

    def test_holdfasts_own_headers_do_not_travel(self):
        headers = {"Holdfast-Ticket": "CASE-1", "Prefer": "x=y",
                   "x-msft-approval-justification": justification("because it must go")}
        self.assertEqual(self.delete(headers=headers)[0], 204)
        names = {name.lower(): value for name, value in self.seen("ermanentDelete")[0]["headers"]}
        self.assertEqual([name for name in names if name.startswith(("holdfast", "x-msft"))], [])
        self.assertEqual(names["prefer"], "x=y")
        self.assertEqual(names["authorization"], f"Bearer {self.stack.requester}")

    def test_no_secret_lands_in_a_record_or_a_log(self):
        self.delete()
        self.delete(token="header.payload.signature-of-a-secret")
        text = json.dumps(self.stack.entries()) + self.stack.proxy.log_path.read_text()
        for secret in (self.stack.requester.split(".")[2], "signature-of-a-secret"):
            self.assertNotIn(secret, text)

    def test_the_raw_target_reaches_graph(self):
        item = self.ids("messages")[0].replace("=", "%3D")
        target = f"/V1.0//me/Messages('{item}')/microsoft.graph.permanentDelete()?x=%20&X"
        self.assertEqual(self.call("POST", target)[0], 204)
        self.assertEqual(self.seen("ermanentDelete")[0]["target"], target)

    def test_a_second_delete_is_graphs_404(self):
        self.assertEqual(self.delete()[0], 204)
        answer = self.delete()
        self.assertEqual((answer[0], self.code_of(answer)), (404, "ErrorItemNotFound"))
        self.check_invariants()

    def test_ambiguous_requests_are_refused_and_recorded(self):
        answer = self.call("POST", f"/v1.0/me/messages/{GONE}/permanentDelete/$value")
        self.expect_error(answer, 400, "HoldfastBadRequest")
        self.assertEqual(self.record(answer[1]["Holdfast-Record"])["kind"], "decision")
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_a_guarded_call_with_a_body_is_not_forwarded_loosely(self):
        answer = self.call("POST", self.path(), body=b'{"a":1}',
                           headers={"Content-Type": "application/json"})
        self.assertEqual(answer[0], 400, answer[2])

    def test_graphs_throttling_is_passed_on(self):
        self.simulator.fault("status", 429, target_contains="permanentDelete")
        answer = self.delete()
        self.assertEqual((answer[0], answer[1]["Retry-After"]), (429, "1"))
        self.assertEqual(self.outcome_of(self.record(answer[1]["Holdfast-Record"]))["result"],
                         "refused")
        self.check_invariants()

    def test_officers_find_the_records(self):
        answer = self.delete()
        found = self.stack.records("--operation-id",
                                   self.record(answer[1]["Holdfast-Record"])["operation_id"])
        self.assertEqual([record["kind"] for record in found], ["intent", "outcome"])
        self.assertEqual(found[0]["id"], answer[1]["Holdfast-Record"])


class Reserve(StackCase):
    options = {"config": {"proxy.threads": 1, "upstream.connections": 2,
                          "upstream.connections_per_address": 2,
                          "upstream.guarded_connections": 1}}

    def test_slow_downloads_do_not_keep_guarded_calls_waiting(self):
        """Every ordinary connection is busy; caller and mailbox are not known yet either."""
        target = "/v1.0/me/messages?$top=1"
        self.simulator.fault("slow_body", 600, times=2, target_contains=target)
        downloads = [threading.Thread(target=self.call, args=("GET", target)) for _ in range(2)]
        for download in downloads:
            download.start()
        wait_until(lambda: len(self.seen(target)) == 2, "the downloads to begin")
        for index in range(3):
            self.assertEqual(self.call("POST", self.path(index))[0], 204)
        self.assertTrue(all(download.is_alive() for download in downloads))
        for download in downloads:
            download.join()
        self.check_invariants()


if __name__ == "__main__":
    unittest.main()
