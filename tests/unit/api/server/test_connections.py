"""One connection: what its client may send as a head, and how long it may take."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from api.server.connections import HEAD_BYTES, HEAD_SECONDS, LINGER_SECONDS, STALL_SECONDS, LimitedConnection

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


class Transport:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = self.is_aborted = False

    def get_extra_info(self, name: str) -> Any:
        return None

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock is set by hand."""

    now = 0.0

    def time(self) -> float:
        return self.now


async def answer_at_once(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    run_ready(loop)
    loop.close()


def connect(loop: Loop) -> tuple[LimitedConnection, Transport]:
    config = Config(answer_at_once, interface="asgi3", lifespan="off", ws="none")
    connection, transport = LimitedConnection(config, ServerState(), {}, _loop=loop), Transport()
    connection.connection_made(cast("asyncio.Transport", transport))
    return connection, transport


def run_ready(loop: Loop) -> None:
    loop.run_until_complete(asyncio.sleep(0))


def test_a_client_that_sends_no_request_is_disconnected(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.close_if_overdue(HEAD_SECONDS)
    assert not transport.is_closed
    connection.close_if_overdue(HEAD_SECONDS + 1)
    assert transport.is_closed
    assert b" 408 " in transport.written


def test_a_head_that_arrives_byte_by_byte_has_a_deadline(loop: Loop) -> None:
    connection, transport = connect(loop)
    for second, byte in enumerate(HEAD[:-2]):
        loop.now = second
        connection.data_received(bytes([byte]))
        connection.close_if_overdue(second)
        if transport.is_closed:
            break
    assert HEAD_SECONDS < loop.now <= HEAD_SECONDS + 2


def test_the_next_request_of_a_connection_has_a_deadline_of_its_own(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.data_received(HEAD + b"123456789")
    run_ready(loop)
    loop.now = 1000
    connection.close_if_overdue(loop.now)
    assert not transport.is_closed
    connection.data_received(b"GET")
    connection.close_if_overdue(loop.now + HEAD_SECONDS)
    assert not transport.is_closed
    connection.close_if_overdue(loop.now + HEAD_SECONDS + 1)
    assert transport.is_closed


@pytest.mark.parametrize("line", [b"X-A: aaaa\r\n", b"a"], ids=["many headers", "one long header"])
def test_a_head_that_does_not_end_is_refused(loop: Loop, line: bytes) -> None:
    connection, transport = connect(loop)
    connection.data_received(b"GET / HTTP/1.1\r\nX-B: ")
    while not transport.is_closed:
        connection.data_received(line * 100)
        assert connection._head_bytes < 2 * HEAD_BYTES
    assert b" 431 " in transport.written


def test_a_client_that_reads_too_little_is_disconnected(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.data_received(HEAD)
    connection.pause_writing()
    connection.close_if_overdue(10)
    connection.resume_writing()
    connection.pause_writing()
    connection.close_if_overdue(10 + STALL_SECONDS)
    assert not transport.is_aborted, "it had read in between"
    connection.close_if_overdue(11 + 2 * STALL_SECONDS)
    assert transport.is_aborted


def test_a_client_that_goes_on_sending_after_the_answer_is_disconnected(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.data_received(HEAD + b"1")
    run_ready(loop)
    assert b" 200 " in transport.written
    connection.close_if_overdue(0)
    connection.close_if_overdue(LINGER_SECONDS + 1)
    assert transport.is_closed


def test_a_closed_connection_whose_client_does_not_read_is_dropped(loop: Loop) -> None:
    connection, transport = connect(loop)
    transport.close()
    connection.close_if_overdue(0)
    connection.close_if_overdue(STALL_SECONDS + 1)
    assert transport.is_aborted


def test_a_body_that_ends_early_is_refused(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.data_received(HEAD + b"1")
    assert not connection.eof_received()
    assert b" 400 " in transport.written


def test_a_client_that_sends_no_more_gets_its_answer(loop: Loop) -> None:
    connection, transport = connect(loop)
    connection.data_received(HEAD + b"123456789")
    assert connection.eof_received()
    run_ready(loop)
    assert b" 200 " in transport.written
