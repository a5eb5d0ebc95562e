"""The app behind an event loop: bodies are read before it runs, and answers held until the client has read them."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from api.server import bridge as bridge_module
from api.server.answers import BrokenAnswerError
from api.server.bridge import Bridge
from api.server.exchange import SMALL_BODY_BYTES, BodyState, Exchange

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Message = dict[str, Any]


def build_scope(*headers: tuple[str, str], path: str = "/x") -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "http_version": "1.1",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "server": ("127.0.0.1", 80),
        "client": ("192.0.2.1", 5),
    }


class Client:
    """Sends a body in pieces, and keeps what comes back; with *gone*, it leaves after the body."""

    def __init__(self, *pieces: bytes, gone: bool = False, is_open: bool = False) -> None:
        self._pieces = list(pieces)
        self._is_open = is_open
        self._gone = gone
        self.sent: list[Message] = []
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        if self._pieces:
            more = len(self._pieces) > 1 or self._is_open
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": more}
        if not self._gone:
            await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def is_closed(self) -> bool:
        return (b"connection", b"close") in self.sent[0]["headers"]


def serve(app: App, client: Client, *headers: tuple[str, str]) -> Client:
    async def run() -> None:
        await Bridge(app, 2, 2)(build_scope(*headers), client.receive, client.send)

    asyncio.run(asyncio.wait_for(run(), 10))
    return client


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def test_the_app_gets_the_whole_body_and_its_answer_is_sent() -> None:
    client = serve(echo, Client(b"ab", b"", b"c"), ("content-length", "3"))
    assert (client.status, client.body, client.is_closed) == (200, b"abc", False)


def test_a_request_without_a_body_is_not_waited_for() -> None:
    assert serve(echo, Client()).body == b""


def test_the_app_is_not_called_for_a_client_that_leaves_before_its_body_is_complete() -> None:
    called: list[object] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        called.append(environ)
        return echo(environ, start_response)

    client = serve(app, Client(b"a", is_open=True, gone=True), ("content-length", "3"))
    assert (called, client.sent) == ([], [])


def answer_by_state(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    exchange = Exchange.of(environ)
    if exchange.is_asked and environ["PATH_INFO"] == "/x":
        exchange.accept_body(SMALL_BODY_BYTES * 2, 5)
    start_response("200 OK" if exchange.state is BodyState.COMPLETE else "413 Too Large", [])
    return [b"%d" % len(environ["wsgi.input"].read())]


@pytest.mark.parametrize(
    "headers", [[("content-length", str(SMALL_BODY_BYTES + 5))], [("transfer-encoding", "chunked")]]
)
def test_a_large_body_is_read_once_the_app_accepts_it(headers: list[tuple[str, str]]) -> None:
    client = serve(answer_by_state, Client(b"a" * SMALL_BODY_BYTES, b"b" * 5), *headers)
    assert (client.status, client.body) == (200, b"%d" % (SMALL_BODY_BYTES + 5))


def test_a_body_over_the_accepted_limit_is_reported() -> None:
    pieces = [b"a" * SMALL_BODY_BYTES] * 3
    assert serve(answer_by_state, Client(*pieces), ("transfer-encoding", "chunked")).status == 413


@pytest.mark.parametrize(("headers", "is_closed"), [([], False), ([("expect", "100-continue")], True)])
def test_a_large_body_that_the_app_does_not_accept_is_not_read(headers: list[tuple[str, str]], is_closed: bool) -> None:
    reads: list[int] = []

    def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("401 Unauthorized", [])
        return [b"no"]

    class Watched(Client):
        async def receive(self) -> Message:
            reads.append(1)
            return await super().receive()

    client = serve(refuse, Watched(b"a"), ("content-length", "99999999"), *headers)
    assert (client.status, client.body, client.is_closed, reads) == (401, b"no", is_closed, [])


def test_a_body_that_does_not_arrive_in_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "SMALL_BODY_SECONDS", 0.05)
    states: list[BodyState] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        states.append(Exchange.of(environ).state)
        start_response("408 Request Timeout", [])
        return []

    client = serve(app, Client(b"a", is_open=True), ("content-length", "3"))
    assert (states, client.status) == ([BodyState.LATE], 408)


def test_a_large_answer_arrives_whole_and_in_order() -> None:
    pieces = [bytes([number]) * 100_000 for number in range(40)]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return iter(pieces)

    assert serve(app, Client()).body == b"".join(pieces)


def test_a_client_that_reads_nothing_does_not_hold_the_thread() -> None:
    ended = threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"x" * 5_000_000
        ended.set()

    async def run() -> None:
        async def never(_: Message) -> None:
            await asyncio.Event().wait()

        client = Client()
        task = asyncio.ensure_future(Bridge(app, 1, 0)(build_scope(), client.receive, never))
        await asyncio.to_thread(ended.wait, 5)
        task.cancel()

    asyncio.run(run())
    assert ended.is_set()


def test_each_piece_of_a_stream_is_sent_at_once() -> None:
    turn = threading.Semaphore(0)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("X-Accel-Buffering", "no")])
        for number in range(3):
            yield b"%d" % number
            assert turn.acquire(timeout=5), "the piece was held back"

    class Reader(Client):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if message.get("body"):
                turn.release()

    assert serve(app, Reader()).body == b"012"


def test_a_stream_whose_client_leaves_is_closed() -> None:
    closed = threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("X-Accel-Buffering", "no")])
        try:
            while True:
                yield b"tick"
                closed.wait(0.01)
        finally:
            closed.set()

    async def run() -> None:
        client = Client()
        task = asyncio.ensure_future(Bridge(app, 1, 0)(build_scope(), client.receive, client.send))
        while len(client.sent) < 3:  # noqa: ASYNC110  (the client is a plain object)
            await asyncio.sleep(0.01)
        client.left.set()
        await task  # without an error: it would be logged with its traceback for each client that leaves

    asyncio.run(asyncio.wait_for(run(), 10))
    assert closed.is_set()


def test_an_answer_that_the_app_breaks_off_is_not_sent_as_if_it_were_whole() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ValueError

    client = Client()
    with pytest.raises(BrokenAnswerError):
        serve(app, client)
    assert client.sent == []


def test_what_was_taken_for_a_request_is_given_back_at_its_end() -> None:
    ends: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        Exchange.of(environ).call_at_end(lambda: ends.append("given back"))
        start_response("200 OK", [])
        return [b"x"]

    class Watched(Client):
        async def send(self, message: Message) -> None:
            assert ends == []
            await super().send(message)

    serve(app, Watched())
    assert ends == ["given back"]
