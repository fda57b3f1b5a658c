"""What RFC 9110 and 9112 ask of an intermediary, rule by rule, between raw sockets and an upstream that
answers given bytes."""
import gzip
import json
import re
import unittest

from byte_upstream import ok
from wire import Reply, WireCase

LINK = "https://graph.microsoft.com/v1.0/me"


class Requests(WireCase):
    """What reaches the upstream."""

    def sent(self, *headers, line="GET /v1.0/me/messages HTTP/1.1", body=b""):
        self.upstream.reset()
        reply = self.ask(line, *headers, body=body)
        self.assertEqual(reply.status, 204, reply.head)
        return self.upstream.received[-1]

    def test_the_host_is_graphs_own(self):
        received = self.sent("X-Forwarded-Host: evil.example", "Forwarded: host=evil.example")
        self.assertEqual(received.fields("host"), [self.upstream.authority])
        self.assertNotIn(b"evil.example", received.head)
        self.assertNotIn(b"localhost:%d" % self.stack.proxy_port, received.head)

    def test_duplicates_and_their_order_are_kept(self):
        received = self.sent("X-A: 1", "Prefer: a", "x-a:  2", "X-B: 3", "Prefer: b", "X-A: 1")
        kept = [(name, value) for name, value in received.headers
                if name.lower() in ("x-a", "x-b", "prefer")]
        self.assertEqual(kept, [("X-A", "1"), ("Prefer", "a"), ("x-a", "2"), ("X-B", "3"),
                                ("Prefer", "b"), ("X-A", "1")])

    def test_the_target_is_untouched(self):
        target = "/v1.0//users/a%2Fb@c/./messages('x%27y')/?$filter=a|b&&c='%20'"
        self.assertEqual(self.sent(line=f"GET {target} HTTP/1.1").target, target)

    def test_via_names_the_version_and_the_pseudonym(self):
        self.assertEqual(self.sent().fields("via"), ["1.1 holdfast"])
        self.assertEqual(self.sent("Via: 1.1 first", "Via: 2 second").fields("via"),
                         ["1.1 first", "2 second", "1.1 holdfast"])
        old = self.sent(line="GET /v1.0/me HTTP/1.0")
        self.assertEqual(old.fields("via"), ["1.0 holdfast"])
        self.assertTrue(old.head.startswith(b"GET /v1.0/me HTTP/1.1\r\n"))

    def test_hop_by_hop_headers_end_here(self):
        received = self.sent("Connection: X-Mine, Keep-Alive", "X-Mine: 1", "Keep-Alive: timeout=5",
                             "TE: trailers", "Trailer: X", "Proxy-Authorization: Basic eA==",
                             "Proxy-Connection: keep-alive", "X-Other: 2")
        self.assertEqual([name for name, _ in received.headers
                          if name.lower() in ("x-mine", "keep-alive", "te", "trailer", "connection",
                                              "proxy-authorization", "proxy-connection")], [])
        self.assertEqual(received.fields("x-other"), ["2"])

    def test_connection_takes_away_nothing_that_others_need(self):
        received = self.sent(
            "Connection: if-match, cookie, X-Mine", 'If-Match: "e"', "Cookie: a=b", "X-Mine: 1",
            "Content-Length: 2", line="PATCH /v1.0/me/messages/1 HTTP/1.1", body=b"{}")
        for name, count in (("authorization", 1), ("if-match", 1), ("cookie", 1), ("x-mine", 0)):
            self.assertEqual(len(received.fields(name)), count, name)
        self.upstream.reset()
        for name in ("authorization", "content-length", "content-type", "host", "prefer"):
            self.assertEqual(self.get(f"Connection: {name}").status, 400, name)
        self.assertEqual(self.upstream.received, [])

    def test_method_and_target_overrides_end_here(self):
        received = self.sent("X-HTTP-Method-Override: PATCH", "X-HTTP-Method: PATCH",
                             "x-method-override: PATCH", "X-Original-URL: /v1.0/$batch",
                             "X-Rewrite-URL: /v1.0/$batch")
        self.assertNotIn(b"PATCH", received.head)
        self.assertNotIn(b"$batch", received.head)

    def test_expect_is_answered_here(self):
        with self.connect() as connection:
            connection.sendall(self.head("PUT /v1.0/me/photo/$value HTTP/1.1", "Content-Length: 4",
                                         "Expect: 100-continue", "Connection: close"))
            self.assertEqual(connection.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b"body")
            self.assertEqual(Reply(connection.recv(10000)).status, 204)
        self.assertEqual(self.upstream.received[0].fields("expect"), [])
        self.assertEqual(self.upstream.received[0].body, b"body")
        self.assertEqual(self.get("Expect: magic").status, 417)

    def test_upgrade_is_refused(self):
        reply = self.get("Upgrade: h2c", "Connection: upgrade")
        self.assertEqual(reply.status, 400)
        self.assertEqual(self.upstream.received, [])

    def test_ranges_and_conditions_travel(self):
        received = self.sent("Range: bytes=0-9", 'If-Range: "e"', 'If-None-Match: "x", W/"y"')
        self.assertEqual(received.fields("range") + received.fields("if-range")
                         + received.fields("if-none-match"), ["bytes=0-9", '"e"', '"x", W/"y"'])

    def test_json_is_asked_for_as_it_is_and_files_as_the_client_likes(self):
        self.assertEqual(self.sent("Accept-Encoding: gzip").fields("accept-encoding"), ["identity"])
        for path in ("/v1.0/me/photo/$value", "/v1.0/me/drive/root:/a:/content"):
            received = self.sent("Accept-Encoding: gzip, br", line=f"GET {path} HTTP/1.1")
            self.assertEqual(received.fields("accept-encoding"), ["gzip, br"])

    def test_large_cookies_travel(self):
        cookie = "a=" + "b" * 20_000
        self.assertEqual(self.sent(f"Cookie: {cookie}").fields("cookie"), [cookie])

    def test_a_body_is_framed_anew(self):
        received = self.sent("Transfer-Encoding: chunked", "Content-Type: text/plain",
                             line="PUT /v1.0/me/photo/$value HTTP/1.1",
                             body=b"3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n")
        self.assertEqual(received.body, b"abc0123456789")
        self.assertEqual(received.fields("transfer-encoding"), ["chunked"])
        self.assertEqual(received.fields("content-length"), [])
        received = self.sent("Content-Length: 0", line="POST /v1.0/me/sendMail HTTP/1.1")
        self.assertEqual(received.fields("content-length"), ["0"])

    def test_options_count_down_how_far_they_may_go(self):
        received = self.sent("Max-Forwards: 3", line="OPTIONS /v1.0/me HTTP/1.1")
        self.assertEqual(received.fields("max-forwards"), ["2"])
        self.upstream.reset()
        reply = self.ask("OPTIONS /v1.0/me HTTP/1.1", "Max-Forwards: 0")
        self.assertEqual((reply.status, self.upstream.received), (204, []))
        self.assertIn("POST", reply.fields("allow")[0])

    def test_only_what_is_known_is_offered(self):
        for method in ("TRACE", "CONNECT", "PURGE"):
            self.assertEqual(self.ask(f"{method} /v1.0/me HTTP/1.1").status, 501)
        self.assertEqual(self.upstream.received, [])


class Answers(WireCase):
    """What comes back from the upstream."""

    def relayed(self, reply, *headers, line="GET /v1.0/me/messages HTTP/1.1", closes=False):
        self.upstream.reset()
        self.upstream.reply, self.upstream.closes = reply, closes
        return self.ask(line, *headers)

    def test_status_headers_and_body_are_the_upstreams(self):
        data = b"HTTP/1.1 299 Odd Reason\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nDate: then\r\n" \
               b"ETag: \"e\"\r\nVary: Accept\r\nVia: 1.1 graph\r\nContent-Length: 2\r\n\r\n{}"
        reply = self.relayed(data)
        self.assertTrue(reply.head.startswith(b"HTTP/1.1 299 Odd Reason\r\n"), reply.head)
        self.assertEqual([field for field in reply.headers if field[0] != "Connection"],
                         [("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("Date", "then"),
                          ("ETag", '"e"'), ("Vary", "Accept"), ("Via", "1.1 graph"),
                          ("Content-Length", "2")])
        self.assertEqual(reply.body, b"{}")

    def test_a_missing_date_is_added(self):
        self.assertRegex(self.relayed(ok(b"{}")).fields("date")[0], r"^\w{3}, \d\d \w{3} \d{4} ")

    def test_every_cookie_is_a_header_of_its_own(self):
        cookies = ["a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "b=" + "c" * 15_000, "a=2"]
        reply = self.relayed(ok(b"{}", *[f"Set-Cookie: {cookie}" for cookie in cookies]))
        self.assertEqual(reply.fields("set-cookie"), cookies)

    def test_answers_hop_by_hop_headers_end_here(self):
        reply = self.relayed(ok(b"{}", "Connection: X-Mine, Set-Cookie", "X-Mine: 1",
                                 "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic",
                                 "Upgrade: h2c", "Trailer: X", "Set-Cookie: a=b"))
        self.assertEqual(sorted(name.lower() for name, _ in reply.headers),
                         ["connection", "content-length", "content-type", "date", "set-cookie"])
        self.assertEqual(reply.fields("connection"), ["close"])

    def test_head_has_the_length_and_no_body(self):
        self.upstream.reply = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n"
        answer = self.exchange(self.head("HEAD /v1.0/me/photo/$value HTTP/1.1")
                               + self.head("HEAD /v1.0/me/photo/$value HTTP/1.1",
                                           "Connection: close"))
        self.assertEqual(len(re.findall(rb"Content-Length: 9\r\n", answer)), 2)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))
        self.assertEqual([each.method for each in self.upstream.received], ["HEAD", "HEAD"])

    def test_answers_without_a_body_have_none(self):
        for status in (204, 304):
            reply = self.relayed(b"HTTP/1.1 %d X\r\nETag: \"e\"\r\n\r\n" % status)
            self.assertEqual((reply.status, reply.rest, reply.fields("etag")), (status, b"", ['"e"']))
            self.assertEqual(reply.fields("transfer-encoding") + reply.fields("content-length"), [])

    def test_interim_answers_are_dropped(self):
        reply = self.relayed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"
                              b"\r\n" + ok(b"{}"))
        self.assertEqual((reply.status, reply.body), (200, b"{}"))

    def test_switching_protocols_is_refused(self):
        reply = self.relayed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
        self.assertEqual(reply.status, 502)
        self.assertEqual(json.loads(reply.body)["error"]["code"], "HoldfastOutcomeUnknown")

    def test_ranges_are_not_looked_into(self):
        part = f'"@odata.nextLink":"{LINK}"'.encode().replace(
            b"https://graph.microsoft.com", self.upstream.origin.encode())
        data = b"HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\n" \
               b"Content-Range: bytes 1-%d/999\r\nContent-Length: %d\r\n\r\n%s" % (
                   len(part), len(part), part)
        reply = self.relayed(data, "Range: bytes=1-")
        self.assertEqual((reply.status, reply.body), (206, part))
        self.assertEqual(reply.fields("content-range"), [f"bytes 1-{len(part)}/999"])

    def test_compressed_bodies_are_untouched(self):
        body = gzip.compress(f'{{"@odata.nextLink":"{self.upstream.origin}/a"}}'.encode())
        reply = self.relayed(ok(body, "Content-Encoding: gzip"), "Accept-Encoding: gzip")
        self.assertEqual((reply.body, reply.fields("content-encoding")), (body, ["gzip"]))
        self.assertEqual(reply.fields("content-length"), [str(len(body))])

    def test_chunks_are_framed_anew_without_trailers(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n" \
                  b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
        reply = self.relayed(chunked)
        self.assertEqual((reply.body, reply.fields("transfer-encoding")), (b"abcde", ["chunked"]))
        self.assertNotIn(b"X-T", reply.head + reply.rest)
        self.assertNotIn(b"ext", reply.rest)

    def test_old_clients_get_no_chunks(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        self.upstream.reply = chunked
        reply = Reply(self.exchange(self.head("GET /v1.0/me HTTP/1.0")))
        self.assertEqual((reply.fields("transfer-encoding"), reply.rest), ([], b"abc"))

    def test_a_body_that_ends_with_the_connection_is_whole(self):
        reply = self.relayed(b"HTTP/1.1 200 OK\r\n\r\nall of it", closes=True)
        self.assertEqual(reply.body, b"all of it")

    def test_a_body_that_breaks_off_is_not_taken_for_whole(self):
        for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            reply = self.relayed(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n50\r\nabc", closes=True)
            self.assertTrue(reply.status in (None, 502) or reply.body is None, reply.head)

    def test_doubtful_framing_is_no_answer(self):
        for fields in (b"Content-Length: 2\r\nTransfer-Encoding: chunked",
                       b"Transfer-Encoding: chunked\r\nContent-Length: 2",
                       b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: +2",
                       b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: xchunked",
                       b"Transfer-Encoding: chunked, identity",
                       b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"):
            with self.subTest(fields):
                reply = self.relayed(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n0\r\n\r\n",
                                      closes=True)
                self.assertEqual(reply.status, 502, reply.head + reply.rest)


if __name__ == "__main__":
    unittest.main()
