"""Metrics as an operator gets them, and the page that describes them."""
import contextlib
import http.client
import pathlib
import re
import socket
import time
import unittest

from base import StackCase
from service import fetch

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(holdfast_\w+)` \| (proxy|audit|both) \|([^|]*)\|", re.MULTILINE)
SAMPLE = re.compile(r'^(\w+?)(?:_bucket|_sum|_count)?(?:\{([^}]*)\})? [-+0-9.e]+$')


class Metrics(StackCase):
    options = {"config": {"audit.limits.connections_per_address": 8}}

    def page(self, role):
        url = {"proxy": self.stack.proxy_url + "/holdfast/metrics",
               "audit": self.stack.audit_url + "/metrics"}[role]
        status, headers, body = fetch(url, self.stack.ca_file)
        self.assertEqual(status, 200, body)
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return body.decode()

    def value(self, role, sample):
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.page(role), re.MULTILINE)
        return float(found[1]) if found else None

    def test_every_name_and_label_is_documented_and_every_documented_one_is_there(self):
        documented = {(name, role): set(re.findall(r"\w+", labels))
                      for name, roles, labels in ROW.findall(DOCUMENT.read_text())
                      for role in (("proxy", "audit") if roles == "both" else (roles,))
                      # test_anchors.py and test_hold_sync.py see those.
                      if not name.startswith(("holdfast_anchor_", "holdfast_hold_sync_"))}
        seen = {}
        for role in ("proxy", "audit"):
            page = self.page(role)
            kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
            for line in page.splitlines():
                if line.startswith("#"):
                    continue
                match = SAMPLE.match(line)
                self.assertIsNotNone(match, line)
                name = match[1]
                self.assertIn(name, kinds, line)
                labels = seen.setdefault((name, role), set())
                labels |= set(re.findall(r'(\w+)="', match[2] or ""))
        self.assertEqual(documented, seen)

    def test_every_limit_is_documented(self):
        text = DOCUMENT.read_text().split("## Limits")[1]
        documented = set(re.findall(r"`(\w+)`", "\n".join(
            line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))))
        seen = set(re.findall(r'holdfast_limit_refusals_total\{limit="(\w+)"\}', self.page("proxy")))
        self.assertEqual(documented, seen)

    def test_a_guarded_call_is_counted_on_its_way(self):
        sample = 'holdfast_guarded_results_total{result="executed"}'
        before = self.value("proxy", sample)
        self.assertEqual(self.call("POST", self.path())[0], 204)
        self.assertEqual(self.value("proxy", sample), before + 1)
        self.assertGreaterEqual(self.value("proxy", "holdfast_intent_commit_seconds_count"), 1)
        self.assertGreaterEqual(self.value("proxy", "holdfast_upstream_connections"), 1)
        self.assertEqual(self.value("proxy", "holdfast_guarded_in_flight"), 0)
        self.assertEqual(self.value("proxy", "holdfast_audit_log_ready"), 1)
        self.assertEqual(self.value("proxy", "holdfast_spool_bytes"), 0)
        self.assertEqual(self.value("audit", 'holdfast_loop_ok{loop="search"}'), 1)
        self.assertGreaterEqual(self.value("audit", "holdfast_log_records"), 2)

    def test_the_audit_service_has_limits_of_its_own(self):
        held = [socket.create_connection(("127.0.0.1", self.stack.audit_port)) for _ in range(12)]
        for connection in held[8:]:
            connection.settimeout(30)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(connection.recv(1), b"")
        for connection in held:
            connection.close()
        sample = 'holdfast_limit_refusals_total{limit="connections_per_address"}'
        deadline = time.monotonic() + 30
        seen = None
        while seen is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                seen = self.value("audit", sample)  # Once there is room again.
        self.assertGreaterEqual(seen, 4)

    def test_nobody_behind_a_balancer_that_is_not_known_sees_them(self):
        for name in ("X-Forwarded-For", "Forwarded", "Via"):
            for url in (self.stack.proxy_url + "/holdfast/metrics",
                        self.stack.audit_url + "/metrics"):
                status, _, _ = fetch(url, self.stack.ca_file, headers={name: "127.0.0.1"})
                self.assertEqual(status, 404, (name, url))

    def test_no_token_is_in_them(self):
        self.call("POST", self.path(1))
        for role in ("proxy", "audit"):
            self.assertNotIn(self.stack.requester[:20], self.page(role))


if __name__ == "__main__":
    unittest.main()
