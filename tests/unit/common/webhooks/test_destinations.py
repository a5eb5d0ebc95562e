"""How URLs of receivers are read: one way only, or not at all."""

import pytest

from common.webhooks.urls import DestinationNotAllowedError, InvalidUrlError, parse_url


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A?b=%20#".removesuffix("#"), "https://example.com/A?b=%20"),
        ("https://example.com.:8443?x=1", "https://example.com:8443/?x=1"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://bücher.example/ö".removesuffix("ö"), "https://xn--bcher-kva.example/"),
        ("https://[2606:2800:0220:0001::0001]/", "https://[2606:2800:220:1::1]/"),
        ("https://93.184.215.14/x", "https://93.184.215.14/x"),
        ("https://example.com/a@b:c;d,e!$&'()*+~", "https://example.com/a@b:c;d,e!$&'()*+~"),
    ],
)
def test_a_url_is_normalized_to_one_spelling(url: str, spelling: str) -> None:
    assert parse_url(url).url == spelling
    assert parse_url(spelling).url == spelling


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "",
        "https://",
        "https:///x",
        "https://user:pw@example.com/",
        "https://user@example.com/",
        "https://@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:/",
        "https://example.com:44a/",
        "https://example.com:-1/",
        "https://example.com/#frag",
        "https://example.com#frag",
        "https://exa mple.com/",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com\r\n.evil.example/",
        "https://example.com/\0",
        "https://example.com/\t",
        "https://example.com/%zz",
        "https://example.com/ü",
        "https://example.com/" + "x" * 10_000,
        "http://example.com\\@127.0.0.1/",
        "https://example.com\\.evil.example/",
        "http://127.0.0.1#@example.com/",
        "https://example.com/a\\b",
        "https://xn--/",
        "https://xn--a.example/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
        "https://under_score.example/",
        "https://-a.example/",
        "https://a-.example/",
        "https://a..example/",
        "https://.example/",
        "https://example.com../",
        "https://[::1",
        "https://[::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.x]/",
    ],
)
def test_ambiguous_and_unreadable_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        parse_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "①②⑦.1",
        "1.2.3.4.5",
        "0x7f.1",
        "example.0x",
        "256.1.1.1",
        "%31%32%37.0.0.1",
    ],
)
def test_numbers_that_only_some_parsers_read_as_addresses_are_refused(host: str) -> None:
    with pytest.raises(DestinationNotAllowedError):
        parse_url(f"https://{host}/")


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "127.0.0.1.", "１２７.0.0.1", "127。0。0。1"])
def test_an_address_in_disguise_is_read_as_what_it_is(host: str) -> None:
    assert parse_url(f"https://{host}/").host == "127.0.0.1"


def test_the_host_header_leaves_out_the_usual_port() -> None:
    assert parse_url("https://example.com:443/").authority == "example.com"
    assert parse_url("https://example.com:8443/").authority == "example.com:8443"
    assert parse_url("https://[2606::1]:8443/").authority == "[2606::1]:8443"
