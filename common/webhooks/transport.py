"""Sends one POST to one receiver, to an address that the guard allows, within fifteen seconds.

No redirect is followed, no proxy asked, no cookie kept, nothing decompressed, and little of the answer read.
"""

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address

import h11

from common.errors import PressroomError
from common.states.webhooks import Failure
from common.webhooks.ssrf_guard import ResolvedTarget
from common.webhooks.urls import Address

MOST_ADDRESSES = 3
MOST_BYTES = 64 * 1024
MOST_QUOTED = 1024
CHUNK_BYTES = 8192
SUCCESS = range(200, 300)

TEXTUAL = re.compile(r"text/|application/([a-z.+-]*\+)?(json|xml)|application/x-www-form-urlencoded", re.IGNORECASE)
SECRETS = re.compile(
    r"(?i)\b(?:prk|whsec|whsk|sk|pk|ghp|xox[a-z])_[A-Za-z0-9_+/=-]{8,}|\b(?:bearer|basic)\s+[^\s\"']{4,}"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds of wall-clock time."""

    total: float = 15.0
    connect: float = 5.0
    text: float = 5.0  # of an answer, whose status has been heard: that is what counts


@dataclass(frozen=True)
class ReceiverResponse:
    """The response of a receiver."""

    status: int
    retry_after: str | None = None
    text: str | None = None


class UndeliveredError(PressroomError):
    """The receiver did not respond."""

    code = "undelivered"

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Transport:
    """Posts messages; *context* says whose certificates are trusted."""

    def __init__(self, context: ssl.SSLContext | None = None, limits: Timeouts | None = None) -> None:
        self._context = context or ssl.create_default_context()
        self._limits = limits or Timeouts()

    def post(self, approach: ResolvedTarget, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        """Send *body* and return the answer; raise UndeliveredError."""
        exchange = _Exchange(approach, self._limits)
        with _translate_faults(Failure.CONNECT):
            plain = exchange.connect()
        with plain:
            with _translate_faults(Failure.TLS):
                connection = exchange.secure(plain, self._context)
            with connection, _translate_faults(Failure.BROKEN):
                return exchange.talk(connection, headers, body)


class _Exchange:
    """One connection and what is left of its time."""

    def __init__(self, approach: ResolvedTarget, limits: Timeouts) -> None:
        self._approach = approach
        self._limits = limits
        self._deadline = time.monotonic() + limits.total
        self._received = 0

    def connect(self) -> socket.socket:
        limit = time.monotonic() + self._limits.connect
        fault: OSError = TimeoutError()
        for address in self._approach.addresses[:MOST_ADDRESSES]:
            try:
                return self._dial(address, limit)
            except OSError as error:
                fault = error
        raise fault

    def _dial(self, address: Address, limit: float) -> socket.socket:
        connection = socket.socket(socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET)
        try:
            connection.settimeout(self._left(limit))
            connection.connect((str(address), self._approach.destination.port))
        except BaseException:
            connection.close()
            raise
        return connection

    def secure(self, plain: socket.socket, context: ssl.SSLContext) -> socket.socket:
        """Return the connection inside TLS, its certificate checked against the name in the URL."""
        if self._approach.destination.scheme == "http":
            return plain
        plain.settimeout(self._left(self._deadline))
        return context.wrap_socket(plain, server_hostname=self._approach.destination.host)

    def talk(self, connection: socket.socket, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        protocol = h11.Connection(h11.CLIENT)
        destination = self._approach.destination
        fixed = {
            "host": destination.authority,
            "user-agent": "Pressroom",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept-encoding": "identity",
            "connection": "close",
        }
        head = h11.Request(method="POST", target=destination.target, headers=[*(fixed | dict(headers)).items()])
        sent = [protocol.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage())]
        # A receiver may answer before it has read all, and close.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(connection, b"".join(sent))
        return self._listen(connection, protocol)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            connection.settimeout(self._left(self._deadline))
            rest = rest[connection.send(rest) :]

    def _listen(self, connection: socket.socket, protocol: h11.Connection) -> ReceiverResponse:
        response = self._await_head(connection, protocol)
        said = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(list(response.headers))}
        text = self._read_text(connection, protocol)
        is_quoted = self._approach.may_quote and "content-encoding" not in said
        is_quoted = is_quoted and TEXTUAL.match(said.get("content-type", "")) is not None
        return ReceiverResponse(response.status_code, said.get("retry-after"), redact_text(text) if is_quoted else None)

    def _await_head(self, connection: socket.socket, protocol: h11.Connection) -> h11.Response:
        while True:
            event = protocol.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                if self._received > MOST_BYTES:
                    raise UndeliveredError(Failure.PROTOCOL)
                self._receive(connection, protocol, self._deadline)
            elif not isinstance(event, h11.InformationalResponse):
                raise UndeliveredError(Failure.BROKEN)

    def _read_text(self, connection: socket.socket, protocol: h11.Connection) -> bytes:
        """Return how the text begins; a receiver that breaks off in its middle has answered all the same."""
        text = b""
        limit = min(self._deadline, time.monotonic() + self._limits.text)
        with suppress(OSError, h11.RemoteProtocolError):
            while self._received <= MOST_BYTES:
                event = protocol.next_event()
                if event is h11.NEED_DATA:
                    self._receive(connection, protocol, limit)
                elif isinstance(event, h11.Data):
                    text = (text + bytes(event.data))[:MOST_QUOTED]
                else:
                    break
        return text

    def _receive(self, connection: socket.socket, protocol: h11.Connection, limit: float) -> None:
        connection.settimeout(self._left(limit))
        data = connection.recv(CHUNK_BYTES)
        self._received += len(data)
        protocol.receive_data(data)

    def _left(self, limit: float) -> float:
        seconds = min(limit, self._deadline) - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def redact_text(text: bytes) -> str:
    """Return *text* as it may be kept: no control characters, and nothing that looks like a key."""
    return SECRETS.sub("[redacted]", CONTROLS.sub("", text.decode("utf-8", "replace")))


@contextmanager
def _translate_faults(failure: Failure) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise UndeliveredError(Failure.TIMEOUT) from None
    except h11.RemoteProtocolError:
        raise UndeliveredError(Failure.PROTOCOL) from None
    except ssl.SSLError:
        raise UndeliveredError(Failure.TLS) from None
    except OSError:
        raise UndeliveredError(failure) from None
