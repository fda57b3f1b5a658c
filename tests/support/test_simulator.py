"""The Graph simulator itself: it must behave as Graph does, or the tests that lean on it lie."""
import base64
import json
import socket
import tempfile
import unittest

from simulator import Simulator

RECALL_START = (b'{\r\n  "Successfully submitted recall request to Hub server '
                b'LV8PR00MB1800.NAMPRD00.PROD.OUTLOOK.COM, MessageId is ')
GONE = "AAMkAGI0SUUjfo-RPNJNXcSO9k3JelIcGEQnhKiZNENHPok13nzX_yS4ac9HQl-w2jTvDbqfAAA="

simulator = None
folder = None


def setUpModule():
    global simulator, folder
    folder = tempfile.TemporaryDirectory(prefix="holdfast-simulator-")
    simulator = Simulator(folder.name)


def tearDownModule():
    simulator.stop()
    folder.cleanup()


class Case(unittest.TestCase):
    def setUp(self):
        simulator.reset()
        self.user, self.app = simulator.tokens["requester"], simulator.tokens["app"]
        self.alex = simulator.mailboxes["alex@contoso.com"]

    def call(self, method, target, token=None, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        return simulator.request(method, target, self.user if token is None else token, body,
                                 headers)

    def error(self, answer, status, code):
        self.assertEqual(answer[0], status, answer[2])
        error = json.loads(answer[2])["error"]
        self.assertEqual(error["code"], code)
        self.assertEqual(set(error["innerError"]), {"date", "request-id", "client-request-id"})
        self.assertEqual(answer[1]["Content-Type"], "application/json")
        self.assertEqual(error["innerError"]["request-id"], answer[1]["request-id"])

    def delete(self, target, **options):
        return self.call("POST", target + "/permanentDelete", **options)

    def raw(self, data, until_close=True):
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=60) as connection:
            connection.sendall(data)
            answer = b""
            while part := connection.recv(65536):
                answer += part
                if not until_close:
                    break
            return answer


class Mailboxes(Case):
    def test_permanent_delete_removes_the_item_for_good(self):
        first = self.alex["messages"][0]
        status, headers, body = self.delete(f"/v1.0/me/messages/{first}")
        self.assertEqual((status, body), (204, b""))
        self.assertIsNone(headers["Content-Length"])
        self.error(self.call("GET", f"/v1.0/me/messages/{first}"), 404, "ErrorItemNotFound")
        self.error(self.delete(f"/v1.0/me/messages/{first}"), 404, "ErrorItemNotFound")
        now = simulator.mailbox("alex@contoso.com")
        self.assertEqual(now["messages"], self.alex["messages"][1:])
        self.assertEqual(now["purged"], {"message": 1})

    def test_every_guarded_kind_can_be_deleted(self):
        ids, name = self.alex, "/beta/users/alex@contoso.com"
        for target in [f"{name}/events/{ids['events'][0]}",
                       f"{name}/calendar/events/{ids['events'][1]}",
                       f"{name}/contacts/{ids['contacts'][0]}",
                       f"{name}/outlook/tasks/{ids['tasks'][0]}",
                       f"{name}/mailFolders/inbox/messages/{ids['messages'][1]}",
                       f"{name}/mailFolders/{ids['folder_ids']['Projects']}"]:
            with self.subTest(target):
                self.assertEqual(self.delete(target)[0], 204)

    def test_deleting_a_folder_removes_what_lies_in_it(self):
        projects = self.alex["folder_ids"]["Projects"]
        inside = self.alex["folders"]["Old projects"][0]
        self.assertEqual(self.delete(f"/v1.0/me/mailFolders/{projects}")[0], 204)
        self.error(self.call("GET", f"/v1.0/me/messages/{inside}"), 404, "ErrorItemNotFound")
        self.error(self.delete("/v1.0/me/mailFolders/inbox"), 403,
                   "ErrorDeleteDistinguishedFolder")

    def test_events_are_reached_through_messages_and_series(self):
        invitation = self.alex["messages"][-1]
        path = f"/v1.0/me/messages/{invitation}/microsoft.graph.eventMessage/event/instances"
        instances = json.loads(self.call("GET", path)[2])["value"]
        self.assertEqual(len(instances), 4)
        self.assertEqual(self.delete(f"{path}/{instances[0]['id']}")[0], 204)
        self.assertEqual(len(json.loads(self.call("GET", path)[2])["value"]), 3)
        self.assertEqual(self.delete(f"/v1.0/me/messages/{invitation}/event")[0], 204)

    def test_recall_is_beta_and_for_sent_items(self):
        sent = self.alex["sent"][0]
        path = f"/me/mailFolders/sentitems/messages/{sent}/recall"
        status, headers, body = self.call("POST", "/beta" + path)
        self.assertEqual(status, 202)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertTrue(body.startswith(RECALL_START), body)
        self.assertRaises(ValueError, json.loads, body)
        self.assertEqual(simulator.mailbox("alex@contoso.com")["recalled"], [sent])
        self.error(self.call("POST", "/v1.0" + path), 400, "BadRequest")
        inbox = self.alex["messages"][0]
        self.error(self.call("POST", f"/beta/me/messages/{inbox}/recall"), 400,
                   "ErrorInvalidRequest")
        for bad in ["x", GONE]:
            self.error(self.call("POST", f"/beta/me/mailFolders/sentitems/messages/{bad}/recall"),
                       400, "ErrorInvalidIdMalformed")

    def test_a_bad_id_is_400_and_an_unknown_one_404(self):
        self.error(self.delete("/v1.0/me/messages/nonsense"), 400, "ErrorInvalidIdMalformed")
        self.error(self.delete(f"/v1.0/me/messages/{GONE}"), 404, "ErrorItemNotFound")
        self.error(self.delete(f"/v1.0/users/nobody@contoso.com/messages/{GONE}"), 404,
                   "ErrorInvalidUser")

    def test_a_mailbox_has_many_spellings(self):
        keys = [self.alex["id"], "ALEX@contoso.com", "alex%40contoso.com",
                "alex.wilber@contoso.com", f"{self.alex['id']}@{simulator.tenant_id}"]
        paths = [f"/V1.0/Users/{key}" for key in keys]
        paths += ["/v1.0/users('alex@contoso.com')", "/v1.0/users(id='alex%40contoso.com')",
                  "/v1.0/users%28%27alex@contoso.com%27%29", "/v1.0//users/./alex@contoso.com/"]
        for path in paths:
            with self.subTest(path):
                answer = self.call("GET", path + "?$select=id")
                self.assertEqual(json.loads(answer[2])["id"], self.alex["id"])
        guest = self.call("GET", "/v1.0/users/lee.gu_fabrikam.com%23EXT%23@contoso.onmicrosoft.com")
        self.assertEqual(json.loads(guest[2])["userType"], "Guest")

    def test_keys_in_parentheses_and_qualified_actions_work(self):
        ids = self.alex["messages"]
        self.assertEqual(self.call(
            "POST", f"/v1.0/me/messages('{ids[0]}')/microsoft.graph.permanentDelete")[0], 204)
        self.assertEqual(self.call(
            "POST", f"/v1.0/me/MESSAGES/{ids[1]}/%70ermanentDELETE()")[0], 204)

    def test_moving_changes_the_mutable_id_only(self):
        first = self.alex["messages"][0]
        immutable = {"Prefer": 'IdType="ImmutableId"'}
        answer = self.call("GET", f"/v1.0/me/messages/{first}", **immutable)
        steady = json.loads(answer[2])["id"]
        self.assertEqual(answer[1]["Preference-Applied"], 'IdType="ImmutableId"')
        moved = self.call("POST", f"/v1.0/me/messages/{first}/move",
                          body={"destinationId": "archive"})
        self.assertEqual(moved[0], 201)
        self.assertNotEqual(json.loads(moved[2])["id"], first)
        self.error(self.call("GET", f"/v1.0/me/messages/{first}"), 404, "ErrorItemNotFound")
        self.assertEqual(self.call("GET", f"/v1.0/me/messages/{steady}")[0], 200)

    def test_an_ordinary_delete_goes_to_deleted_items(self):
        first = self.alex["messages"][0]
        self.assertEqual(self.call("DELETE", f"/v1.0/me/messages/{first}")[0], 204)
        now = simulator.mailbox("alex@contoso.com")
        self.assertEqual(len(now["folders"]["Deleted Items"]), 1)
        self.assertEqual(now["purged"], {})

    def test_send_mail_reaches_the_recipient(self):
        message = {"subject": "Hello", "toRecipients": [
            {"emailAddress": {"address": "megan@contoso.com"}}]}
        before = len(simulator.mailbox("megan@contoso.com")["messages"])
        self.assertEqual(self.call("POST", "/v1.0/me/sendMail", body={"message": message})[0], 202)
        self.assertEqual(len(simulator.mailbox("megan@contoso.com")["messages"]), before + 1)

    def test_pages_lead_to_each_other_absolutely(self):
        target, seen = "/v1.0/me/messages?$top=50&$select=subject", []
        origin = f"http://localhost:{simulator.port}"
        while target:
            page = json.loads(self.call("GET", target)[2])
            seen += [message["id"] for message in page["value"]]
            link = page.get("@odata.nextLink")
            self.assertTrue(link is None or link.startswith(origin + "/v1.0/me/messages?"))
            target = link and link.removeprefix(origin)
        self.assertEqual(len(seen), len(set(seen)))
        self.assertGreater(len(seen), 200)

    def test_reset_brings_everything_back(self):
        self.delete(f"/v1.0/me/messages/{self.alex['messages'][0]}")
        simulator.fault("status", 500)
        simulator.reset()
        self.assertEqual(simulator.mailbox("alex@contoso.com")["messages"], self.alex["messages"])
        self.assertEqual(simulator.control("GET", "faults"), [])
        self.assertEqual(simulator.requests(), [])


class Access(Case):
    def test_probes_answer(self):
        status, _, body = self.call("GET", "/v1.0/me?$select=id")
        self.assertEqual((status, json.loads(body)["id"]), (200, self.alex["id"]))
        self.assertEqual(self.call("GET", "/v1.0/organization?$select=id", self.app)[0], 200)
        self.error(self.call("GET", "/v1.0/me", self.app), 400, "BadRequest")

    def test_tokens_that_were_not_issued_here_are_refused(self):
        header, payload, signature = self.user.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["oid"] = simulator.mailboxes["ceo@contoso.com"]["id"]
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        expired = simulator.token(user="alex@contoso.com", expires_in=-1)
        for token in ["", "nonsense", f"{header}.{forged}.{signature}", f"{header}.{payload}.",
                      expired]:
            answer = self.call("GET", "/v1.0/me", token)
            self.error(answer, 401, "InvalidAuthenticationToken")
            self.assertTrue(answer[1]["WWW-Authenticate"].startswith("Bearer "))

    def test_other_mailboxes_need_sharing_or_an_app_role(self):
        ids = simulator.mailboxes["ceo@contoso.com"]["messages"]
        path = f"/v1.0/users/ceo@contoso.com/messages/{ids[0]}"
        self.error(self.delete(path), 403, "ErrorAccessDenied")
        reader = simulator.token(app=simulator.app_id, roles=["Mail.Read"])
        self.error(self.delete(path, token=reader), 403, "ErrorAccessDenied")
        self.assertEqual(self.call("GET", path, reader)[0], 200)
        self.assertEqual(self.delete(path, token=self.app)[0], 204)
        shared = simulator.mailboxes["megan@contoso.com"]["messages"][0]
        self.assertEqual(self.delete(f"/v1.0/users/megan@contoso.com/messages/{shared}")[0], 204)

    def test_metadata_is_for_anyone(self):
        status, headers, body = self.call("GET", "/v1.0/$metadata", "")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/xml"))
        self.assertIn(b"edmx", body)

    def test_client_request_id_is_echoed(self):
        answer = self.call("GET", "/v1.0/me", client_request_id="abc-1")
        self.assertEqual(answer[1]["client-request-id"], "abc-1")
        answer = self.call("GET", "/v1.0/me")
        self.assertEqual(answer[1]["client-request-id"], answer[1]["request-id"])


class Batches(Case):
    def batch(self, *requests):
        return self.call("POST", "/v1.0/$batch", body={"requests": list(requests)})

    def test_parts_run_and_answer_on_their_own(self):
        first = self.alex["messages"][0]
        status, _, body = self.batch(
            {"id": "1", "method": "POST", "url": f"/me/messages/{first}/permanentDelete"},
            {"id": "2", "method": "GET", "url": "me?$select=id"},
            {"id": "3", "method": "GET", "url": f"me/messages/{first}", "dependsOn": ["1"]},
            {"id": "4", "method": "GET", "url": "me", "dependsOn": ["3"]})
        self.assertEqual(status, 200)
        statuses = {part["id"]: part["status"] for part in json.loads(body)["responses"]}
        self.assertEqual(statuses, {"1": 204, "2": 200, "3": 404, "4": 424})
        self.assertIn("permanentDelete message", simulator.requests()[-1]["did"])

    def test_malformed_batches_are_refused_whole(self):
        get = {"method": "GET", "url": "/me"}
        for parts in [[{"id": "a", **get}, {"id": "A", **get}], [],
                      [{"id": str(number), **get} for number in range(21)],
                      [{"id": "1", "method": "GET", "url": "https://elsewhere/me"}]]:
            self.error(self.batch(*parts), 400, "BadRequest")
        nested = {"id": "1", "method": "POST", "url": "/$batch", "body": {"requests": []},
                  "headers": {"Content-Type": "application/json"}}
        answer = json.loads(self.batch(nested)[2])["responses"][0]
        self.assertEqual(answer["status"], 400)


class Strictness(Case):
    def head(self, line="GET /v1.0/me HTTP/1.1", host=None, *more):
        host = f"Host: localhost:{simulator.port}" if host is None else host
        lines = [line, host, f"Authorization: Bearer {self.user}", *more]
        return "\r\n".join([text for text in lines if text] + ["", ""]).encode()

    def test_malformed_requests_are_refused_and_the_connection_closed(self):
        good = self.head()
        cases = {
            "no host": self.head(host=""),
            "two hosts": self.head("GET /v1.0/me HTTP/1.1", None, "Host: localhost"),
            "absolute form": self.head("GET http://localhost/v1.0/me HTTP/1.1"),
            "fragment": self.head("GET /v1.0/me#x HTTP/1.1"),
            "lower-case method": self.head("get /v1.0/me HTTP/1.1"),
            "bare line feeds": good.replace(b"\r\n", b"\n"),
            "folded header": self.head("GET /v1.0/me HTTP/1.1", None, "X-A: b", " c"),
            "length and chunked": self.head("POST /v1.0/me HTTP/1.1", None, "Content-Length: 0",
                                            "Transfer-Encoding: chunked"),
            "signed length": self.head("POST /v1.0/me HTTP/1.1", None, "Content-Length: +1"),
            "chunk extension": self.head("POST /v1.0/me HTTP/1.1", None,
                                         "Transfer-Encoding: chunked") + b"1;x\r\na\r\n0\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name):
                answer = self.raw(data)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer[:80])
                entry = simulator.requests()[-1]
                self.assertTrue(entry["did"].startswith("malformed"), entry["did"])
                self.assertEqual(entry["raw"], data)
        self.assertTrue(self.raw(self.head("GET /v1.0/me HTTP/1.0")).startswith(b"HTTP/1.1 505"))

    def test_a_foreign_host_is_refused(self):
        answer = self.raw(self.head("GET /v1.0/me HTTP/1.1", "Host: graph.microsoft.com",
                                    "Connection: close"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "))
        self.assertTrue(simulator.requests()[-1]["notes"])

    def test_leftovers_of_a_proxy_are_refused(self):
        path = f"/v1.0/me/messages/{self.alex['messages'][0]}"
        for name in ["Holdfast-Ticket", "x-msft-approval-code", "Proxy-Connection", "TE",
                     "X-HTTP-Method-Override"]:
            with self.subTest(name):
                self.error(self.delete(path, **{name: "x"}), 400, "BadRequest")
                self.assertTrue(simulator.requests()[-1]["notes"])
        self.error(self.delete(path, body=b"{}"), 400, "BadRequest")
        self.assertEqual(simulator.mailbox("alex@contoso.com")["purged"], {})

    def test_a_post_without_a_length_is_refused(self):
        answer = self.raw(self.head("POST /v1.0/me/sendMail HTTP/1.1", None, "Connection: close"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 411 "))

    def test_requests_are_kept_byte_for_byte(self):
        data = self.head("POST /v1.0/me/sendMail?a=%20&A HTTP/1.1", None, "x-Odd:  two  ",
                         "Connection: close", "Content-Type: application/json",
                         "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
        self.raw(data)
        entry = simulator.requests()[-1]
        self.assertEqual(entry["raw"], data)
        self.assertEqual((entry["method"], entry["target"], entry["body"]),
                         ("POST", "/v1.0/me/sendMail?a=%20&A", b"{}"))
        self.assertIn(["x-Odd", "two"], entry["headers"])
        self.assertEqual(entry["status"], 400)


class FaultsStrike(Case):
    def request_bytes(self, target, method="GET"):
        return (f"{method} {target} HTTP/1.1\r\nHost: localhost:{simulator.port}\r\n"
                f"Authorization: Bearer {self.user}\r\nContent-Length: 0\r\n\r\n").encode()

    def delete_bytes(self):
        return self.request_bytes(f"/v1.0/me/messages/{self.alex['messages'][0]}/permanentDelete",
                                  "POST")

    def purged(self):
        return simulator.mailbox("alex@contoso.com")["purged"].get("message", 0)

    def test_close_before_read_acts_on_nothing(self):
        simulator.fault("close_before_read", target_contains="permanentdelete")
        with self.assertRaises(ConnectionError):
            self.raw(self.delete_bytes())
        self.assertEqual(self.purged(), 0)
        self.assertEqual(simulator.requests()[-1]["did"], "close_before_read")

    def test_close_after_act_acts_and_says_nothing(self):
        simulator.fault("close_after_act", method="POST")
        self.assertEqual(self.raw(self.delete_bytes()), b"")
        self.assertEqual(self.purged(), 1)
        entry = simulator.requests()[-1]
        self.assertEqual((entry["did"], entry["status"], entry["acted"]),
                         ("permanentDelete message", None, True))

    def test_half_reply_and_garbage_act(self):
        simulator.fault("half_reply")
        answer = self.raw(self.delete_bytes())
        self.assertTrue(answer.startswith(b"HTTP/1.1 204"))
        self.assertNotIn(b"\r\n\r\n", answer)
        simulator.fault("garbage")
        self.assertFalse(self.raw(self.delete_bytes()).startswith(b"HTTP"))
        self.assertEqual(self.purged(), 1)

    def test_refuse_resets_new_connections_and_closes_idle_ones(self):
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=60) as idle:
            idle.sendall(self.request_bytes("/v1.0/me?$select=id"))
            self.assertTrue(idle.recv(65536).startswith(b"HTTP/1.1 200"))
            simulator.fault("refuse")
            self.assertEqual(idle.recv(1), b"")
        with self.assertRaises(ConnectionError):
            self.raw(self.delete_bytes())
        self.assertEqual(self.purged(), 0)
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)

    def test_status_answers_in_graphs_shape_as_often_as_asked(self):
        simulator.fault("status", 429, times=2)
        for _ in range(2):
            status, headers, body = self.call("GET", "/v1.0/me")
            self.assertEqual((status, headers["Retry-After"]), (429, "1"))
            self.assertEqual(json.loads(body)["error"]["code"], "TooManyRequests")
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        simulator.fault("status", {"status": 500, "act": True})
        self.assertEqual(self.delete(f"/v1.0/me/messages/{self.alex['messages'][0]}")[0], 500)
        self.assertEqual(self.purged(), 1)

    def test_slow_and_delayed_answers_are_whole(self):
        simulator.fault("slow_body", 1)
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        simulator.fault("slow_body", 1)
        self.assertEqual(self.delete(f"/v1.0/me/messages/{self.alex['messages'][0]}")[0], 204)
        simulator.fault("delay", 5)
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)

    def test_a_reset_forgets_requests_that_wait(self):
        simulator.fault("delay", 600_000, method="POST")
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=60) as waiting:
            waiting.sendall(self.delete_bytes())
            while not simulator.requests():
                pass
            simulator.reset()
            self.assertEqual(waiting.recv(1), b"")
        self.assertEqual(self.purged(), 0)

    def test_only_matching_requests_are_struck(self):
        simulator.fault("status", 503, method="POST", target_contains="recall")
        self.assertEqual(self.call("GET", "/v1.0/me")[0], 200)
        self.assertEqual(self.delete(f"/v1.0/me/messages/{self.alex['messages'][0]}")[0], 204)

    def test_unknown_faults_are_refused(self):
        for fault in [{"fault": "explode"}, {"fault": "delay"}, {"fault": "refuse", "time": 1},
                      {"fault": "status", "value": 99}, {"fault": "refuse", "match": {"x": 1}}]:
            with self.assertRaises(RuntimeError):
                simulator.control("POST", "faults", fault)


class Ediscovery(Case):
    """Legal holds, as whoever may read eDiscovery sees them."""
    CASES = "/v1.0/security/cases/ediscoveryCases"

    def setUp(self):
        super().setUp()
        self.case, self.closed = simulator.control("GET", "ediscovery")
        self.hold = self.case["holds"][0]
        self.holds = f"{self.CASES}/{self.case['case']}/legalHolds"

    def page(self, target):
        status, _, body = self.call("GET", target, self.app)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def test_holds_are_found_from_the_cases_down(self):
        self.assertEqual([(case["id"], case["status"]) for case in self.page(self.CASES)["value"]],
                         [(self.case["case"], "active"), (self.closed["case"], "closed")])
        self.assertEqual([hold["id"] for hold in self.page(self.holds)["value"]],
                         [hold["hold"] for hold in self.case["holds"]])
        one = self.page(f"/beta/security/cases/ediscoverycases('{self.case['case']}')/legalholds/"
                        + self.hold["hold"])
        self.assertEqual((one["id"], one["isEnabled"], one["status"]),
                         (self.hold["hold"], True, "success"))

    def test_user_sources_come_in_pages(self):
        first = self.page(f"{self.holds}/{self.hold['hold']}/userSources")
        self.assertEqual(set(first["value"][0]),
                         {"id", "displayName", "createdDateTime", "createdBy", "email",
                          "holdStatus", "includedSources", "siteWebUrl"})
        self.assertTrue(first["@odata.nextLink"].startswith(simulator.origin + self.holds))
        rest = self.page(first["@odata.nextLink"].removeprefix(simulator.origin))
        self.assertNotIn("@odata.nextLink", rest)
        self.assertEqual([source["email"] for source in first["value"] + rest["value"]],
                         self.hold["emails"])

    def test_it_takes_the_permission_and_an_id_that_is_there(self):
        self.error(self.call("GET", self.CASES), 403, "Forbidden")
        other = simulator.token(app="6a1e55aa-0000-4000-8000-000000000009", roles=["Mail.Read"])
        self.error(self.call("GET", self.CASES, other), 403, "Forbidden")
        self.error(self.call("GET", self.CASES, "forged"), 401, "InvalidAuthenticationToken")
        self.error(self.call("GET", f"{self.holds}/none/userSources", self.app), 404, "NotFound")
        self.error(self.call("GET", f"{self.holds}/{self.hold['hold']}/mail", self.app), 400,
                   "BadRequest")
        self.error(self.call("POST", self.CASES, self.app, body={}), 400, "BadRequest")

    def test_a_hold_changes_and_a_reset_brings_it_back(self):
        changed = simulator.control("POST", "ediscovery", {
            "case": self.case["case"], "hold": self.hold["hold"], "add": ["new@contoso.com"],
            "remove": ["held@contoso.com"]})
        emails = changed[0]["holds"][0]["emails"]
        self.assertEqual(emails, self.hold["emails"][1:] + ["new@contoso.com"])
        simulator.reset()
        self.assertEqual(simulator.control("GET", "ediscovery"), [self.case, self.closed])
        with self.assertRaises(RuntimeError):
            simulator.control("POST", "ediscovery", {"case": "none"})


if __name__ == "__main__":
    unittest.main()
