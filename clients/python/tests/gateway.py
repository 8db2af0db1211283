"""A proxy between a client and the service that fails on demand.

Behind it is the real service. The proxy only breaks connections, answers like a
load balancer, and records the requests.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

_CHUNK = 1 << 16

Fault = Callable[["Connection"], None]


class Connection:
    """One connection of a client, with the request's head and the data after it."""

    def __init__(self, client: socket.socket, upstream: tuple[str, int]) -> None:
        self.client = client
        self._upstream = upstream
        self.head = b""

    def read_head(self) -> bool:
        """Read the request's head; False if the client has disconnected."""
        while b"\r\n\r\n" not in self.head:
            more = self.client.recv(_CHUNK)
            if not more:
                return False
            self.head += more
        return True

    def forward(self, max_bytes: int | None = None) -> None:
        """Forward the request; break the response off after that many bytes."""
        with socket.create_connection(self._upstream) as service:
            # One request per connection, so that each request meets its own fault.
            once = (b"Connection: keep-alive", b"Connection: close")
            service.sendall(self.head.replace(*once, 1))
            up = threading.Thread(target=self._copy_to_service, args=(service,))
            up.start()
            try:
                self._copy_to_client(service, max_bytes)
            finally:
                _shut(service)
                _shut(self.client)
                up.join()

    def _copy_to_service(self, service: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while more := self.client.recv(_CHUNK):
                service.sendall(more)

    def _copy_to_client(self, service: socket.socket, max_bytes: int | None) -> None:
        while max_bytes is None or max_bytes > 0:
            more = service.recv(_CHUNK if max_bytes is None else min(_CHUNK, max_bytes))
            if not more:
                return
            self.client.sendall(more)
            max_bytes = None if max_bytes is None else max_bytes - len(more)

    def respond(self, text: str) -> None:
        """Respond instead of the service."""
        head, _, body = text.partition("\n\n")
        self.client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        self.client.sendall(body.encode())


def drop(connection: Connection) -> None:
    """Close the connection without a response."""
    connection.client.close()


def break_after(max_bytes: int) -> Fault:
    """Break the service's response off after that many bytes."""
    return lambda connection: connection.forward(max_bytes)


def status(line: str, *headers: str) -> Fault:
    """Respond with a status, without a body of the contract."""
    head = "\n".join([f"HTTP/1.1 {line}", *headers, "Connection: close"])
    return lambda connection: connection.respond(f"{head}\nContent-Length: 0\n\n")


class Gateway:
    """Forwards connections, one request each; each uses up one planned fault."""

    def __init__(self, upstream: str) -> None:
        """Listen in front of the service at http://host:port."""
        host, port = upstream.removeprefix("http://").split(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.faults: deque[Fault] = deque()
        self.heads: list[str] = []
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._acceptor = threading.Thread(target=self._accept)

    def __enter__(self) -> Gateway:
        """Start accepting connections."""
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Break the open connections, and wait for all threads."""
        _shut(self._listener)
        self._listener.close()
        self._acceptor.join()
        self.reset()

    def wait(self) -> None:
        """Wait until every connection has ended."""
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def reset(self) -> None:
        """Break the open connections, and reset faults and records."""
        for client in tuple(self._open):
            _shut(client)
        self.wait()
        self.faults.clear()
        self.heads.clear()

    def header(self, name: str) -> list[str | None]:
        """The values of that header in each request, in the order of arrival."""
        found = []
        for head in self.heads:
            lines = (line.partition(": ") for line in head.split("\r\n"))
            values = {key.lower(): value for key, _, value in lines}
            found.append(values.get(name.lower()))
        return found

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        connection = Connection(client, self._upstream)
        # Either end may disconnect at any time.
        with client, contextlib.suppress(OSError):
            if connection.read_head():
                self.heads.append(connection.head.split(b"\r\n\r\n")[0].decode())
                fault = self.faults.popleft() if self.faults else Connection.forward
                fault(connection)
        self._open.discard(client)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
