"""A client that sends its body a byte at a time is not waited for."""

import socket
from collections.abc import Iterator

import pytest

from api.images import uploads
from api.web import strict_json
from api.web.errors import RefusedError
from api.web.strict_json import StrictRequest

BODY = b'{"prompt": "x"}'
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + b"p" * 2000 + b"\r\n--x--\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def request(server: socket.socket, body: bytes = BODY, kind: str = "application/json") -> StrictRequest:
    return StrictRequest(
        {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": server.makefile("rb"),
            "gunicorn.socket": server,
        }
    )


def test_a_body_that_arrives_is_read(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    client.sendall(BODY)
    read = request(server)
    assert read.get_json() == {"prompt": "x"}
    read.environ["wsgi.input"].close()


def test_a_body_that_does_not_arrive_times_out(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = ends
    monkeypatch.setattr(strict_json, "BODY_SECONDS", 0.05)
    client.sendall(BODY[:-1])
    slow = request(server)
    with pytest.raises(RefusedError) as caught:
        slow.get_json()
    assert caught.value.code == "request_timeout"
    slow.environ["wsgi.input"].close()


def test_a_client_that_disconnects_gets_bad_request_and_not_a_timeout(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, server = ends
    client.sendall(BODY[:-1])
    client.shutdown(socket.SHUT_WR)
    gone = request(server)
    with pytest.raises(RefusedError) as caught:
        gone.get_json()
    assert caught.value.code == "bad_request"
    gone.environ["wsgi.input"].close()


def test_a_form_that_does_not_arrive_times_out(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = ends
    monkeypatch.setattr(uploads, "FORM_SECONDS", 0.05)
    client.sendall(FORM[:-10])
    slow = request(server, FORM, "multipart/form-data; boundary=x")
    with pytest.raises(RefusedError) as caught:
        uploads.receive_picture(slow, 5000)
    assert caught.value.code == "request_timeout"
    slow.environ["wsgi.input"].close()


def test_a_form_whose_client_disconnects_gets_bad_request_and_not_a_timeout(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, server = ends
    client.sendall(FORM[:1000])
    client.shutdown(socket.SHUT_WR)
    gone = request(server, FORM, "multipart/form-data; boundary=x")
    with pytest.raises(RefusedError) as caught:
        uploads.receive_picture(gone, 5000)
    assert caught.value.code == "bad_request"
    gone.environ["wsgi.input"].close()
