"""Receivers of webhooks on this machine, each on a port of its own, that behave as their script says."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import standardwebhooks
import svix

from common.clock import utcnow

STOP_SECONDS = 10


@dataclass(frozen=True)
class Received:
    """A request as it came, and when."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: datetime

    def verify(self, secret: str) -> None:
        """Check the signature with both public libraries; they raise."""
        standardwebhooks.Webhook(secret).verify(self.body, self.headers)
        svix.webhooks.Webhook(secret).verify(self.body, self.headers)


Script = Callable[[socket.socket, Received], None]


@dataclass
class Receiver:
    """A server that notes each request and answers by the next of its scripts, the last one again and again."""

    scripts: list[Script]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    faults: list[str] = field(default_factory=list)
    wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection

    def __post_init__(self) -> None:
        self.port: int = self.listener.getsockname()[1]
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count: int, seconds: float = 30) -> list[Received]:
        """Return the requests once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), "no request came"
            return list(self.received)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)  # ends the accept that waits, which a mere close would not
        self.listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            connection = self.wrap(connection)
            request = _read(connection)
            if request is None:
                return
            with self._changed:
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                self.received.append(request)
                self._changed.notify_all()
            script(connection, request)
        except OSError as error:
            self.faults.append(type(error).__name__)
        finally:
            self._open.discard(connection)
            connection.close()


@contextmanager
def receiving(*scripts: Script, **changes: Any) -> Iterator[Receiver]:
    """Start a receiver, and stop it when the block ends."""
    receiver = Receiver(list(scripts) or [answer(204)], **changes)
    try:
        yield receiver
    finally:
        receiver.close()


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Script:
    """Answer as a well-behaved server does."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def say(*parts: bytes) -> Script:
    """Send these bytes and close."""

    def script(connection: socket.socket, _request: Received) -> None:
        for part in parts:
            connection.sendall(part)

    return script


def forever(first: bytes, rest: bytes, pause: float = 0.0) -> Script:
    """Send *first*, and *rest* again and again until the other side has had enough."""

    def script(connection: socket.socket, _request: Received) -> None:
        connection.sendall(first)
        never = threading.Event()
        while not never.wait(pause):
            connection.sendall(rest)

    return script


def tarpit(connection: socket.socket, _request: Received) -> None:
    """Take the request and never answer."""
    while connection.recv(1024):
        pass


def reset_after(*parts: bytes) -> Script:
    """Send these bytes, then break the connection off."""

    def script(connection: socket.socket, _request: Received) -> None:
        for part in parts:
            connection.sendall(part)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def _read(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return Received(first.split(" ")[1], headers, body, utcnow())
