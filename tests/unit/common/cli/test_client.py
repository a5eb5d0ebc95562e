"""The client against a server that answers by script."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from common.cli import client as cli_client
from common.cli.client import Client
from common.errors import ApiRefusedError, ApiUnreachableError


class Script:
    """Answers requests in turn with (status, body, type), the last one for ever, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, str]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def say(self, status: int, body: Any, kind: str = "application/json") -> None:
        self.answers.append((status, body if isinstance(body, bytes) else json.dumps(body).encode(), kind))

    def tell(self, *events: tuple[str, str, Any]) -> None:
        told = "".join(f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for number, name, data in events)
        self.say(200, f"retry: 2000\n\n{told}".encode(), "text/event-stream")

    def next(self) -> tuple[int, bytes, str]:
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
            status, body, kind = script.next()
            self.send_response(status)
            self.send_header("Content-Type", kind)
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
    monkeypatch.setattr(cli_client, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(cli_client, "RECONNECT_SECONDS", 0.01)
    monkeypatch.setattr(cli_client, "FIRST_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(cli_client, "PATIENCE_SECONDS", 0.3)
    with Client(url, "prk_key") as opened:
        yield opened


def test_a_submission_carries_the_key_and_is_safe_to_send_again(client, script):
    script.say(503, {"detail": "busy"})
    script.say(202, {"id": "1"})
    assert client.submit({"prompt": "a fox"}) == {"id": "1"}
    (method, path, first), (_, _, second) = script.asked
    assert (method, path) == ("POST", "/v1/jobs")
    assert first["Authorization"] == "Bearer prk_key"
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


def test_an_image_is_uploaded_as_a_file(client, script):
    script.say(201, {"id": "1"})
    assert client.upload_asset("fox.png", b"pixels") == {"id": "1"}
    ((method, path, headers),) = script.asked
    assert (method, path) == ("POST", "/v1/assets")
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")


QUEUED = {"status": "queued", "attempt": 0, "queue_position": 3, "progress": {"step": 0, "steps": 9}}
DONE = {"status": "succeeded", "attempt": 1, "queue_position": None, "progress": {"step": 9, "steps": 9}}


def test_waiting_follows_the_job_and_shows_its_events(client, script):
    script.say(200, QUEUED)
    script.tell(
        ("0.0", "status", {"status": "queued", "attempt": 0}),
        ("1.0", "status", {"status": "running", "attempt": 1}),
        ("1.4", "progress", {"step": 4, "steps": 9, "attempt": 1}),
        ("3.0", "status", {"status": "succeeded", "attempt": 1}),
        ("3.1", "image", {"index": 0}),
        ("3.2", "job", DONE),
    )
    seen: list[Any] = []
    assert client.wait("1", seen.append) == DONE
    running = {"status": "running", "attempt": 1, "queue_position": None, "progress": {"step": 0, "steps": 9}}
    assert seen == [QUEUED, running, running | {"progress": {"step": 4, "steps": 9}}, DONE]


def test_a_broken_stream_is_resumed_where_it_was(client, script):
    script.tell(("0.0", "status", {"status": "queued"}), ("1.0", "status", {"status": "running"}))
    script.say(200, b"retry: 2000\n\n: still here\n\n", "text/event-stream")
    script.tell(("3.0", "job", DONE))
    assert [event.name for event in client.events("1")] == ["status", "status", "job"]
    assert [headers.get("Last-Event-ID") for _, _, headers in script.asked] == [None, "1.0", "1.0"]


def test_an_api_without_a_free_stream_is_polled(client, script):
    script.say(200, QUEUED)
    script.say(503, {"code": "too_many_streams"})
    for job in (QUEUED, {"status": "running"}, DONE):
        script.say(200, job)
    seen: list[str] = []
    assert client.wait("1", lambda job: seen.append(job["status"])) == DONE
    assert seen == ["queued", "queued", "running", "succeeded"]


def test_a_job_that_has_ended_is_not_followed(client, script):
    script.say(200, DONE)
    assert client.wait("1") == DONE
    assert len(script.asked) == 1


def test_a_list_continues_over_pages_up_to_its_limit(client, script):
    script.say(200, {"data": [{"id": "3"}, {"id": "2"}], "has_more": True, "next": "c"})
    script.say(200, {"data": [{"id": "1"}], "has_more": False, "next": None})
    assert [job["id"] for job in client.jobs(status="queued", limit=3)] == ["3", "2", "1"]
    assert [path for _, path, _ in script.asked] == [
        "/v1/jobs?status=queued&limit=3",
        "/v1/jobs?status=queued&limit=1&cursor=c",
    ]


def test_a_corrupted_image_is_refused(client, script):
    script.say(200, b"pixels")
    assert client.download({"id": "1", "sha256": hashlib.sha256(b"pixels").hexdigest()}) == b"pixels"
    with pytest.raises(ApiRefusedError, match="does not match its checksum"):
        client.download({"id": "1", "sha256": "0" * 64})


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"detail": "no"}, "Invalid API key"),
        (404, {"detail": "There is no such job."}, "There is no such job."),
        (422, {"errors": [{"pointer": "/width", "detail": "must be a multiple of 8"}]}, "/width must be a multiple"),
        (500, b"<html>", "The API returned status 500."),
        (400, [1], "The API returned status 400."),
    ],
)
def test_an_error_is_reported_in_one_sentence(client, script, status, body, sentence):
    script.say(status, body)
    with pytest.raises(ApiRefusedError, match=sentence):
        client.job("1")


def test_another_server_is_recognised(client, script):
    script.say(200, b"<html>hello</html>")
    with pytest.raises(ApiUnreachableError, match="is not Pressroom"):
        client.job("1")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "http://127.0.0.1:99999"])
@pytest.mark.parametrize("ask", [lambda client: client.job("1"), lambda client: list(client.events("1"))])
def test_an_unreachable_api_is_reported_in_one_sentence(monkeypatch, url, ask):
    monkeypatch.setattr(cli_client, "FIRST_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(cli_client, "RECONNECT_SECONDS", 0.01)
    with pytest.raises(ApiUnreachableError, match="PRESSROOM_API_URL"), Client(url, "prk_key") as opened:
        ask(opened)
