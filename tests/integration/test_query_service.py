"""holdfast audit and holdfast records as they ship, on a real database, without a proxy."""
import json
import time
import unittest

from service import fetch
from stack import Stack


class QueryService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.stack.start(roles=("audit",))

    @classmethod
    def tearDownClass(cls):
        cls.stack.stop()

    def ask(self, target, token="auditor"):
        token = self.stack.officers.get(token, token)
        status, headers, body = fetch(self.stack.audit_url + target, self.stack.ca_file, token)
        return status, {name.lower(): value for name, value in headers.items()}, body

    def test_readings_are_found_in_the_next_answer(self):
        status, _, body = self.ask("/api/v1/records?q=first+question")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["value"], [])
        status, _, body = self.ask("/api/v1/records?kind=access&q=FIRST+question&order=asc", "admin")
        page = json.loads(body)
        self.assertEqual(status, 200)
        self.assertEqual(page["complete_to"], page["log_size"])
        access = page["value"][0]["access"]
        self.assertEqual(access["by"], "auditor")
        self.assertEqual(access["query"], {"q": "first question", "order": "desc", "limit": 50})
        by_id = json.loads(self.ask("/api/v1/records/" + page["value"][0]["id"])[2])
        by_index = json.loads(self.ask(f"/api/v1/records/{by_id['index']}")[2])
        self.assertEqual(by_id, by_index)

    def test_next_links_lead_through_all_pages(self):
        for _ in range(5):
            self.ask("/api/v1/records?q=paging")
        seen, target = [], "/api/v1/records?kind=access&q=paging&limit=2&order=asc"
        while target:
            page = json.loads(self.ask(target)[2])
            seen += [record["index"] for record in page["value"]]
            link = page.get("@odata.nextLink", "")
            self.assertTrue(not link or link.startswith(self.stack.audit_url + "/api/"), link)
            target = link.removeprefix(self.stack.audit_url)
        self.assertGreaterEqual(len(seen), 5)
        self.assertEqual(seen, sorted(set(seen)))

    def test_refusals_are_problems(self):
        status, headers, body = self.ask("/api/v1/records", "wrong")
        self.assertEqual((status, headers["content-type"]), (401, "application/problem+json"))
        self.assertIn("Bearer", headers["www-authenticate"])
        status, _, body = self.ask("/api/v1/records?kind=none")
        self.assertEqual((status, json.loads(body)["parameter"]), (400, "kind"))

    def test_the_shell_asks_the_same_questions(self):
        self.ask("/api/v1/records?q=from+the+api")
        code, output, _ = self.stack.run("records", "search", "--kind", "access", "--q",
                                         "from the api", "--order", "asc", "--format", "ndjson")
        self.assertEqual(code, 0)
        record = json.loads(output.splitlines()[0])
        self.assertEqual(record["access"]["query"]["q"], "from the api")
        code, output, _ = self.stack.run("records", "search", "--kind", "access")
        self.assertIn("INDEX", output.splitlines()[0])
        self.assertNotIn("\x1b", output)
        code, output, _ = self.stack.run("records", "show", record["id"])
        self.assertEqual(json.loads(output), record)
        code, _, errors = self.stack.run("records", "show", "999999", check=False)
        self.assertEqual(code, 1)
        self.assertIn("no such record", errors)
        code, _, errors = self.stack.run("records", "search", "--limit", "2", "--ip", "x",
                                         check=False)
        self.assertEqual(code, 2)
        self.assertIn("ip", errors)
        code, _, errors = self.stack.run("records", "search", "--token-file", "/nowhere",
                                         check=False)
        self.assertEqual(code, 2)

    def test_the_log_outlives_its_search_table(self):
        self.ask("/api/v1/records?q=rebuilt")
        self.stack.cluster.sql("SELECT holdfast.rebuild_search()")
        page = json.loads(self.ask("/api/v1/records?kind=access&q=rebuilt")[2])
        self.assertGreaterEqual(page["count"], 1)

    def test_fault_database_away_is_told_and_survived(self):
        stack = self.stack
        stack.cluster.stop()
        try:
            status, _, body = self.ask("/api/v1/records")
            self.assertEqual(status, 503)
            status, _, body = fetch(stack.audit_url + "/readyz", stack.ca_file)
            self.assertEqual(status, 503)
            self.assertTrue(json.loads(body)["problems"])
            self.assertEqual(fetch(stack.audit_url + "/livez", stack.ca_file)[0], 200)
        finally:
            stack.cluster.start()
        stack.audit.wait_ready()
        # The log may learn only now that its old connection is gone.
        deadline = time.monotonic() + 30
        while self.ask("/api/v1/records")[0] != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


class QueryServiceLife(unittest.TestCase):
    def test_fault_starts_without_a_database_and_drains_on_sigterm(self):
        stack = Stack()
        try:
            stack.prepare()
            stack.migrate()
            stack.cluster.stop()
            stack.audit.start()
            deadline = time.monotonic() + 30
            status = 0
            while status != 503:
                self.assertLess(time.monotonic(), deadline)
                try:
                    status, _, body = fetch(stack.audit_url + "/readyz", stack.ca_file)
                except OSError:
                    time.sleep(0.02)
            self.assertTrue(json.loads(body)["problems"])
            stack.cluster.start()
            stack.audit.wait_ready()
            self.assertEqual(stack.audit.stop(), 0)
        finally:
            stack.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
