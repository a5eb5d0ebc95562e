"""The client against a server that answers by script."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from common import client as client_module
from common.client import Client
from common.errors import ApiRefusedError, ApiUnreachableError


class Script:
    """Answers requests in turn with (status, body), the last one for ever, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def say(self, status: int, body: Any) -> None:
        self.answers.append((status, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def next(self) -> tuple[int, bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers)))
            status, body = script.next()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  (the names that the library calls)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(client_module, "FIRST_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(client_module, "PATIENCE_SECONDS", 0.3)
    with Client(url, "prk_key") as opened:
        yield opened


def test_an_order_carries_the_key_and_is_safe_to_send_again(client, script):
    script.say(503, {"detail": "busy"})
    script.say(202, {"id": "1"})
    assert client.submit({"prompt": "a fox"}) == {"id": "1"}
    (method, path, first), (_, _, second) = script.asked
    assert (method, path) == ("POST", "/v1/jobs")
    assert first["Authorization"] == "Bearer prk_key"
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


def test_a_picture_is_handed_in_as_a_file(client, script):
    script.say(201, {"id": "1"})
    assert client.hand_in("fox.png", b"pixels") == {"id": "1"}
    ((method, path, headers),) = script.asked
    assert (method, path) == ("POST", "/v1/assets")
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_waiting_looks_until_the_end_and_shows_each_look(client, script):
    for status in ("queued", "running", "succeeded"):
        script.say(200, {"status": status})
    seen: list[str] = []
    assert client.wait("1", lambda job: seen.append(job["status"]))["status"] == "succeeded"
    assert seen == ["queued", "running", "succeeded"]


def test_a_list_goes_on_over_pages_up_to_its_limit(client, script):
    script.say(200, {"data": [{"id": "3"}, {"id": "2"}], "has_more": True, "next": "c"})
    script.say(200, {"data": [{"id": "1"}], "has_more": False, "next": None})
    assert [job["id"] for job in client.jobs(status="queued", limit=3)] == ["3", "2", "1"]
    assert [path for _, path, _ in script.asked] == [
        "/v1/jobs?status=queued&limit=3",
        "/v1/jobs?status=queued&limit=1&cursor=c",
    ]


def test_an_image_that_arrives_changed_is_refused(client, script):
    script.say(200, b"pixels")
    assert client.download({"id": "1", "sha256": hashlib.sha256(b"pixels").hexdigest()}) == b"pixels"
    with pytest.raises(ApiRefusedError, match="did not arrive as it was published"):
        client.download({"id": "1", "sha256": "0" * 64})


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"detail": "no"}, "does not accept this key"),
        (404, {"detail": "There is no such job."}, "There is no such job."),
        (422, {"errors": [{"pointer": "/width", "detail": "must be a multiple of 8"}]}, "/width must be a multiple"),
        (500, b"<html>", "The api answered 500."),
        (400, [1], "The api answered 400."),
    ],
)
def test_a_refusal_is_told_in_a_sentence(client, script, status, body, sentence):
    script.say(status, body)
    with pytest.raises(ApiRefusedError, match=sentence):
        client.job("1")


def test_another_server_is_recognised(client, script):
    script.say(200, b"<html>hello</html>")
    with pytest.raises(ApiUnreachableError, match="is not Pressroom"):
        client.job("1")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "http://127.0.0.1:99999"])
def test_an_api_that_is_not_there_is_told_in_a_sentence(monkeypatch, url):
    monkeypatch.setattr(client_module, "FIRST_PATIENCE_SECONDS", 0.1)
    with pytest.raises(ApiUnreachableError, match="PRESSROOM_API_URL"), Client(url, "prk_key") as opened:
        opened.job("1")
