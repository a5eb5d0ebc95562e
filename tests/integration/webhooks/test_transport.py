"""One POST to receivers of every kind, for real over loopback: what they do costs us neither time nor memory."""

import gzip
import ssl
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from common.states.webhooks import Failure
from common.webhooks.ssrf_guard import ResolvedTarget
from common.webhooks.transport import ReceiverResponse, Timeouts, Transport, UndeliveredError
from common.webhooks.urls import parse_url
from tests.support.servers.webhook_receivers import (
    Receiver,
    Script,
    answer,
    forever,
    receiving,
    reset_after,
    say,
    tarpit,
)

QUICK = Timeouts(total=1.0, connect=0.5, text=0.3)
BODY = b'{"type":"webhook.test"}'
OK = b"HTTP/1.1 200 OK\r\n"
SEVERAL_CHUNKS = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


@pytest.fixture
def unreachable_server() -> Iterator[Receiver]:
    """A listener that nobody must ever reach."""
    with receiving() as receiver:
        yield receiver
    assert receiver.connections == 0


def approach(
    receiver: Receiver, *, host: str = "127.0.0.1", scheme: str = "http", may_quote: bool = True
) -> ResolvedTarget:
    url = f"{scheme}://{host}:{receiver.port}/hook?a=b"
    return ResolvedTarget(parse_url(url), (ip_address("127.0.0.1"),), may_quote)


def post(script: Script, *, limits: Timeouts | None = None, may_quote: bool = True) -> ReceiverResponse:
    with receiving(script) as receiver:
        transport = Transport(limits=limits or Timeouts())
        return transport.post(approach(receiver, may_quote=may_quote), {"webhook-id": "1"}, BODY)


def failure(script: Script, limits: Timeouts = QUICK) -> Failure:
    with pytest.raises(UndeliveredError) as caught:
        post(script, limits=limits)
    return caught.value.failure


def test_the_body_is_sent_unchanged_with_the_host_of_the_url() -> None:
    with receiving() as receiver:
        Transport().post(approach(receiver, host="hooks.example"), {"webhook-id": "7"}, BODY)
    (request,) = receiver.received
    assert request.path == "/hook?a=b"
    assert request.body == BODY
    assert request.headers == {
        "host": f"hooks.example:{receiver.port}",
        "user-agent": "Pressroom",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "accept-encoding": "identity",
        "connection": "close",
        "webhook-id": "7",
    }


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, unreachable_server: Receiver) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, unreachable_server.url)
        monkeypatch.setenv(name.upper(), unreachable_server.url)
    assert post(answer(200)).status == 200


@pytest.mark.parametrize("status", [200, 204, 299, 400, 410, 429, 500, 503])
def test_the_response_status_is_returned(status: int) -> None:
    assert post(answer(status)).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, unreachable_server: Receiver) -> None:
    for place in (unreachable_server.url, "http://169.254.169.254/latest/meta-data/"):
        assert post(answer(status, {"Location": place})).status == status


def test_interim_responses_are_skipped() -> None:
    script = say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK + b"\r\n")
    assert post(script).status == 200


def test_a_cookie_is_not_kept() -> None:
    transport = Transport()
    with receiving(answer(200, {"Set-Cookie": "a=b; Path=/"})) as receiver:
        for _ in range(2):
            transport.post(approach(receiver), {}, BODY)
    assert "cookie" not in receiver.received[1].headers


def test_retry_after_is_passed_on() -> None:
    assert post(answer(429, {"Retry-After": "NaN"})).retry_after == "NaN"


def test_a_receiver_that_never_answers_is_cut_off() -> None:
    assert failure(tarpit) is Failure.TIMEOUT


def test_a_receiver_that_answers_byte_by_byte_is_cut_off_at_the_total_timeout() -> None:
    assert failure(forever(OK + b"X-Slow: ", b"a", 0.05)) is Failure.TIMEOUT


def test_a_receiver_that_sends_100_continue_for_ever_is_cut_off() -> None:
    assert failure(forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n")) in (Failure.PROTOCOL, Failure.TIMEOUT)


def test_an_endless_slow_body_does_not_change_the_status() -> None:
    head = OK + b"Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
    assert post(forever(head, b"a", 0.05), limits=QUICK).status == 200


def test_a_connection_broken_after_the_head_does_not_change_the_status() -> None:
    assert post(reset_after(OK + b"Content-Length: 1000\r\n\r\n")).status == 200


def test_little_of_an_endless_body_is_read_and_memory_stays_flat() -> None:
    head = OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    tracemalloc.start()
    try:
        received = post(forever(head, SEVERAL_CHUNKS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received.status == 200
    assert received.text is not None
    assert len(received.text) == 1024
    assert peak < 4 * 1024 * 1024


def test_a_compressed_body_is_neither_unpacked_nor_kept() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    assert post(answer(200, headers, bomb)) == ReceiverResponse(200)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"".join(b"X-%d: y\r\n" % number for number in range(100_000)) + b"\r\n",
        OK + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"HTTP/1.1 9999 OK\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=["100k headers", "a long header", "no HTTP", "no status", "two lengths"],
)
def test_a_malformed_response_is_a_failure(head: bytes) -> None:
    assert failure(say(head), Timeouts()) in (Failure.PROTOCOL, Failure.BROKEN)


@pytest.mark.parametrize("script", [reset_after(), say(), reset_after(b"HTTP/1.1 2")], ids=["reset", "closed", "cut"])
def test_a_connection_broken_before_the_head_is_a_failure(script: Script) -> None:
    assert failure(script) in (Failure.BROKEN, Failure.PROTOCOL)


def test_a_refused_connection_is_a_failure() -> None:
    with receiving() as receiver:
        gone = approach(receiver)
    with pytest.raises(UndeliveredError) as caught:
        Transport(limits=QUICK).post(gone, {}, BODY)
    assert caught.value.failure is Failure.CONNECT


def test_the_next_address_is_tried_when_one_refuses() -> None:
    with receiving() as receiver:
        both = (ip_address("::1"), ip_address("127.0.0.1"))
        assert Transport().post(ResolvedTarget(approach(receiver).destination, both, True), {}, BODY).status == 204


@pytest.mark.parametrize(
    ("content_type", "is_kept"), [("text/html; charset=utf-8", True), ("application/json", True), ("image/png", False)]
)
def test_only_text_bodies_are_kept(content_type: str, is_kept: bool) -> None:
    assert (post(answer(500, {"Content-Type": content_type}, b"sorry")).text == "sorry") is is_kept


def test_responses_of_private_hosts_are_not_kept() -> None:
    script = answer(500, {"Content-Type": "text/plain"}, b"secrets of the inside")
    assert post(script, may_quote=False).text is None


def test_kept_responses_contain_no_keys_and_no_control_characters() -> None:
    text = b"a\x00b\x1b[31m key prk_abcdefgh_0123456789 whsec_AAAABBBBCCCC Bearer abcdef\xff."
    kept = post(answer(500, {"Content-Type": "text/plain"}, text)).text
    assert kept == "ab[31m key [redacted] [redacted] [redacted]"


class Authority:
    """A certificate authority of the tests, and contexts for both sides."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def server(self, name: str, not_after: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, not_after=not_after).configure_cert(context)
        return context


@pytest.mark.parametrize(
    ("name", "lifetime", "trusted", "status"),
    [
        ("hooks.example", None, True, 204),
        ("other.example", None, True, None),
        ("hooks.example", timedelta(days=-1), True, None),
        ("hooks.example", None, False, None),
    ],
    ids=["sound", "another name", "expired", "unknown authority"],
)
def test_a_certificate_must_be_valid_for_the_host_of_the_url(
    name: str, lifetime: timedelta | None, trusted: bool, status: int | None, tmp_path: Path
) -> None:
    authority = Authority()
    served = authority.server(name, datetime.now(UTC) + lifetime if lifetime else None)
    client = authority.client() if trusted else None
    asked: list[str | None] = []
    served.sni_callback = lambda _socket, server_name, _context: asked.append(server_name)
    with receiving(wrap=lambda connection: served.wrap_socket(connection, server_side=True)) as receiver:
        to = approach(receiver, host="hooks.example", scheme="https")
        if status:
            assert Transport(client).post(to, {}, BODY).status == status
        else:
            with pytest.raises(UndeliveredError) as caught:
                Transport(client, QUICK).post(to, {}, BODY)
            assert caught.value.failure is Failure.TLS
    assert asked == ["hooks.example"]


def test_a_receiver_that_never_finishes_the_handshake_is_cut_off() -> None:
    with receiving(tarpit) as receiver, pytest.raises(UndeliveredError) as caught:
        Transport(limits=QUICK).post(approach(receiver, scheme="https"), {}, BODY)
    assert caught.value.failure in (Failure.TIMEOUT, Failure.TLS)
