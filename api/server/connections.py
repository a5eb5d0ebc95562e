"""Limit what one connection may cost: the size of a request's head, and the time that its client takes."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 15
"""How long a client may take to send the head of a request."""

STALL_SECONDS = 60
"""How long a client may read less than the socket's buffers hold before its connection is closed."""

LINGER_SECONDS = 10
"""How long a client may go on sending a body after the request was answered."""


class LimitedConnection(HttpToolsProtocol):
    """One HTTP connection; ``close_if_overdue`` must be called every second or so."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._began: dict[str, float] = {"head": self.loop.time()}
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse *data*; answer 431 if the head of a request is too long."""
        super().data_received(data)
        if "head" in self._began:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Note when the head of a request began."""
        super().on_message_begin()
        self._began["head"] = self.loop.time()

    def on_headers_complete(self) -> None:
        """Note that the head of a request is complete."""
        self._began.pop("head", None)
        self._head_bytes = 0
        super().on_headers_complete()

    def eof_received(self) -> bool:  # type: ignore[override]  # the base class returns None
        """Refuse a body that ends early; keep a client that sends no more and waits for its answer."""
        is_answered = self.cycle is None or self.cycle.response_started
        if is_answered:
            return False
        if self.cycle.more_body:
            self._refuse(400)
            return False
        return True

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._began.pop("writing", None)
        super().resume_writing()

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if its client is too slow; *now* is the time of the event loop, in seconds."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        closing = self._measure("closing", now, holds=self.transport.is_closing())
        writing = self._measure("writing", now, holds=self.flow.write_paused)
        lingering = self._measure("lingering", now, holds=is_answered and self.cycle.more_body)
        head = self._measure("head", now, holds="head" in self._began)
        if max(closing, writing) > STALL_SECONDS:
            self.transport.abort()
        elif lingering > LINGER_SECONDS:
            self.transport.close()
        elif head > HEAD_SECONDS:
            self._refuse(408)

    def _measure(self, name: str, now: float, *, holds: bool) -> float:
        """Return for how many seconds a condition has held."""
        if not holds:
            self._began.pop(name, None)
            return 0
        return now - self._began.setdefault(name, now)

    def _refuse(self, status: int) -> None:
        self._began.pop("head", None)
        if not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


def close_overdue(connections: set[Any], now: float) -> None:
    """Close those of *connections* whose clients are too slow."""
    for connection in list(connections):
        if isinstance(connection, LimitedConnection):
            connection.close_if_overdue(now)
