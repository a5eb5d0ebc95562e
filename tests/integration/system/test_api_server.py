"""The api behind its real server: what comes over the wire that no client library would send."""

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.servers import api_servers
from tests.support.servers.api_servers import Server, answers

BODY = b'{"prompt": "a lighthouse"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with api_servers.serving() as started:
        yield started


def send(server: Server, *parts: bytes, head: tuple[str, ...] = (), post: bool = True) -> bytes:
    """Send a request as it stands; return all that comes back until the server closes."""
    lines = [
        f"{'POST' if post else 'GET'} /v1/jobs HTTP/1.1",
        "Host: api",
        f"Authorization: Bearer {server.key}",
        "Content-Type: application/json",
        "Connection: close",
        *head,
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # it hung up already, and its answer is here
        while chunk := _receive(connection):
            answer += chunk
        return answer


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_plain_request_is_served(server: Server) -> None:
    assert status(send(server, BODY, head=(f"Content-Length: {len(BODY)}",))) == 202


def test_a_body_that_says_it_is_too_large_is_not_read(server: Server) -> None:
    began = time.monotonic()
    answer = send(server, head=("Content-Length: 1000000000",))
    assert status(answer) == 413
    assert b"body_too_large" in answer
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("path", "has_key", "detail"),
    [
        ("/v1/jobs", True, "The body must not exceed 262144 bytes."),
        ("/v1/assets", True, "The file must not exceed 20000000 bytes."),
        ("/v1/assets", False, "Send a valid API key as Authorization: Bearer KEY."),
        ("/v1/nothing", True, "Not found."),
    ],
)
def test_a_client_whose_upload_is_refused_sees_why(server: Server, path: str, has_key: bool, detail: str) -> None:
    headers = {"Authorization": f"Bearer {server.key if has_key else 'none'}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", path, b"x" * 21_000_000, headers)  # more than any buffer holds
    assert json.loads(connection.getresponse().read())["detail"] == detail
    connection.close()


def test_a_body_without_length_is_read_to_the_limit_and_no_further(server: Server) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert status(send(server, *[chunk] * 40, head=("Transfer-Encoding: chunked",))) == 413


def test_a_short_body_without_length_is_served(server: Server) -> None:
    chunks = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    assert status(send(server, chunks, head=("Transfer-Encoding: chunked",))) == 202


@pytest.mark.parametrize(
    "head",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: x",),
        ("X-Long: " + "x" * 20_000,),
        tuple(f"X-{number}: x" for number in range(200)),
        ("X-Folded: a\r\n b",),
        ("Bad Name: x",),
        ("X-Null: a\0b",),
    ],
    ids=lambda head: head[0][:20],
)
def test_a_malicious_request_head_is_refused(server: Server, head: tuple[str, ...]) -> None:
    assert status(send(server, BODY, head=head)) in (400, 431)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 100", BODY),
        ("Transfer-Encoding: chunked", f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n"),
        ("Transfer-Encoding: chunked", b"50\r\n" + BODY),
        ("Transfer-Encoding: chunked", b"xyz\r\n" + BODY),
    ],
)
def test_a_body_that_ends_early_is_refused(server: Server, head: str, body: bytes) -> None:
    lines = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
    whole = f"{lines}Content-Type: application/json\r\n{head}\r\n\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(whole)
        connection.shutdown(socket.SHUT_WR)
        assert status(connection.recv(65_536)) == 400


def test_two_requests_in_one_packet_get_two_answers(server: Server) -> None:
    one = f"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
    packet = f"{one}\r\n{one}Connection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(packet)
        answer = b""
        while chunk := _receive(connection):
            answer += chunk
    assert answer.count(b"HTTP/1.1 200") == 2


def test_an_http_1_0_client_is_served(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b"200" in connection.recv(65_536)


def test_slow_clients_do_not_hold_up_others(server: Server) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n{")
        began = time.monotonic()
        assert answers(server.port)
        assert time.monotonic() - began < 3
    finally:
        for connection in slow:
            connection.close()


def test_request_contents_are_not_logged(server: Server) -> None:
    send(server, BODY, head=(f"Content-Length: {len(BODY)}", "X-Request-Id: a\tb"))
    log = server.log.read_text(errors="replace")
    assert "lighthouse" not in log
    assert server.key not in log
    assert '"status": 202' in log
