"""Decides whether an IP address is on the public internet.

``ipaddress`` calls several global that lead inside (NAT64, 6to4, IPv4-compatible and site-local addresses, multicast),
so what is public is spelled out here, after the list of Stripe's Smokescreen and the registries of IANA.
"""

import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from common.errors import PressroomError
from common.webhooks.urls import Address

DENIED_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers; metadata of Alibaba
            "127.0.0.0/8",
            "168.63.129.16/32",  # the host of every machine at Azure
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
DENIED_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols of the IETF: Teredo, ORCHID, benchmarks
            "2001:db8::/32",
            "2002::/16",  # 6to4, an IPv4 address inside
            "3fff::/20",
        ),
    )
)

HostResolver = Callable[[str, int, float], list[Address]]
"""Returns every address of a host (name, port, seconds to take); raises UnresolvedError."""

IsOwn = Callable[[Address], bool]


class UnresolvedError(PressroomError):
    """The host name of the receiver cannot be resolved."""

    code = "unresolved"
    retryable = True


def is_public_address(address: Address) -> bool:
    """Return whether *address* is one host's on the public internet."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in DENIED_V4)
    return address in PUBLIC_V6 and not any(address in network for network in DENIED_V6)


def resolve_host(host: str, port: int, seconds: float) -> list[Address]:
    """Ask the system for every address of *host*; raise UnresolvedError when there is none within *seconds*."""
    found: list[Address] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(ip_address(answer[4][0]) for answer in answers))

    # The system's resolver cannot be told how long to take; one that is too slow is left to end by itself.
    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(seconds)
    if asking.is_alive() or not found:
        raise UnresolvedError
    return list(found)


def is_own_address(address: Address) -> bool:
    """Return whether *address* is this machine's: then the way to it begins there. Nothing is sent."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ip_address(probe.getsockname()[0]) == address
