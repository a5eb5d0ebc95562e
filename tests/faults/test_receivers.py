"""Webhook URLs with private addresses: none is contacted, neither at registration nor at delivery."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from common.db.engine import Database
from common.settings import Settings
from common.states.webhooks import Failure, MessageState
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from common.webhooks.urls import Address
from tests.support.apis import open_api
from tests.support.servers.webhook_receivers import Receiver, receiving
from tests.support.webhook_fixture import WebhookFixture

PUBLIC, INSIDE = ip_address("93.184.215.14"), ip_address("127.0.0.1")

HOSTILE = [
    *(f"http://{host}:PORT/" for host in ("127.0.0.1", "localhost", "LOCALHOST.", "0.0.0.0", "127.1", "127.0.1")),
    *(f"http://{host}:PORT/" for host in ("2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "①②⑦.⓪.⓪.①")),
    *(f"http://[{host}]:PORT/" for host in ("::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1")),
    *(f"http://[{host}]:PORT/" for host in ("2002:7f00:1::", "fec0::1", "fd00:ec2::254", "::ffff:7f00:1")),
    *(f"http://{host}:PORT/" for host in ("169.254.169.254", "100.100.100.200", "100.64.0.1", "224.0.0.1")),
    *(f"http://{host}:PORT/" for host in ("metadata.google.internal", "db", "printer.local", "inward.example")),
    "http://example.com\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://user:pw@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\r\nHost: example.com/",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/",
    "file://127.0.0.1:PORT/etc/passwd",
]


@pytest.fixture
def canary() -> Iterator[Receiver]:
    """A listener on every address of this machine."""
    if socket.has_dualstack_ipv6():
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.create_server(("0.0.0.0", 0))
    with receiving(listener=listener) as receiver:
        yield receiver


@dataclass
class Resolver:
    """Gives names the address of this machine, but to those that come in time another at first."""

    honest_times: int = 0

    def __call__(self, host: str, port: int, seconds: float) -> list[Address]:
        self.honest_times -= 1
        return [PUBLIC if self.honest_times >= 0 else INSIDE]


def _rules(canary: Receiver) -> dict[str, object]:
    """Return settings under which neither the scheme nor the port is what stops anybody."""
    return {"webhook_http": True, "webhook_ports": (str(canary.port),)}


@pytest.mark.parametrize("url", HOSTILE)
def test_f40_no_hostile_url_is_contacted_at_registration_or_delivery(
    sqlite_database: Database, tmp_path: Path, canary: Receiver, url: str
) -> None:
    url = url.replace("PORT", str(canary.port))
    api = open_api(sqlite_database, tmp_path, resolve=Resolver(), **_rules(canary))
    for path, body in (("/v1/webhooks", {"url": url}), ("/v1/jobs", {"prompt": "x", "webhook_url": url})):
        assert api.post(path, json=body).status_code == 422

    webhook_fixture = WebhookFixture(sqlite_database)
    endpoint_id, _ = webhook_fixture.subscribe(url)  # as if it had been let in under other rules
    message_id = webhook_fixture.test(endpoint_id)
    guard = SsrfGuard(SsrfRules.of(Settings(**_rules(canary))), resolve_host=Resolver(), is_own=lambda _: False)
    webhook_fixture.deliver(webhook_fixture.create_deliverer(guard))
    assert [attempt.error for attempt in webhook_fixture.attempts(message_id)] == [Failure.NOT_ALLOWED]
    assert canary.connections == 0


def test_f40_a_registered_name_rebound_to_a_private_address_is_not_contacted(
    sqlite_database: Database, tmp_path: Path, canary: Receiver
) -> None:
    resolver = Resolver(honest_times=1)
    url = f"http://rebinding.example:{canary.port}/"
    api = open_api(sqlite_database, tmp_path, resolve=resolver, **_rules(canary))
    assert api.post("/v1/webhooks", json={"url": url}).status_code == 201
    webhook_fixture = WebhookFixture(sqlite_database)
    endpoint_id, _ = webhook_fixture.subscribe(url, "grace")
    message_id = webhook_fixture.test(endpoint_id)
    guard = SsrfGuard(SsrfRules.of(Settings(**_rules(canary))), resolve_host=resolver, is_own=lambda _: False)
    for _ in range(3):
        webhook_fixture.deliver(webhook_fixture.create_deliverer(guard))
        webhook_fixture.clock.advance(hours=1)
    assert {attempt.error for attempt in webhook_fixture.attempts(message_id)} == {Failure.NOT_ALLOWED}
    assert canary.connections == 0


def test_f40_a_private_address_is_contacted_when_it_is_allowed(sqlite_database: Database, canary: Receiver) -> None:
    webhook_fixture = WebhookFixture(sqlite_database)
    endpoint_id, _ = webhook_fixture.subscribe(f"http://inward.example:{canary.port}/")
    message_id = webhook_fixture.test(endpoint_id)
    rules = SsrfRules.of(Settings(webhook_allow=("inward.example",)))
    webhook_fixture.deliver(
        webhook_fixture.create_deliverer(SsrfGuard(rules, resolve_host=Resolver(), is_own=lambda _: False))
    )
    assert webhook_fixture.message(message_id).state is MessageState.DELIVERED
    assert canary.connections == 1
