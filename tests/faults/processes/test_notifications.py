"""Repeated, forged, malformed and enormous notifications: the press drops them and goes on."""

import base64
import json
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from common.jobs.celery_message import TASK
from common.jobs.notifier import name_queue
from common.states.jobs import JobStatus, Outcome
from tests.faults.support import press_process
from tests.functional.stack import Client, Stack
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.waiting import until

QUEUE = name_queue("painted")
COPIES = 100


def _envelope(task: str, body: bytes, content_type: str = "application/json", **changes: Any) -> str:
    """Return a message as Celery puts it into Redis."""
    number = str(uuid4())
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "argsrepr": "", "kwargsrepr": ""},
        "properties": {
            "correlation_id": number,
            "reply_to": str(uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    return json.dumps(envelope | changes)


def _call(*args: object, **kwargs: object) -> bytes:
    return json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()


FORGED = {
    "no JSON": "garbage",
    "JSON of another shape": "[1, 2, 3]",
    "an object of another shape": '{"body": 7}',
    "no properties": _envelope(TASK, _call("x"), properties={}),
    "no headers": _envelope(TASK, _call("x"), headers={}),
    "a pickle": _envelope(TASK, pickle.dumps([("x",), {}, {}]), "application/x-python-serialize"),
    "YAML": _envelope(TASK, b"- x", "application/x-yaml"),
    "an unknown kind": _envelope(TASK, b"x", "application/x-nothing"),
    "a body that is no JSON": _envelope(TASK, b"{"),
    "a body of another shape": _envelope(TASK, b"7"),
    "an unknown task": _envelope("os.system", _call("true")),
    "no arguments": _envelope(TASK, _call()),
    "too many arguments": _envelope(TASK, _call("x", "y", z=1)),
    "an id that is none": _envelope(TASK, _call("x")),
    "ten megabytes": _envelope(TASK, _call("x" * 10_000_000)),
}


def test_f12_a_hundred_copies_of_one_notification_make_one_attempt(stack: Stack) -> None:
    with press_process.bell(stack) as notifier, press_process.press(stack):
        job_id = stack.client().order(steps=10)
        (row,) = stack.rows(job_id)
        for _ in range(COPIES):
            notifier.notify(row.model, row.id)
        until(lambda: notifier.count_pending(row.model) == 0, "all notifiers to be heard")
        stack.settle([job_id])
    assert [attempt.outcome for attempt in stack.attempts(job_id)] == [Outcome.SUCCEEDED]


@pytest.fixture(scope="module")
def hearing(_embedded: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """A press that hears all the forged messages, one after the other."""
    with press_process.press(_embedded) as process:
        yield process


@pytest.mark.parametrize("kind", FORGED)
def test_f13_a_malformed_message_is_dropped_and_the_press_goes_on(
    stack: Stack, hearing: subprocess.Popen[bytes], kind: str
) -> None:
    with stack.backend.connect(stack.settings) as broker:
        broker.lpush(QUEUE, FORGED[kind])
        until(lambda: broker.llen(QUEUE) == 0, "the message to be taken")
    job_id = stack.client().order()
    (row,) = stack.settle([job_id])
    assert row.status is JobStatus.SUCCEEDED
    assert hearing.poll() is None, "the press has died"


def test_93_a_notification_with_the_id_of_another_owners_job_changes_nothing(stack: Stack) -> None:
    theirs = stack.client("grace").order()
    (row,) = stack.rows(theirs)
    with press_process.bell(stack) as notifier, press_process.press(stack):
        notifier.notify(row.model, row.id)
        notifier.notify(row.model, uuid4())
        mine = stack.client().order()
        stack.settle([theirs, mine])
    assert {row.owner: row.status for row in stack.rows(theirs, mine)} == {
        "grace": JobStatus.SUCCEEDED,
        "ada": JobStatus.SUCCEEDED,
    }


def test_f24_a_press_outlives_a_full_redis_and_readyz_says_degraded(stack: Stack) -> None:
    client = stack.client()
    waiting = [client.order() for _ in range(3)]
    with stack.backend.connect(stack.settings) as broker:
        broker.config_set("maxmemory", 1)
        try:
            with press_process.press(stack) as process:
                assert {row.status for row in stack.settle(waiting)} == {JobStatus.SUCCEEDED}
                until(lambda: _read_broker_status(client) == ("degraded", "failing"), "readyz to notice")
                late = client.order()
                broker.config_set("maxmemory", 0)
                until(lambda: _read_broker_status(client) == ("ready", "ok"), "readyz to notice")
                assert stack.settle([late])[0].status is JobStatus.SUCCEEDED
                assert process.poll() is None, "the press has ended"
        finally:
            broker.config_set("maxmemory", 0)


def _read_broker_status(client: Client) -> tuple[str, str]:
    readiness = client.http.get("/readyz").json()
    (broker,) = [part for part in readiness["parts"] if part["name"] == "broker"]
    return readiness["status"], broker["status"]


def test_f26_a_press_that_receives_nothing_while_work_is_due_restarts(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("worker.press.press.CONSUMER_STALL_SECONDS", 0.2)
    monkeypatch.setattr(os, "kill", lambda *order: asked.append(order))
    with press_fixture.press() as press:
        factories.submit(press_fixture.database)
        until(lambda: asked, "the press to notice")
    assert asked[0] == (os.getpid(), signal.SIGTERM)
    assert press.restart.is_requested
