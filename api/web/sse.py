"""Wire format of server-sent events (WHATWG HTML, section 9.2)."""

from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers that stop proxies from caching or buffering the stream."""

RETRY = b"retry: 2000\n\n"
"""Makes a disconnected client reconnect after two seconds."""

HEARTBEAT = b": still here\n\n"
"""A comment that clients ignore; it keeps proxies from closing the connection and detects dead ones."""


@dataclass(frozen=True)
class Event:
    """One event; *data* is JSON, without line breaks."""

    id: str
    name: str
    data: str

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        return f"id: {self.id}\nevent: {self.name}\ndata: {self.data}\n\n".encode()
