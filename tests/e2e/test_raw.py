"""The wire itself: requests in bytes, through a TLS socket that does nothing else."""
import re
import socket
import ssl
import unittest

from base import StackCase


class RawSockets(StackCase):
    def connect(self):
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        connection = socket.create_connection(("127.0.0.1", self.stack.proxy_port), timeout=60)
        return context.wrap_socket(connection, server_hostname="localhost")

    def head(self, line, *more):
        lines = [line, f"Host: localhost:{self.stack.proxy_port}",
                 f"Authorization: Bearer {self.stack.requester}", *more, "", ""]
        return "\r\n".join(lines).encode()

    def exchange(self, data):
        """Everything that comes back until the proxy closes."""
        with self.connect() as connection:
            connection.sendall(data)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except ssl.SSLEOFError:
                pass
            return answer

    def statuses(self, answer):
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]

    def test_pipelined_requests_are_answered_in_order(self):
        get = self.head("GET /v1.0/me?$select=id HTTP/1.1", "client-request-id: one")
        delete = self.head(f"POST {self.path()} HTTP/1.1", "Content-Length: 0",
                           "client-request-id: two")
        last = self.head("GET /v1.0/nothing HTTP/1.1", "client-request-id: three",
                         "Connection: close")
        answer = self.exchange(get + delete + last)
        self.assertEqual(self.statuses(answer), [200, 204, 400])
        echoed = re.findall(rb"(?i)\r\nclient-request-id: (\w+)\r\n", answer)
        self.assertEqual(echoed, [b"one", b"two", b"three"])

    def test_a_bodiless_post_needs_no_content_length(self):
        answer = self.exchange(self.head(f"POST {self.path()} HTTP/1.1", "Connection: close"))
        self.assertEqual(self.statuses(answer), [204])

    def test_an_empty_json_body_is_no_body(self):
        answer = self.exchange(self.head(
            f"POST {self.path()} HTTP/1.1", "Content-Type: application/json",
            "Content-Length: 0", "Connection: close"))
        self.assertEqual(self.statuses(answer), [204])

    def test_malformed_framing_is_refused_and_the_connection_closed(self):
        smuggled = self.head(f"POST {self.path()} HTTP/1.1", "Content-Length: 0")
        cases = [(400, ["Content-Length: 3", "Transfer-Encoding: chunked"]),
                 (400, ["Content-Length: +3"]), (400, ["Host: other"]),
                 (400, ["Content-Length: 1", "Content-Length: 2"]),
                 # RFC 9112, 6.1: a transfer coding that is not understood.
                 (501, ["Transfer-Encoding: xchunked"])]
        for status, more in cases:
            with self.subTest(more):
                answer = self.exchange(self.head("POST /v1.0/me/sendMail HTTP/1.1", *more)
                                       + smuggled)
                self.assertEqual(self.statuses(answer), [status], answer)
        self.assertEqual(self.seen("ermanentDelete"), [])
        self.assertEqual(self.seen("sendMail"), [])

    def test_a_chunked_body_travels_whole(self):
        body = b'{"message":{"subject":"chunks","toRecipients":[]}}'
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        answer = self.exchange(self.head(
            "POST /v1.0/me/sendMail HTTP/1.1", "Content-Type: application/json",
            "Transfer-Encoding: chunked", "Connection: close") + chunks)
        self.assertEqual(self.statuses(answer), [202], answer)
        self.assertEqual(self.seen("sendMail")[0]["body"], body)

    def test_hop_by_hop_headers_end_at_the_proxy(self):
        answer = self.exchange(self.head(
            "GET /v1.0/me HTTP/1.1", "Connection: close, X-Mine", "X-Mine: 1", "TE: trailers",
            "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Other: 2"))
        self.assertEqual(self.statuses(answer), [200], answer)
        names = {name.lower() for name, _ in self.seen("/me")[-1]["headers"]}
        self.assertIn("x-other", names)
        self.assertEqual(names & {"x-mine", "te", "keep-alive", "proxy-connection"}, set())


if __name__ == "__main__":
    unittest.main()
