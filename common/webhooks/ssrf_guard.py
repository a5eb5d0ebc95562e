"""SSRF protection: webhooks go only to public receivers and to those that the operator allows.

Asked when a URL is registered and again before every try, each time for all addresses that a name has at that moment;
the connection is then made to one of these, so that a name cannot change its mind in between.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

from common.settings import Settings
from common.webhooks import public_addresses
from common.webhooks.public_addresses import HostResolver, IsOwn, UnresolvedError, is_public_address
from common.webhooks.urls import Address, Destination, DestinationNotAllowedError, InvalidUrlError, parse_url

INTERNAL_NAME = re.compile(r"([^.]+|.*\.(localhost|local|localdomain|internal|intranet|lan|home\.arpa))")
"""Names that mean something on the inside only: those of one label, and those under these."""

WEB_PORTS = frozenset({80, 443, 8443})
CHECK_SECONDS, RESOLVE_SECONDS = 2.0, 5.0
"""How long a name may take to resolve while somebody waits for an answer, and before a try."""


@dataclass(frozen=True)
class SsrfRules:
    """What the settings allow, and the services of Pressroom itself."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ports: frozenset[int] = frozenset({443, 8443})
    http: bool = False
    own_services: frozenset[tuple[str, int]] = frozenset()  # host and port of our api, database, broker and storage
    own_names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the rules that *settings* make."""
        networks, hosts = [], set()
        for entry in settings.webhook_allow:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.lower().removesuffix("."))
        own = frozenset(_list_own_services(settings))
        return cls(
            hosts=frozenset(hosts),
            networks=tuple(networks),
            ports=frozenset(map(int, settings.webhook_ports)) | ({80} if settings.webhook_http else set()),
            http=settings.webhook_http,
            own_services=own,
            own_names=frozenset({socket.gethostname().lower(), *(host for host, _ in own)}),
        )

    def allow(self, destination: Destination, address: Address) -> bool:
        """Return whether the operator allows *address*, or every address of the destination's name."""
        return destination.host in self.hosts or any(address in network for network in self.networks)


@dataclass(frozen=True)
class ResolvedTarget:
    """A destination that may be approached, by these addresses and no others."""

    destination: Destination
    addresses: tuple[Address, ...]
    may_quote: bool  # whether its owner may see what it answers: not of a host somewhere in an allowed network


@dataclass(frozen=True)
class SsrfGuard:
    """Decides by *rules* which webhook destinations are allowed."""

    rules: SsrfRules = field(default_factory=SsrfRules)
    resolve_host: HostResolver = public_addresses.resolve_host
    is_own: IsOwn = public_addresses.is_own_address

    def check(self, url: str) -> Destination:
        """Return what *url* leads to, for keeping; raise InvalidUrlError or NotAllowedError.

        A name without an address just now may have one later: every try asks again.
        """
        destination = parse_url(url)
        try:
            self._judge(destination, CHECK_SECONDS)
        except UnresolvedError:
            self._judge_scheme(destination, is_allowed=destination.host in self.rules.hosts)
        return destination

    def resolve(self, url: str) -> ResolvedTarget:
        """Return the target of *url*, resolved now; raise UnresolvedError, or what ``check`` raises."""
        return self._judge(parse_url(url), RESOLVE_SECONDS)

    def _judge(self, destination: Destination, seconds: float) -> ResolvedTarget:
        rules, host = self.rules, destination.host
        literal = destination.literal
        if (host, destination.port) in rules.own_services:
            raise DestinationNotAllowedError
        if host not in rules.hosts and literal is None and (host in rules.own_names or INTERNAL_NAME.fullmatch(host)):
            raise DestinationNotAllowedError
        found = [literal] if literal else self.resolve_host(host, destination.port, seconds)
        allowed = {address: rules.allow(destination, address) for address in found}
        for address in found:
            self._judge_address(destination, address, is_allowed=allowed[address])
        self._judge_scheme(destination, is_allowed=all(allowed.values()))
        return ResolvedTarget(destination, tuple(found), host in rules.hosts or not any(allowed.values()))

    def _judge_address(self, destination: Destination, address: Address, *, is_allowed: bool) -> None:
        own_ports = {port for _, port in self.rules.own_services} - WEB_PORTS
        if (str(address), destination.port) in self.rules.own_services or destination.port in own_ports:
            raise DestinationNotAllowedError
        if is_allowed:
            return
        if destination.literal or not is_public_address(address) or self.is_own(address):
            raise DestinationNotAllowedError

    def _judge_scheme(self, destination: Destination, *, is_allowed: bool) -> None:
        if is_allowed:
            return
        if destination.scheme == "http" and not self.rules.http:
            raise InvalidUrlError("The URL must begin with https://.")
        if destination.port not in self.rules.ports:
            ports = ", ".join(map(str, sorted(self.rules.ports)))
            raise InvalidUrlError(f"The port must be one of {ports}.")


def _list_own_services(settings: Settings) -> Iterator[tuple[str, int]]:
    urls = [settings.base_url, settings.client_url, f"http://{settings.bind}"]
    urls += [url for url in (settings.s3_endpoint, settings.s3_public_endpoint) if url]
    urls += [url.get_secret_value() for url in (settings.database_url, settings.redis_url) if url]
    for url in urls:
        parts = urlsplit(url)
        usual = {"https": 443, "http": 80, "redis": 6379, "rediss": 6379}.get(parts.scheme, 5432)
        if parts.hostname:
            yield _normalise_host(parts.hostname), parts.port or usual


def _normalise_host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")
