"""Links stay inside: clients page through the proxy and never meet Graph."""
import gzip
import json
import unittest

from base import REQUESTER, StackCase, quoted
from byte_upstream import ok
from wire import Reply, WireCase


class Paging(StackCase):
    """The official client and the simulator, whose links are absolute to itself as Graph's are."""

    def test_the_official_iterator_never_leaves_the_proxy(self):
        found = self.sdk(pages="me/messages?$top=7&$select=id,subject")
        everything = [each for ids in self.simulator.mailbox(REQUESTER)["folders"].values()
                      for each in ids]
        self.assertEqual(sorted(found), sorted(everything))
        pages = self.seen("/me/messages")
        self.assertEqual(len(pages), -(-len(everything) // 7))
        self.assertGreater(len(pages), 2)
        for page in pages:
            # Whoever comes directly has no Via.
            self.assertIn(["Via", "1.1 holdfast"], [list(field) for field in page["headers"]])

    def test_a_page_says_nothing_of_graph_but_in_its_data(self):
        status, headers, body = self.call("GET", "/v1.0/me/messages?$top=1")
        page = json.loads(body)
        self.assertEqual(status, 200)
        self.assertTrue(page["@odata.nextLink"].startswith(self.stack.proxy_url + "/v1.0/"))
        self.assertTrue(page["@odata.context"].startswith(self.stack.proxy_url + "/v1.0/$metadata#"))
        direct = self.simulator.request("GET", "/v1.0/me/messages?$top=1",
                                        token=self.stack.requester)[2]
        origin = self.simulator.origin.encode()
        self.assertEqual(direct.count(origin), 2)
        self.assertEqual(body, direct.replace(origin, self.stack.proxy_url.encode()))

    def test_mail_that_talks_of_links_is_not_touched(self):
        text = f'"@odata.nextLink":"{self.simulator.origin}/v1.0/me" {self.simulator.origin}/x'
        answer = self.call("POST", "/v1.0/me/messages", body=json.dumps(
            {"subject": text, "body": {"contentType": "text", "content": text}}),
            headers={"Content-Type": "application/json"})
        self.assertEqual(answer[0], 201)
        self.assertTrue(answer[1]["Location"].startswith(self.stack.proxy_url + "/v1.0/users/"))
        message = json.loads(answer[2])
        self.assertEqual((message["subject"], message["body"]["content"]), (text, text))

    def test_links_in_a_batch_stay_inside(self):
        requests = [{"id": "1", "method": "GET", "url": "/me/messages?$top=1"},
                    {"id": "2", "method": "POST", "url": "/me/messages", "body": {"subject": "x"},
                     "headers": {"Content-Type": "application/json"}}]
        status, _, body = self.call("POST", "/v1.0/$batch", body=json.dumps({"requests": requests}),
                                    headers={"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        parts = {part["id"]: part for part in json.loads(body)["responses"]}
        self.assertTrue(parts["1"]["body"]["@odata.nextLink"].startswith(self.stack.proxy_url))
        self.assertTrue(parts["2"]["headers"]["Location"].startswith(self.stack.proxy_url))
        self.assertNotIn(self.simulator.origin.encode(), body)

    def test_what_a_link_leads_to_is_guarded_like_anything_else(self):
        page = json.loads(self.call("GET", "/v1.0/me/messages?$top=1")[2])
        link = page["@odata.nextLink"].removeprefix(self.stack.proxy_url)
        item = json.loads(self.call("GET", link)[2])["value"][0]["id"]
        answer = self.call("POST", f"/v1.0/me/messages/{quoted(item)}/permanentDelete")
        self.assertEqual(answer[0], 204)
        self.assertIsNotNone(answer[1]["Holdfast-Record"])

    def test_recall_keeps_its_bytes(self):
        path = f"/beta/me/mailFolders/sentitems/messages/{quoted(self.ids('sent')[0])}/recall"
        status, headers, body = self.call("POST", path)
        self.assertEqual((status, headers["Content-Type"]), (202, "application/json"))
        self.assertRegex(body.decode(), r'^{\r\n  "Successfully submitted .* is .*\."\r\n}\r\n$')
        self.assertEqual(headers["Content-Length"], str(len(body)))


class OldCase(WireCase):
    def without_host(self, target):
        """As clients may ask that speak HTTP/1.0."""
        host = f"Host: localhost:{self.stack.proxy_port}\r\n".encode()
        asked = self.head(f"GET {target} HTTP/1.0")
        self.assertIn(host, asked)
        return Reply(self.exchange(asked.replace(host, b"")))


class Bytes(OldCase):
    """What is rewritten, byte by byte, and how it is framed."""

    def page(self, origin, padding=0):
        text = f'{origin}/v1.0/"@odata.nextLink":"{origin}/'
        return json.dumps({"@odata.context": f"{origin}/v1.0/$metadata#x", "subject": text,
                           "padding": "x" * padding,
                           "@odata.nextLink": f"{origin}/v1.0/me?$skip=1"}).encode()

    def inside(self, origin, padding=0):
        """The same page with its links inside; its text as it was."""
        page = json.loads(self.page(self.upstream.origin, padding))
        page["@odata.context"] = f"{origin}/v1.0/$metadata#x"
        page["@odata.nextLink"] = f"{origin}/v1.0/me?$skip=1"
        return json.dumps(page).encode()

    def test_short_answers_keep_a_length(self):
        self.upstream.reply = ok(self.page(self.upstream.origin), "ETag: \"e\"")
        reply = self.get()
        self.assertEqual(reply.body, self.inside(self.stack.proxy_url))
        self.assertEqual(reply.fields("content-length"), [str(len(reply.body))])
        self.assertEqual(reply.fields("etag"), ['"e"'])

    def test_long_answers_come_in_chunks(self):
        self.upstream.reply = ok(self.page(self.upstream.origin, 300_000))
        reply = self.get()
        self.assertEqual(reply.fields("transfer-encoding"), ["chunked"])
        self.assertEqual(reply.fields("content-length"), [])
        self.assertEqual(reply.body, self.inside(self.stack.proxy_url, 300_000))

    def test_chunks_may_be_cut_anywhere(self):
        page = self.page(self.upstream.origin)
        for size in (1, 2, 3, 7):
            pieces = [page[at:at + size] for at in range(0, len(page), size)]
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            self.upstream.reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" \
                                  b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
            self.assertEqual(self.get().body, self.inside(self.stack.proxy_url))

    def test_the_host_that_a_client_names_comes_back_to_it_alone(self):
        self.upstream.reply = ok(self.page(self.upstream.origin))
        named = Reply(self.exchange(b"GET /v1.0/me HTTP/1.1\r\nHost: other.example:7\r\n"
                                    b"Connection: close\r\n\r\n"))
        self.assertEqual(named.body, self.inside("https://other.example:7"))
        self.assertEqual(self.get().body, self.inside(self.stack.proxy_url))

    def test_other_bodies_are_untouched(self):
        page = self.page(self.upstream.origin)
        compressed = gzip.compress(page)
        self.upstream.reply = ok(page, content_type="text/plain")
        self.assertEqual(self.get().body, page)
        self.upstream.reply = ok(compressed, "Content-Encoding: gzip")
        self.assertEqual(self.get().body, compressed)
        self.upstream.reply = ok(b"<" + page)
        self.assertEqual(self.get().body, b"<" + page)

    def test_a_described_body_has_no_length_that_it_would_not_have(self):
        self.upstream.reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" \
                              b"Content-Length: 300\r\nLocation: " + \
                              self.upstream.origin.encode() + b"/a\r\n\r\n"
        reply = self.ask("HEAD /v1.0/me HTTP/1.1")
        self.assertEqual(reply.fields("content-length"), [])
        self.assertEqual(reply.fields("location"), [self.stack.proxy_url + "/a"])

    def test_links_elsewhere_are_untouched(self):
        self.upstream.reply = b"HTTP/1.1 302 Found\r\nLocation: https://contoso.sharepoint.com/x\r\n" \
                              b"Content-Length: 0\r\n\r\n"
        reply = self.get(target="/v1.0/me/drive/items/1/content")
        self.assertEqual((reply.status, reply.fields("location")),
                         (302, ["https://contoso.sharepoint.com/x"]))

    def test_without_a_host_nothing_is_answered_whose_links_would_lead_out(self):
        reply = self.without_host("/v1.0/me")
        self.assertEqual((reply.status, self.upstream.received), (400, []))
        error = json.loads(reply.body)["error"]
        self.assertEqual(error["code"], "HoldfastBadRequest")
        self.assertIn("proxy.public_origin", error["message"])
        for probe in ("livez", "readyz", "metrics"):
            self.assertEqual(self.without_host(f"/holdfast/{probe}").status, 200, probe)


class PublicOrigin(OldCase):
    config = {"proxy.public_origin": "https://holdfast.example"}

    def test_links_lead_where_clients_are_told_to_come(self):
        self.upstream.reply = ok(f'{{"@odata.nextLink":"{self.upstream.origin}/a"}}'.encode())
        for reply in (self.get(), self.without_host("/v1.0/me")):
            self.assertEqual(reply.body, b'{"@odata.nextLink":"https://holdfast.example/a"}')


if __name__ == "__main__":
    unittest.main()
