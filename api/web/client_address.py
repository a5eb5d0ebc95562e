"""The address of the client, as far as the proxies in front of the api can be trusted to tell it."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address

HOME_PREFIX = 64
"""Bits of an IPv6 address that name a customer; the customer chooses the others."""


class ClientAddresses:
    """Finds the client of a request. Only proxies in *trusted* networks are believed; without any, the peer counts."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ip_network(network, strict=False) for network in trusted]

    def find(self, environ: Mapping[str, Any]) -> str:
        """Return the client's address, empty if it is not known.

        Each proxy appends to ``X-Forwarded-For`` who connected to it, so the header is read from its end: the first
        address that is not a trusted proxy is the client. What precedes it was written by the client and may be false.
        """
        client = _parse_address(str(environ.get("REMOTE_ADDR", "")))
        if not self._is_trusted(client):
            return _format_address(client)
        for hop in reversed(str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")):
            address = _parse_address(hop)
            if address is None:
                break
            client = address
            if not self._is_trusted(address):
                break
        return _format_address(client)

    def _is_trusted(self, address: Address | None) -> bool:
        if address is None:  # a Unix socket, to which only a proxy on this machine connects
            return bool(self._trusted)
        return any(address in network for network in self._trusted)


def shorten_address(address: str) -> str:
    """Return what one customer cannot change about *address*: all of an IPv4 address, the network of an IPv6 one."""
    parsed = _parse_address(address)
    return str(IPv6Network((parsed, HOME_PREFIX), strict=False)) if isinstance(parsed, IPv6Address) else address


def _parse_address(text: str) -> Address | None:
    """Return the address in *text*, with or without a port; None if there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _format_address(address: Address | None) -> str:
    return "" if address is None else str(address)
