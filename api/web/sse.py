"""Server-sent events on the wire: WHATWG HTML, section 9.2."""

from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Of an answer that no proxy may keep, nor hold back until it is long enough."""

RETRY = b"retry: 2000\n\n"
"""Has a client whose line was cut come back after two seconds."""

HEARTBEAT = b": still here\n\n"
"""A comment: clients skip it, proxies see that the line is in use, and a line that leads nowhere breaks."""


@dataclass(frozen=True)
class Event:
    """One event; *data* is JSON, which holds no line breaks of its own."""

    id: str
    name: str
    data: str

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        return f"id: {self.id}\nevent: {self.name}\ndata: {self.data}\n\n".encode()
