"""Who comes first, with four real proxies over one database.

In every other round the appends of all meet at the log's head, so that they are certain to be under
way at once; in the others they go as they come. FULL_TESTS=1 plays 500 rounds instead of 10.
"""
import http.client
import json
import unittest
import uuid

from base import REQUESTER
from holds import wait_until
from race_case import PROXIES, ROUNDS, RaceCase
from service import fetch

DONE, USED = (204, None), (409, "HoldfastApprovalUsed")


class Resends(RaceCase):
    """One code, one call; whoever sends it, and wherever, at the same time."""

    def test_race_of_resends_on_four_proxies(self):
        items = []
        for number in self.rounds():
            item, code = self.approved_item()
            items.append(item)
            headers = {"x-msft-approval-code": code} if number % 3 == 0 else None
            told = self.race(number, lambda: self.resend(item, headers=headers))
            self.assertEqual(told, [DONE] + (PROXIES - 1) * [USED])
        got, acted = self.deliveries()
        self.assertEqual(got, dict.fromkeys(items, 1))
        self.assertEqual(acted, got)
        self.check_invariants()

    def test_race_of_duplicate_filings_on_four_proxies(self):
        for number in self.rounds():
            item = uuid.uuid4()
            codes = self.race(number,
                              lambda: self.everywhere(lambda proxy: self.file(item, proxy)))
            self.assertEqual(len(set(codes)), 1, codes)
            self.assertEqual(self.steps(codes[0]), "file")
        self.assertEqual(self.deliveries()[0], {})
        self.check_invariants()


class Officers(RaceCase):
    """Who decides first, and who may not decide while somebody who may does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tenant, asked = cls.simulator.tenant_id, cls.simulator.mailboxes[REQUESTER]["id"]
        for name, what_is_theirs in (("account", {"user": asked}),
                                     ("alias", {"names": [REQUESTER.upper()]}),
                                     ("guest", {"accounts": [f"{tenant}/{asked}"]}),
                                     ("app", {"apps": [cls.simulator.app_id]})):
            cls.stack.add_officer(name, ["approver"], {"tenant": tenant, "user": str(uuid.uuid4()),
                                                       "names": [], **what_is_theirs})
        cls.stack.audit.stop()  # Nobody has a connection to it yet.
        cls.stack.audit.start().wait_ready()

    def approve_at_once(self, code, names):
        return list(self.pool.map(lambda name: self.decide("approve", code, name), names))

    def test_race_of_three_officers(self):
        """Two who approve and one who rejects, where one approval is enough."""
        verbs = {"officer1": "approve", "officer2": "approve", "lawyer": "reject"}
        for _ in self.rounds():
            code = self.file(uuid.uuid4())
            answers = dict(zip(verbs, self.pool.map(
                lambda name: self.decide(verbs[name], code, name)[0], verbs)))
            self.assertEqual(sorted(answers.values()), [200, 409, 409])
            first = next(name for name in verbs if answers[name] == 200)
            self.assertEqual(self.steps(code), f"file,{verbs[first]}")
        self.check_invariants()

    def test_race_of_who_asked_by_alias_and_by_api_against_an_approver(self):
        for number in range(ROUNDS):
            answer = self.call("POST", f"/v1.0/me/events/{uuid.uuid4()}/permanentDelete",
                               proxy=number % PROXIES)
            self.assertEqual(answer[0], 412, answer[2])
            code = answer[1]["x-msft-approval-code"]
            answers = self.approve_at_once(code, ["account", "alias", "guest", "officer1"])
            self.assertEqual([answer[0] for answer in answers], [403, 403, 403, 200])
            for answer in answers[:3]:
                self.assertIn(b"you asked for it yourself", answer[2])
            self.assertEqual(self.steps(code), "file,approve")
        self.check_invariants()

    def test_race_of_whose_app_asked_against_an_approver(self):
        for number in range(ROUNDS):
            code = self.file(uuid.uuid4(), number % PROXIES)
            answers = self.approve_at_once(code, ["app", "officer2"])
            self.assertEqual([answer[0] for answer in answers], [403, 200])
            self.assertEqual(self.steps(code), "file,approve")
        self.check_invariants()

    def change_token(self, path, **body):
        status, _, answer = fetch(f"{self.stack.audit_url}/api/v1/tokens{path}", self.stack.ca_file,
                                  self.stack.officers["admin"], 60, "POST",
                                  json.dumps(body).encode(), {"Content-Type": "application/json"})
        self.assertIn(status, (200, 201), answer)
        return json.loads(answer)

    def begin_change(self, path, token, body):
        """A request that lacks the last byte of its body."""
        connection = http.client.HTTPSConnection("localhost", self.stack.audit_port,
                                                 context=self.tls, timeout=60)
        connection.putrequest("POST", f"/api/v1/{path}")
        for name, value in (("Authorization", f"Bearer {token['token']}"),
                            ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        connection.endheaders(body[:-1])
        looked_at = f"SELECT 1 FROM holdfast.token_uses WHERE id = '{token['id']}'"
        wait_until(lambda: self.sql(looked_at), "the token to be looked at")
        return connection

    def change_midway(self, path, body=b"{}"):
        """Asks for the change with a token that was good when the request began, and is not when it
        has all been said."""
        token = self.change_token("", name="midway", roles=["approver", "admin"],
                                  expires_in_s=600)
        connection = self.begin_change(path, token, body)
        self.change_token(f"/{token['id']}/revoke")
        connection.send(body[-1:])
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()

    def test_race_of_an_officer_whose_token_is_revoked_midway(self):
        for _ in range(ROUNDS):
            code = self.file(uuid.uuid4())
            self.change_midway(f"approvals/{code}/approve")
            self.assertEqual(self.steps(code), "file")
            self.change_midway("holds", b'{"mailboxes":["ceo@contoso.com"],"reason":"-"}')
            self.assertEqual(self.sql("SELECT count(*) FROM holdfast.holds"), "0")
            other = self.change_token("", name="other", roles=["auditor"], expires_in_s=600)
            self.change_midway(f"tokens/{other['id']}/revoke")
            self.change_token(f"/{other['id']}/revoke")  # It can be: it is not, yet.
        self.check_invariants()


class Deaths(RaceCase):
    """A proxy dies, or its client goes, while the call is under way; the others get it again."""

    def kill_at(self, number, point, action):
        """The call of that round stands at that point when its proxy dies, and then goes on by that
        action; nobody delivers it a second time. Returns (item, code)."""
        victim = number % PROXIES
        others = [proxy for proxy in range(PROXIES) if proxy != victim]
        self.wait_until_ready()
        item = self.item()
        code = self.approved(item, proxy=victim)  # Which knows the caller and the mailbox by then.
        hold = self.stack.relay.hold(point, "" if point == "connect" else item)
        connection = self.begin(item, victim)
        hold.wait()
        self.assertEqual(self.state(code), "CLAIMED")
        self.stack.proxies[victim].kill()
        self.lines.severed[self.stack.proxy_ports[victim]] += 1
        connection.close()
        self.assertEqual(self.resend(item, others), len(others) * [USED])
        hold.release(action)
        self.stack.proxies[victim].start()
        self.assertEqual(self.resend(item, others), len(others) * [USED])
        return item, code

    def kill_often(self, *ways):
        """Each of these ways at each proxy in turn; the items and who asked."""
        struck = {}
        for number in self.rounds():
            item, code = self.kill_at(number, *ways[number // PROXIES % len(ways)])
            struck[item] = code, self.app
        return struck

    def wait_until_ready(self):
        for proxy in self.stack.proxies:
            proxy.wait_ready(60)

    def settle(self, struck):
        self.wait_until_ready()
        for item, (code, self.app) in struck.items():
            wait_until(lambda: self.state(code) == "UNKNOWN", "the claim to be settled")
            self.assertEqual(self.resend(item), PROXIES * [USED])
        self.check_invariants()

    def test_race_killed_after_the_claim(self):
        """Before Graph has read it: the connection comes to nothing, or the request gets lost."""
        struck = self.kill_often(("connect", "reset"), ("request", "reset"))
        self.settle(struck)
        self.assertEqual(self.deliveries()[0], {})

    def test_race_killed_after_the_send(self):
        """Graph has acted, or gets to it when nobody waits any more."""
        struck = self.kill_often(("answer", "pass"), ("request", "pass"))
        once = dict.fromkeys(struck, 1)
        wait_until(lambda: self.deliveries() == (once, once), "what was on its way")
        self.settle(struck)
        self.assertEqual(self.deliveries(), (once, once))

    def test_race_client_gone(self):
        items = []
        for number in self.rounds():
            mine = number % PROXIES
            others = [proxy for proxy in range(PROXIES) if proxy != mine]
            item, code = self.approved_item()
            items.append(item)
            hold = self.stack.relay.hold("answer" if number % 2 == 0 else "request", item)
            connection = self.begin(item, mine)
            hold.wait()
            connection.close()
            self.assertEqual(self.resend(item, others), len(others) * [USED])
            hold.release()
            wait_until(lambda: self.state(code) == "EXECUTED", "the call to end")
            self.assertEqual(self.resend(item), PROXIES * [USED])
            self.assertEqual(self.steps(code), "file,approve,claim,end")
        self.assertEqual(self.deliveries()[0], dict.fromkeys(items, 1))
        self.check_invariants()


if __name__ == "__main__":
    unittest.main()
