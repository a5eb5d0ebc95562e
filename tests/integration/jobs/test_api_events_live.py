"""Streams of events behind the real server: lines that are cut from either side."""

import signal
import socket
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import func, select

from common.jobs import lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.tables import Job
from tests.support import factories
from tests.support.servers.api_servers import Server, serving
from tests.support.servers.event_streams import parse
from tests.support.servers.processes import STOP_SECONDS

STEPS = 1000
"""Longer than any of these tests has news to tell."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with one slot for waiting requests."""
    with serving(PRESSROOM_MAX_WAITING="1") as started:
        yield started


class Line:
    """A connection on which a job's events come."""

    def __init__(self, server: Server, job_id: UUID, last_id: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        lines = [f"GET /v1/jobs/{job_id}/events HTTP/1.1", "Host: api", f"Authorization: Bearer {server.key}"]
        self._socket.sendall("\r\n".join([*lines, f"Last-Event-ID: {last_id}", "", ""]).encode())
        self.come = b""

    @property
    def status(self) -> int:
        self.read_until(b"\r\n\r\n")
        return int(self.come.split(b" ", 2)[1])

    def read_until(self, mark: bytes) -> None:
        while mark not in self.come:
            more = self._socket.recv(65_536)
            assert more, self.come
            self.come += more

    def read_to_the_end(self) -> bytes:
        while more := self._socket.recv(65_536):
            self.come += more
        return self.come

    def close(self) -> None:
        self._socket.close()


def count_jobs(server: Server) -> int:
    with server.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def run_job(server: Server) -> Claim:
    return factories.running(server.database, request={"steps": STEPS})


def step(server: Server, held: Claim, number: int) -> None:
    with server.database.transaction() as session:
        lifecycle.record_heartbeat(session, held.press_id, [ClaimProgress(held, number, Spent())], factories.LEASE, {})


def test_events_arrive_one_by_one_and_the_stream_ends_with_the_job(server: Server) -> None:
    held = run_job(server)
    line = Line(server, held.job_id)
    line.read_until(b'"status":"running"')
    step(server, held, 7)
    line.read_until(b'"step":7')
    with server.database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent())
    line.read_until(b"\r\n0\r\n\r\n")
    line.close()
    body = b"".join(part for part in line.come.split(b"\r\n")[1:] if b"event: " in part)
    assert [event.name for event in parse(body.decode())] == ["status", "progress", "status", "image", "job"]


def test_a_client_that_disconnects_frees_its_slot(server: Server) -> None:
    held = run_job(server)
    first = Line(server, held.job_id)
    first.read_until(b'"status":"running"')
    refused = Line(server, held.job_id)
    assert refused.status == 503
    refused.close()
    first.close()
    for number in range(1, STEPS):
        step(server, held, number)  # what is sent to somebody who has gone tells that they have
        another = Line(server, held.job_id)
        status = another.status
        another.close()
        if status == 200:
            return
        time.sleep(0.1)
    pytest.fail("the place was never free again")


def test_a_stopping_server_ends_its_streams_and_waiting_requests_and_exits() -> None:
    body = b'{"prompt": "a lighthouse"}'
    with serving() as server:
        line = Line(server, run_job(server).job_id)
        line.read_until(b'"status":"running"')
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\nPrefer: wait=60\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as waiting:
            waiting.sendall(head.encode() + body)
            while count_jobs(server) < 2:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            answer = waiting.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 202")
        assert b"preference-applied: wait=60" in answer.lower()
        assert line.read_to_the_end().endswith(b"\r\n0\r\n\r\n"), "the stream is complete, as far as it goes"
        assert b"event: job" not in line.come
        line.close()
        assert server.process.wait(STOP_SECONDS) == 0
