import base64
from urllib.parse import urlsplit

import pytest

from common.storage.links import LINK_PATH, LinkSigner, LinkTarget, format_content_disposition

LINKED = LinkTarget("owners/ann/jobs/1/a1/0-ab.png", "image/png", "print.png")


@pytest.fixture
def links() -> LinkSigner:
    return LinkSigner(b"0123456789abcdef", "https://press.example/")


def read(links: LinkSigner, url: str) -> LinkTarget | None:
    return links.read(urlsplit(url).path.removeprefix(LINK_PATH))


def test_a_link_resolves_to_the_signed_object(links):
    url = links.url(*LINKED, seconds=60)
    assert url.startswith("https://press.example/files/")
    assert read(links, url) == LINKED


def test_a_link_tells_nothing_about_what_it_leads_to(links):
    token = links.url(*LINKED, seconds=60).rpartition("/")[2]
    assert token.isascii()
    data = base64.urlsafe_b64decode(token + "==")
    for part in (b"ann", b"jobs", b"png", b"image"):
        assert part not in data
    other = links.url(LINKED.key.replace("ann", "bob"), *LINKED[1:], seconds=60).rpartition("/")[2]
    assert not any(token[place : place + 4] == other[place : place + 4] for place in range(0, len(token), 4))


def test_a_link_of_many_seconds_stays_short(links):
    assert len(links.url(*LINKED, seconds=10**9)) < 180


def test_a_link_expires(links):
    assert read(links, links.url(*LINKED, seconds=0)) is None


def test_a_link_of_another_secret_is_rejected(links):
    assert read(LinkSigner(b"fedcba9876543210", "https://press.example"), links.url(*LINKED, seconds=60)) is None


@pytest.mark.parametrize("token", ["", "x", "a.b", "é", "WyJhIl0.", "A" * 21, "A" * 5000, "=" * 8, "AAAA\n"])
def test_a_forged_token_is_rejected(links, token):
    assert links.read(token) is None


def test_a_tampered_token_is_rejected(links):
    token = links.url(*LINKED, seconds=60).rpartition("/")[2]
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert links.read(changed) is None


def test_a_filename_cannot_break_out_of_its_header():
    header = format_content_disposition('a"; x="\r\nSet-Cookie: b.png')
    assert header.isascii()
    assert not set('"\r\n ') & set(header.removeprefix("attachment; "))
