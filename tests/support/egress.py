"""An HTTP proxy that opens tunnels (CONNECT), or refuses to, as a test tells it.

    proxy = EgressProxy()
    proxy.origin                  # http://127.0.0.1:PORT
    proxy.refuse_with = 407       # From now on; tunnels that are open are cut.
    proxy.asked                   # [(target, headers)] of every CONNECT
    proxy.stop()
"""
import select
import socket
import threading


class EgressProxy:
    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.asked = []
        self._refuse_with = None
        self._open = set()
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def refuse_with(self):
        return self._refuse_with

    @refuse_with.setter
    def refuse_with(self, status):
        with self._lock:
            self._refuse_with = status
            if status:
                for end in self._open:
                    end.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.refuse_with = 503
        self.listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self.listening.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                part = client.recv(1)
                if not part:
                    return
                head += part
            line, *fields = head.decode("latin-1").split("\r\n")[:-2]
            target = line.split(" ")[1]
            self.asked.append((target, dict(field.split(": ", 1) for field in fields)))
            with self._lock:
                status = self._refuse_with
                if status is None:
                    host, port = target.rsplit(":", 1)
                    server = socket.create_connection((host, int(port)))
                    self._open |= {client, server}
            if status is not None:
                client.sendall(f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
                return
            with server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._relay(client, server)
                with self._lock:
                    self._open -= {client, server}

    @staticmethod
    def _relay(client, server):
        other = {client: server, server: client}
        while True:
            for end in select.select([client, server], [], [])[0]:
                try:
                    data = end.recv(65536)
                    if not data:
                        return
                    other[end].sendall(data)
                except OSError:
                    return
