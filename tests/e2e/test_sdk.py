"""The official JavaScript client through Holdfast: it must notice nothing, and read our errors."""
import json
import unittest

from base import EXECUTIVE, GONE, HELD, StackCase, quoted

KINDS = [("messages", "v1.0"), ("events", "v1.0"), ("contacts", "beta"), ("tasks", "beta")]


class OfficialClient(StackCase):
    def delete(self, kind, version, index=0, owner="me", user=None):
        box = self.ids(kind, user) if user else self.ids(kind)
        collection = "outlook/tasks" if kind == "tasks" else kind
        return {"method": "POST", "version": version,
                "path": f"/{owner}/{collection}/{quoted(box[index])}/permanentDelete"}

    def recall(self, item_id):
        return {"method": "POST", "version": "beta", "raw": True,
                "path": f"/me/mailFolders/sentitems/messages/{quoted(item_id)}/recall"}

    def test_the_four_deletes_are_executed_and_recorded(self):
        answers = self.sdk(calls=[self.delete(*kind) for kind in KINDS])
        for (kind, _), answer in zip(KINDS, answers):
            with self.subTest(kind):
                self.assertEqual((answer["status"], answer["attempts"]), (204, 1))
                intent = self.record(answer["headers"]["holdfast-record"])
                self.assertEqual(intent["kind"], "intent")
                self.assertEqual(intent["operation"]["item"], self.ids(kind)[0])
                self.assertEqual(self.outcome_of(intent)["result"], "executed")
                self.assertEqual(len(self.seen(quoted(self.ids(kind)[0]))), 1)

    def test_recall_keeps_its_body_and_the_record_names_what_it_said(self):
        answer = self.sdk(calls=[self.recall(self.ids("sent")[0])])[0]
        self.assertEqual(answer["status"], 202)
        self.assertIn("Successfully submitted recall request to Hub server", answer["value"])
        self.assertEqual(answer["headers"]["content-type"], "application/json")
        outcome = self.outcome_of(self.record(answer["headers"]["holdfast-record"]))
        self.assertEqual(outcome["result"], "executed")
        self.assertEqual(outcome["recall"]["hub_server"],
                         "LV8PR00MB1800.NAMPRD00.PROD.OUTLOOK.COM")
        self.assertIn(f"MessageId is {outcome['recall']['message_id']}.", answer["value"])

    def test_denials_are_readable_and_never_resent(self):
        owner = f"users/{HELD}"
        answers = self.sdk(calls=[self.delete(*kind, owner=owner, user=HELD) for kind in KINDS])
        for answer in answers:
            self.assertEqual((answer["status"], answer["attempts"]), (403, 1))
            self.assertEqual(answer["error"]["code"], "HoldfastDenied")
            self.assertEqual(answer["error"]["statusCode"], 403)
            self.assertEqual(answer["error"]["requestId"], answer["headers"]["request-id"])
            self.assertIn("hold-is-absolute", str(answer["error"]["body"]))
            record = self.record(answer["headers"]["holdfast-record"])
            self.assertEqual((record["kind"], record["decision"]["effect"]), ("decision", "deny"))
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_an_approval_is_asked_for_with_412(self):
        call = self.delete("messages", "v1.0", owner=f"users/{EXECUTIVE}", user=EXECUTIVE)
        answer = self.sdk(token=self.stack.app, calls=[call])[0]
        self.assertEqual((answer["status"], answer["attempts"]), (412, 1))
        self.assertEqual(answer["error"]["code"], "HoldfastApprovalRequired")
        code = answer["headers"]["x-msft-approval-code"]
        self.assertIn(code, answer["error"]["message"])
        self.assertEqual(answer["headers"]["location"], f"/holdfast/approvals/{code}")
        self.assertEqual(self.seen("ermanentDelete"), [])

    def test_graphs_own_errors_arrive_unchanged(self):
        call = {"method": "POST", "path": f"/me/messages/{quoted(GONE)}/permanentDelete"}
        answer = self.sdk(calls=[call])[0]
        self.assertEqual((answer["status"], answer["error"]["code"]), (404, "ErrorItemNotFound"))
        outcome = self.outcome_of(self.record(answer["headers"]["holdfast-record"]))
        self.assertEqual((outcome["result"], outcome["status"]), ("refused", 404))

    def test_bad_recall_ids_are_400(self):
        answer = self.sdk(calls=[{**self.recall(GONE), "raw": False}])[0]
        self.assertEqual((answer["status"], answer["error"]["code"]),
                         (400, "ErrorInvalidIdMalformed"))

    def test_ordinary_calls_pass_unrecorded(self):
        before = len(self.stack.entries())
        answers = self.sdk(calls=[
            {"method": "GET", "path": "/me?$select=id,displayName"},
            {"method": "PATCH", "path": f"/me/messages/{quoted(self.ids('messages')[0])}",
             "body": {"isRead": True}},
            {"method": "DELETE", "path": f"/me/messages/{quoted(self.ids('messages')[1])}"},
            {"method": "POST", "path": "/me/sendMail", "body": {"message": {
                "subject": "Ä", "toRecipients": [{"emailAddress": {"address": HELD}}]}}}])
        self.assertEqual([answer["status"] for answer in answers], [200, 200, 204, 202])
        self.assertEqual(answers[0]["value"]["displayName"], "Alex Wilber")
        self.assertEqual(len(self.stack.entries()), before)


if __name__ == "__main__":
    unittest.main()
