"""Parses receiver URLs once and strictly; connections use exactly the parsed result.

What two parsers could read differently is refused: a backslash, an ``@``, a fragment, a space, any control.
"""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from common.errors import PressroomError

LONGEST_URL = 2048
LONGEST_HOST = 253
DEFAULT_PORTS = {"https": 443, "http": 80}
LARGEST_PORT = 65_535

SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)((?:[/?].*)?)", re.DOTALL)
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::([0-9]{1,5}))?")
TARGET = re.compile(r"(?:[A-Za-z0-9/?:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

Address = IPv4Address | IPv6Address


class InvalidUrlError(PressroomError):
    """The URL must be an absolute https URL."""

    code = "invalid_url"


class DestinationNotAllowedError(PressroomError):
    """Destination not allowed."""

    code = "destination_not_allowed"


@dataclass(frozen=True)
class Destination:
    """Where a message goes: what is connected to, what is asked for, and one spelling for all that mean it."""

    scheme: str
    host: str  # lower-case ASCII without a last dot; an IPv6 address without brackets
    port: int
    target: str  # path and query, as they are sent

    @property
    def literal(self) -> Address | None:
        """Return the address that the host spells, if it is one and no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Return the value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """Return the URL in its one spelling."""
        return self.origin + self.target


def parse_url(url: str) -> Destination:
    """Return what *url* leads to; raise InvalidUrlError, or NotAllowedError for a number in place of a name."""
    if len(url) > LONGEST_URL:
        raise InvalidUrlError(f"The URL must not exceed {LONGEST_URL} characters.")
    shape = SHAPE.fullmatch(url)
    if shape is None or (scheme := shape[1].lower()) not in DEFAULT_PORTS:
        raise InvalidUrlError
    authority = AUTHORITY.fullmatch(shape[2])
    if authority is None:
        raise InvalidUrlError("The URL must contain a host, and no user or password.")
    if TARGET.fullmatch(shape[3]) is None:
        raise InvalidUrlError("The path and query must be percent-encoded ASCII, without a fragment.")
    port = int(authority[2] or DEFAULT_PORTS[scheme])
    if not 0 < port <= LARGEST_PORT:
        raise InvalidUrlError("The port must be 1 to 65535.")
    target = shape[3] if shape[3].startswith("/") else f"/{shape[3]}"
    destination = Destination(scheme, _parse_host(authority[1]), port, target)
    if len(destination.url) > LONGEST_URL:  # names grow as they are put into ASCII
        raise InvalidUrlError(f"The URL must not exceed {LONGEST_URL} characters.")
    return destination


def _parse_host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise InvalidUrlError("The host is not a valid IPv6 address.") from None
    host = _encode_idna(text).lower().removesuffix(".")
    labels = host.split(".")
    if NUMBER.fullmatch(labels[-1]):
        # The C library reads many spellings as IPv4 addresses; only the usual one is taken.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise DestinationNotAllowedError from None
    if len(host) > LONGEST_HOST or not all(LABEL.fullmatch(label) and _is_valid_label(label) for label in labels):
        raise InvalidUrlError("The host is not a valid host name.")
    return host


def _encode_idna(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise InvalidUrlError("The host is not a valid host name.") from None


def _is_valid_label(label: str) -> bool:
    if not label.startswith("xn--"):
        return True
    try:
        idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return False
    return True
