"""The client's address behind proxies: believed only as far as trusted proxies tell it."""

import pytest

from api.web.client_address import ClientAddresses, shorten_address

TRUSTED = ("10.0.0.0/8", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "evil\n, 10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "[2a00::7]:4711", "2a00::7"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_the_last_address_that_is_not_a_trusted_proxy(peer: str, forwarded: str, client: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert ClientAddresses(TRUSTED).find(environ) == client


@pytest.mark.parametrize(("peer", "client"), [("10.0.0.1", "10.0.0.1"), ("", "")])
def test_without_trusted_proxies_nothing_forwarded_is_believed(peer: str, client: str) -> None:
    assert ClientAddresses(()).find({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}) == client


def test_a_customer_is_known_by_what_it_cannot_choose_in_its_address() -> None:
    assert shorten_address("203.0.113.9") == "203.0.113.9"
    assert shorten_address("2a00:1:2:3:4:5:6:7") == shorten_address("2a00:1:2:3::1") != shorten_address("2a00:1:2:4::1")
    assert shorten_address("") == ""
