"""The guard against requests to the inside: what was measured of parsers, resolvers and ``ipaddress``, as a table."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from common.errors import SettingsError
from common.settings import Settings
from common.webhooks.public_addresses import UnresolvedError, is_own_address, is_public_address, resolve_host
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from common.webhooks.urls import Address, DestinationNotAllowedError, InvalidUrlError

PUBLIC = "93.184.215.14"


class Names:
    """A resolver with answers of its own, each of which it gives once, the last again and again."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, seconds: float) -> list[Address]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise UnresolvedError
        return [ip_address(text) for text in answer]


def guard(*answers: tuple[str, ...], is_own: Callable[[Address], bool] = lambda _: False, **changes: Any) -> SsrfGuard:
    return SsrfGuard(SsrfRules.of(Settings(**changes)), resolve_host=Names(*(answers or ((PUBLIC,),))), is_own=is_own)


INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1"),
    *("192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    "255.255.255.255",
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:93.184.215.14", "::127.0.0.1", "::93.184.215.14"),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::5db8:d70e",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ),
    *("2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:5db8:d70e::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1"),
]
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    PUBLIC,
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2606:2800:220:1::1",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public_address(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public_address(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("①②⑦.⓪.⓪.①", "LOCALHOST.", "localhost.", "x.localhost", "intranet", "redis"),
        *("169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "100.100.100.200", "100.64.0.1"),
        *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:4136::1]"),
        *("[fec0::1]", "224.0.0.1", "[ff02::1]", "8.8.8.8", "[2606:2800:220:1::1]", "printer.local", "nas.home.arpa"),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_ip_literal_or_internal_name_is_refused_whatever_it_resolves_to(scheme: str, host: str) -> None:
    judge = guard((PUBLIC,))
    for ask in (judge.check, judge.resolve):
        with pytest.raises(DestinationNotAllowedError) as caught:
            ask(f"{scheme}://{host}/")
        assert caught.value.message == "Destination not allowed."
    assert judge.resolve_host.asked == [], "nothing is looked up for it"


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_with_a_private_address_beside_public_ones_is_refused(address: str) -> None:
    for answer in ((address,), (PUBLIC, address), (*[PUBLIC] * 999, address)):
        with pytest.raises(DestinationNotAllowedError) as caught:
            guard(answer).check("https://hooks.example/")
        assert address not in caught.value.message


def test_a_name_that_later_resolves_to_a_private_address_is_refused_then() -> None:
    judge = guard((PUBLIC,), ("127.0.0.1",))
    assert judge.check("https://hooks.example/").host == "hooks.example"
    with pytest.raises(DestinationNotAllowedError):
        judge.resolve("https://hooks.example/")


def test_only_the_addresses_that_were_checked_are_connected_to() -> None:
    judge = guard((PUBLIC, "1.1.1.1"))
    approach = judge.resolve("https://hooks.example/x")
    assert approach.addresses == (ip_address(PUBLIC), ip_address("1.1.1.1"))
    assert judge.resolve_host.asked == ["hooks.example"], "asked once: a second answer could differ"


def test_a_name_without_address_may_be_registered_and_is_tried_again_later() -> None:
    judge = guard(())
    assert judge.check("https://soon.example/").host == "soon.example"
    with pytest.raises(UnresolvedError):
        judge.resolve("https://soon.example/")
    with pytest.raises(InvalidUrlError):
        judge.check("http://soon.example/")


@pytest.mark.parametrize("url", ["http://hooks.example/", "https://hooks.example:22/", "https://hooks.example:6379/"])
def test_plain_http_and_other_ports_are_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        guard().check(url)


def test_plain_http_and_other_ports_can_be_allowed_by_settings() -> None:
    judge = guard(webhook_http=True, webhook_ports=("443", "9443"))
    for url in ("http://hooks.example/", "https://hooks.example:9443/"):
        assert judge.check(url).url == url
    with pytest.raises(InvalidUrlError):
        judge.check("https://hooks.example:8443/")


def test_an_allowed_network_is_allowed_by_address_and_by_name_and_its_answers_are_not_quoted() -> None:
    judge = guard(("10.1.2.3",), webhook_allow=("10.1.0.0/16", "fd00::/8"))
    for url in ("http://10.1.2.3:3000/", "https://[fd12::1]/", "http://hooks.example:81/"):
        assert judge.check(url).url == url
        assert not judge.resolve(url).may_quote, "or it would be a window to the inside"
    assert guard().resolve("https://hooks.example/").may_quote
    for url in ("https://10.2.0.1/", "https://127.0.0.1/"):
        with pytest.raises(DestinationNotAllowedError):
            judge.check(url)


def test_an_allowed_name_is_allowed_wherever_it_leads() -> None:
    judge = guard(("192.168.7.7",), webhook_allow=("Hooks.Internal",))
    approach = judge.resolve("http://hooks.internal:3000/")
    assert approach.may_quote
    with pytest.raises(DestinationNotAllowedError):
        judge.check("http://other.internal/")


OWN = {
    "bind": "127.0.0.1:8000",
    "public_url": "https://images.example",
    "database_url": "postgresql+psycopg://p:x@db.example:5432/p",
    "redis_url": "redis://:x@10.1.0.9:6379/0",
    "s3_endpoint": "https://s3.example",
}


@pytest.mark.parametrize(
    "url", ["https://images.example/v1/jobs", "https://s3.example/bucket", "https://db.example:5432/"]
)
def test_the_services_of_the_installation_itself_are_refused(url: str) -> None:
    with pytest.raises(DestinationNotAllowedError):
        guard(**OWN).check(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://10.1.0.9:6379/", "http://10.1.0.5:5432/"])
def test_the_ports_of_the_installation_itself_are_refused_in_allowed_networks(url: str) -> None:
    judge = guard(**OWN, webhook_allow=("10.1.0.0/16", "127.0.0.1"))
    with pytest.raises(DestinationNotAllowedError):
        judge.check(url)
    assert judge.check("http://10.1.0.9:3000/").port == 3000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRESSROOM_WEBHOOK_ALLOW", "10.0.0.0/33"),
        ("PRESSROOM_WEBHOOK_ALLOW", "http://hooks.internal"),
        ("PRESSROOM_WEBHOOK_ALLOW", "10.0.0.1:80"),
        ("PRESSROOM_WEBHOOK_PORTS", "443,https"),
        ("PRESSROOM_WEBHOOK_PORTS", "0"),
    ],
)
def test_ambiguous_allow_settings_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environ({name: value})


def test_a_public_address_of_this_very_machine_is_not_allowed() -> None:
    with pytest.raises(DestinationNotAllowedError):
        guard(is_own=lambda address: str(address) == PUBLIC).check("https://hooks.example/")


def test_a_machine_knows_its_own_addresses() -> None:
    assert is_own_address(ip_address("127.0.0.1"))


def test_the_system_resolves_the_names_that_it_knows() -> None:
    assert ip_address("127.0.0.1") in resolve_host("localhost", 80, 5)
    with pytest.raises(UnresolvedError):
        resolve_host("a.label.that.is.far.too.long." + "x" * 64, 80, 5)
