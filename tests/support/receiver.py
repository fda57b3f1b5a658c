"""An HTTPS server for tests whose answers a function gives.

    receiver = Receiver(certificates, lambda path, headers, body: (204, "text/plain", b""))
    receiver.url                                # https://localhost:PORT
    receiver.stop()
"""
import http.server
import ssl
import threading


class Receiver:
    def __init__(self, certificates, answer):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler(answer))
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @staticmethod
    def handler(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, content = answer(self.path, self.headers, body)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    if status != 204:
                        self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # Whoever asked has not waited.

            def log_message(self, *arguments):
                pass

        return Handler
