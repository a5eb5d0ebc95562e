"""Files of recipients on the wire: bodies that break off or lie about their length leave everything as it was."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers.api_servers import Server, serving

LONG = (b"x" * 500 + b"\n") * 100
ROWS = b"".join(b"new%d\n" % number for number in range(5000))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(PRESSROOM_MAX_RECIPIENTS_BYTES="1000000") as running:
        yield running


def ask(server: Server, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": kind}
    connection.request(method, path, body, headers, encode_chunked=not isinstance(body, str | bytes | None))
    answer = connection.getresponse()
    content: dict[str, Any] = json.loads(answer.read())
    connection.close()
    return content | {"http": answer.status}


@pytest.fixture
def path(server: Server) -> str:
    """The path of a campaign that has one recipient."""
    fields = {"name": "cards", "template": {"prompt": "a card for {{ name }}"}, "budget": {"amount": "10"}}
    found = f"/v1/campaigns/{ask(server, 'POST', '/v1/campaigns', json.dumps(fields))['id']}"
    assert ask(server, "PUT", f"{found}/recipients", b"name\nAda\n", "text/csv")["accepted"] == 1
    return found


def send(server: Server, path: str, head: str, body: bytes) -> None:
    """Send the beginning of a request, and hang up."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        start = f"PUT {path}/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        connection.sendall(f"{start}Content-Type: text/csv\r\n{head}\r\n\r\n".encode() + body)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (f"Content-Length: {2 * len(ROWS)}", b"name\n" + ROWS),
        ("Transfer-Encoding: chunked", chunked(b"name\n" + ROWS)),
        ("Transfer-Encoding: chunked", chunked(b"name\n" + ROWS) + b"not a size\r\n"),
    ],
)
def test_a_body_that_breaks_off_begins_no_list_and_keeps_the_previous_rows(
    server: Server, path: str, head: str, body: bytes
) -> None:
    send(server, path, head, body)
    kept = ask(server, "GET", path)
    assert (kept["status"], kept["recipients"]["accepted"]) == ("ready", 1)
    assert ask(server, "GET", f"{path}/recipients")["data"][0]["values"] == {"name": "Ada"}
    assert ask(server, "PUT", f"{path}/recipients", b"name\nBob\n", "text/csv")["number"] == 2


def test_a_file_of_unknown_length_is_accepted(server: Server, path: str) -> None:
    pieces = iter([b"name\n", *(ROWS[start : start + 999] for start in range(0, len(ROWS), 999))])
    assert ask(server, "PUT", f"{path}/recipients", pieces, "text/csv")["accepted"] == 5000


def test_a_file_of_unknown_length_is_refused_at_the_limit(server: Server, path: str) -> None:
    pieces = (b"name\n" if not number else LONG for number in range(40))
    try:
        answer = ask(server, "PUT", f"{path}/recipients", pieces, "text/csv")
        assert (answer["http"], answer["code"]) == (413, "body_too_large")
    except (BrokenPipeError, ConnectionResetError):
        pass  # it need not listen to the end
    assert ask(server, "GET", path)["recipients"]["accepted"] == 1
